--[[ release: a machine hands jobs back unfinished (shutdown, drain); to the front of their lanes, uncharged.
  KEYS   meta jobs bodies waiting ages heads backlog class_ages lanes classes fits idle_lanes tenants deadlines
         finished dead leases held machines candidates rankings parked wakes pauses events
  FLAGS  allow-oom
  TAKES  machine, session · nonce · because · jobs list (≤ 500) of {id, token, report optional, as `complete`}
  GIVES  jobs list of {id, 'ok' | 'replayed' | refusal}
  EVENTS job.returned each; job.offered for what another machine gets at once
  COST   O(jobs · log waiting) ]]
local J = ns.J
ns.takes.release = { ns.MACHINE, ns.SESSION, ns.NONCE, { 'because', ns.TEXT, 200 }, { 'jobs', ns.LIST, 500, of = ns.RETURNED } }

function ns.handlers.release(cell, request)
  local outcomes = {}
  for position, given in ipairs(request.jobs) do
    local job, refusal = ns.leased(cell, given.id, given.token, request.machine, 'release')
    if job then
      job[J.settled] = 'release ' .. given.token
      ns.give_back(cell, given.id, job, request.because, false, given.report)
    end
    outcomes[position] = { given.id, job and 'ok' or refusal }
  end
  ns.hand_over(cell, request.nonce)
  return { jobs = outcomes }
end
