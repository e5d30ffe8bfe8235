--[[ transfer_abort: the other cell refused, for good, so the job waits here again. Only after its refusal: the target then remembers it.
  KEYS   meta jobs bodies waiting ages heads backlog class_ages lanes classes fits machines candidates rankings parked wakes leases
         held deadlines transfers pauses events
  FLAGS  allow-oom
  TAKES  nonce · jobs list (≤ 500) of {id, transfer, because}
  GIVES  jobs list of {id, 'ok' | 'NS_NOT_IN_TRANSFER'}
  EVENTS job.returned each; job.offered for what is handed over
  COST   O(jobs · log waiting) ]]
local J = ns.J
ns.takes.transfer_abort = { ns.NONCE, { 'jobs', ns.LIST, 500, of = { ns.JOB_ID, ns.TRANSFER, { 'because', ns.TEXT, 200 } } } }

local function stay(cell, wanted)
  local transfer, job = cell:record('transfers', wanted.id), cell:record('jobs', wanted.id)
  if not transfer or not job or transfer[1] ~= wanted.transfer then return 'NS_NOT_IN_TRANSFER' end
  cell:drop('transfers', wanted.id)
  ns.push(cell, wanted.id, job, false)
  if job[J.start_by_ms] > 0 then cell:set_score('deadlines', 's' .. wanted.id, job[J.start_by_ms]) end
  if job[J.finish_by_ms] > 0 then cell:set_score('deadlines', 'f' .. wanted.id, job[J.finish_by_ms]) end
  cell:job_event('job.returned', wanted.id, job, { 'because', wanted.because, 'transfer', wanted.transfer })
  cell:changed('jobs', wanted.id, job)
  return 'ok'
end

function ns.handlers.transfer_abort(cell, request)
  local outcomes = {}
  for position, wanted in ipairs(request.jobs) do outcomes[position] = { wanted.id, stay(cell, wanted) } end
  ns.hand_over(cell, request.nonce)
  return { jobs = outcomes }
end
