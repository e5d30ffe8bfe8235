--[[ set_candidates: policy says what machines may take, and after how long; parked ones look at once.
  KEYS   meta jobs bodies waiting ages heads backlog class_ages lanes classes fits deadlines leases held machines
         candidates rankings parked wakes pauses events
  FLAGS  allow-oom
  TAKES  nonce · machines list (≤ 64) of {machine, list (≤ 64) of {lane, ready_after_ms, preference}}
  GIVES  unknown list of machines that are gone
  REFUSES NS_TOO_MANY_CANDIDATES, NS_LANE_DOES_NOT_FIT
  EVENTS job.offered for what parked machines get
  COST   O(machines · 64) ]]
ns.takes.set_candidates = { ns.NONCE, { 'machines', ns.LIST, 64, of = { { 1, ns.NAME, 128 }, { 2, ns.LIST, 500, of = ns.CANDIDATE } } } }

function ns.handlers.set_candidates(cell, request)
  local unknown = {}
  local ids = {}
  for position, entry in ipairs(request.machines) do ids[position] = entry[1] end
  cell:load('machines', ids)
  cell:load('candidates', ids)
  for _, entry in ipairs(request.machines) do
    if ns.machine(cell, entry[1]) then
      ns.set_candidates(cell, entry[1], entry[2])
      if cell:score('parked', entry[1]) then ns.offer(cell, entry[1], request.nonce) end
    else
      unknown[#unknown + 1] = entry[1]
    end
  end
  return { unknown = unknown }
end
