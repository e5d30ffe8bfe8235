--[[ fail: the work failed here; try again after a pause, or give up.
  KEYS   meta jobs class_ages lanes classes idle_lanes tenants delayed deadlines finished dead leases held machines
         events
  FLAGS  allow-oom
  TAKES  machine, session · jobs list (≤ 500) of {id, token, code, message, retryable, jitter in [0, 1),
         report optional, as `complete`}
  GIVES  jobs list of {id, 'retrying' | 'failed' | 'replayed' | refusal, due_ms}
  EVENTS job.retrying or job.failed each
  COST   O(jobs · log jobs)
  Pause: min(cap, base · 2^(attempts-1)) · (0.5 + jitter / 2), "equal jitter" (Brooker, Exponential Backoff And Jitter, 2015). ]]
local J = ns.J
ns.takes.fail = { ns.MACHINE, ns.SESSION, { 'jobs', ns.LIST, 500, of = { ns.JOB_ID, ns.TOKEN, { 'code', ns.NAME, 128 },
  { 'message', ns.TEXT, ns.MOST }, { 'retryable', ns.FLAG }, { 'jitter', ns.SHARE }, ns.REPORT } } }

local function retry(cell, failure, job, told)
  local pause_ms = math.min(job[J.backoff_cap_ms], job[J.backoff_base_ms] * 2 ^ math.min(job[J.attempts] - 1, 40))
  local due_ms = cell.now + math.floor(pause_ms * (0.5 + failure.jitter / 2))
  ns.detach(cell, failure.id, job)
  job[J.status], job[J.due_ms] = 'delayed', due_ms
  cell:set_score('delayed', failure.id, due_ms)
  cell:expect_due(due_ms)
  told[#told + 1], told[#told + 2] = 'due_ms', due_ms
  cell:job_event('job.retrying', failure.id, job, told)
  cell:changed('jobs', failure.id, job)
  return 'retrying', due_ms
end

local function fail_one(cell, failure, machine_id)
  local job, refusal = ns.leased(cell, failure.id, failure.token, machine_id, 'fail')
  if not job then return refusal, 0 end
  local message = ns.cut(failure.message, 2048)
  job[J.settled] = 'fail ' .. failure.token
  local told = ns.tell_run({ 'code', failure.code, 'attempts', job[J.attempts] + 1, 'machine', machine_id }, job, failure.report)
  job[J.attempts] = job[J.attempts] + 1
  job[J.error_code], job[J.error_message] = failure.code, message
  if failure.retryable and job[J.attempts] < job[J.max_attempts] then return retry(cell, failure, job, told) end
  ns.finish(cell, failure.id, job, 'failed', failure.code, message)
  cell:job_event('job.failed', failure.id, job, told)
  return 'failed', 0
end

function ns.handlers.fail(cell, request)
  local outcomes = {}
  for position, failure in ipairs(request.jobs) do
    outcomes[position] = { failure.id, fail_one(cell, failure, request.machine) }
  end
  return { jobs = outcomes }
end
