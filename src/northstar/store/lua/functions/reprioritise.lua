--[[ reprioritise: change the priority of jobs that have not started.
  KEYS   meta jobs waiting ages heads backlog class_ages lanes classes events
  TAKES  jobs list (≤ 500) of ids · priority 0-255
  GIVES  jobs list of {id, 'ok' | refusal}; refusals: NS_NO_SUCH_JOB, NS_JOB_STARTED, NS_JOB_FINISHED
  EVENTS job.reprioritised each
  COST   O(jobs · log waiting) ]]
local J = ns.J
ns.takes.reprioritise = { { 'jobs', ns.LIST, 500, each = ns.NAME, within = 128 }, { 'priority', ns.COUNT, 255 } }

local function reprioritise_one(cell, id, priority)
  local job = cell:record('jobs', id)
  if not job then return 'NS_NO_SUCH_JOB' end
  if job[J.finished_ms] > 0 then return 'NS_JOB_FINISHED' end
  if job[J.status] ~= 'queued' and job[J.status] ~= 'delayed' then return 'NS_JOB_STARTED' end
  local before = job[J.priority]
  if job[J.status] == 'queued' then
    local returned = string.sub(job[J.order], 1, 1) == '0'
    ns.pull(cell, id, job)
    job[J.priority] = priority
    ns.push(cell, id, job, returned)
  else
    job[J.priority] = priority
  end
  cell:job_event('job.reprioritised', id, job, { 'from', before, 'to', priority })
  cell:changed('jobs', id, job)
  return 'ok'
end

function ns.handlers.reprioritise(cell, request)
  local outcomes, priority = {}, request.priority
  cell:load('jobs', request.jobs)
  for position, id in ipairs(request.jobs) do outcomes[position] = { id, reprioritise_one(cell, id, priority) } end
  return { jobs = outcomes }
end
