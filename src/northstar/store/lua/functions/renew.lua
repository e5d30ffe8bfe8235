--[[ renew: the machine is alive and still works on these jobs.
  KEYS   meta jobs deadlines leases held machines alive orders events
  FLAGS  allow-oom
  TAKES  machine, session · jobs list (≤ 500) of {id, token}
  GIVES  lost list of {id, refusal} · unknown list of {id, token}: running here by the books, not named by the machine (an answer was lost)
         lease_ms · orders: how many about models are open (see pending_orders)
  REFUSES NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED
  EVENTS job.started for an offer that it accepts by naming its token
  COST   O(jobs · log leases) ]]
local J = ns.J
ns.takes.renew = { ns.MACHINE, ns.SESSION, { 'jobs', ns.LIST, 500, of = ns.HELD } }

function ns.handlers.renew(cell, request)
  local machine = ns.present_machine(cell, request)
  local named, ids, lost, unknown = {}, {}, {}, {}
  for position, held in ipairs(request.jobs) do ids[position] = held.id end
  cell:load('jobs', ids)
  for _, held in ipairs(request.jobs) do
    named[held.id] = true
    local job, refusal = ns.leased(cell, held.id, held.token, request.machine)
    if job then
      cell:set_score('leases', held.id, cell.lease_now + cell.limits.lease_ms)
    else
      lost[#lost + 1] = { held.id, refusal }
    end
  end
  for _, id in ipairs(ns.held_by(cell, machine, 500)) do
    local job = not named[id] and cell:record('jobs', id)
    if job and job[J.status] == 'running' then unknown[#unknown + 1] = { id, job[J.token] } end
  end
  ns.alive(cell, request.machine)
  return { lost = lost, unknown = unknown, lease_ms = cell.limits.lease_ms, orders = #ns.orders_of(cell, request.machine) }
end
