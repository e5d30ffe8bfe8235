--[[ complete_and_claim: store results and take the next jobs in one call; what a busy machine does all day.
  KEYS   meta jobs bodies results waiting ages heads backlog class_ages lanes classes fits idle_lanes tenants deadlines finished dead
         machines candidates rankings parked wakes leases held alive pauses events
  FLAGS  allow-oom
  TAKES  as `complete`, and as `claim` (machine, session, credits, nonce, park, candidates)
  GIVES  completed as `complete`'s jobs · jobs and wake_ms as `claim`
  REFUSES NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED (then nothing was completed either)
  EVENTS job.succeeded each, then job.started each
  COST   of both ]]
ns.takes.complete_and_claim = { ns.MACHINE, ns.SESSION, { 'credits', ns.COUNT, 500 }, ns.NONCE, { 'park', ns.FLAG, optional = true }, ns.CANDIDATES,
  { 'jobs', ns.LIST, 500, of = ns.DONE } }

function ns.handlers.complete_and_claim(cell, request)
  local machine = ns.present_machine(cell, request)
  if request.candidates then ns.set_candidates(cell, request.machine, request.candidates) end
  local completed = ns.complete(cell, request)
  local reply = ns.claim(cell, request, machine)
  reply.completed = completed
  return reply
end
