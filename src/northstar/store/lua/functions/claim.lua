--[[ claim: give a machine work for its free slots: first what was offered to it, then what it may take; park it when that is less than it asked.
  KEYS   meta jobs bodies waiting ages heads backlog class_ages lanes classes fits deadlines leases held machines alive
         candidates rankings parked wakes pauses events
  FLAGS  allow-oom
  TAKES  machine, session · credits how many it accepts now · nonce random, kept by the caller for a repeated call · park
         candidates optional list of {lane, ready_after_ms, preference}, as for `set_candidates`
  GIVES  jobs list of {id, token, attempt, recoveries, lease_ms, body} · wake_ms: nothing changes by time before then (0: unknown)
  REFUSES NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED
  EVENTS job.started each
  COST   O(credits · (candidates + log waiting)), candidates ≤ 64; independent of other lanes. A call repeated with the nonce of the
         machine's latest claim gives the same jobs again. ]]
ns.takes.claim = { ns.MACHINE, ns.SESSION, { 'credits', ns.COUNT, 500 }, ns.NONCE, { 'park', ns.FLAG, optional = true }, ns.CANDIDATES }

function ns.handlers.claim(cell, request)
  local machine = ns.present_machine(cell, request)
  if request.candidates then ns.set_candidates(cell, request.machine, request.candidates) end
  return ns.claim(cell, request, machine)
end
