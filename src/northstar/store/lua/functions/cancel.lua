--[[ cancel: stop jobs wherever they are; nothing revives them.
  KEYS   meta jobs waiting ages heads backlog class_ages lanes classes idle_lanes tenants delayed deadlines finished
         dead leases held machines events
  FLAGS  allow-oom
  TAKES  jobs list (≤ 500) of ids · because
  GIVES  jobs list of {id, 'canceled' | 'already' | refusal}
  EVENTS job.canceled each. A running job's machine hears by bell ({'cancel', id, token}), else at its next renewal.
  COST   O(jobs · log waiting) ]]
local J, M = ns.J, ns.M
ns.takes.cancel = { { 'jobs', ns.LIST, 500, each = ns.NAME, within = 128 }, { 'because', ns.TEXT, 2048 } }

local function cancel_one(cell, id, because)
  local job = cell:record('jobs', id)
  if not job or job[J.status] == 'moved' then return 'NS_NO_SUCH_JOB' end
  if job[J.status] == 'canceled' then return 'already' end
  if job[J.status] == 'leaving' then return 'NS_JOB_IN_TRANSFER' end
  if job[J.finished_ms] > 0 then return 'NS_JOB_FINISHED' end
  local machine_id, token = job[J.machine], job[J.token]
  local machine = machine_id ~= '' and ns.machine(cell, machine_id)
  if machine then cell:ring(machine[M.holder], { 'cancel', id, token, machine_id }) end
  local told = ns.tell_run({ 'because', because, 'machine', machine_id }, job)
  ns.finish(cell, id, job, 'canceled', 'NS_JOB_CANCELED', because)
  cell:job_event('job.canceled', id, job, told)
  return 'canceled'
end

function ns.handlers.cancel(cell, request)
  local outcomes, because = {}, request.because
  cell:load('jobs', request.jobs)
  for position, id in ipairs(request.jobs) do outcomes[position] = { id, cancel_one(cell, id, because) } end
  return { jobs = outcomes }
end
