--[[ complete: store results of leased jobs; the effect of a completion happens once.
  KEYS   meta jobs results class_ages lanes classes idle_lanes tenants deadlines finished dead leases held machines
         events
  FLAGS  allow-oom
  TAKES  machine, session · jobs list (≤ 500) of {id, token, result, report optional: what the run took, JSON ≤ 1 KiB}
  GIVES  jobs list of {id, 'ok' | 'replayed' | refusal}; refusals: NS_LEASE_LOST, NS_JOB_CANCELED, NS_JOB_FINISHED, NS_NO_SUCH_JOB,
         NS_RESULT_TOO_LARGE
  EVENTS job.succeeded each
  COST   O(jobs · log leases) ]]
ns.takes.complete = { ns.MACHINE, ns.SESSION, { 'jobs', ns.LIST, 500, of = ns.DONE } }

function ns.handlers.complete(cell, request)
  return { jobs = ns.complete(cell, request) }
end
