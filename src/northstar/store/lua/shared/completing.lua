--[[ completing: what `complete` and `complete_and_claim` share.
  needs: leases events ]]
local J = ns.J

local function complete_one(cell, done, machine_id)
  local job, refusal = ns.leased(cell, done.id, done.token, machine_id, 'complete')
  if not job then return refusal end
  if #done.result > cell.limits.max_body_bytes then return 'NS_RESULT_TOO_LARGE' end
  job[J.settled] = 'complete ' .. done.token
  local told = ns.tell_run({ 'machine', machine_id }, job, done.report)
  ns.finish(cell, done.id, job, 'succeeded')
  cell:put('results', done.id, done.result)
  cell:job_event('job.succeeded', done.id, job, told)
  return 'ok'
end

function ns.complete(cell, request)
  local outcomes, ids = {}, {}
  local jobs = request.jobs
  for position, done in ipairs(jobs) do ids[position] = done.id end
  cell:load('jobs', ids)
  for position, done in ipairs(jobs) do outcomes[position] = { done.id, complete_one(cell, done, request.machine) } end
  return outcomes
end
