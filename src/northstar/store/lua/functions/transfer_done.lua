--[[ transfer_done: last step: the other cell has the job; keep only a pointer here until its retention ends.
  KEYS   meta jobs bodies decisions lanes idle_lanes tenants deadlines finished transfers events
  FLAGS  allow-oom
  TAKES  jobs list (≤ 500) of {id, transfer}
  GIVES  jobs list of {id, 'ok' | 'replayed' | 'NS_NOT_IN_TRANSFER'}
  EVENTS job.moved each
  COST   O(jobs) ]]
local J, H, T = ns.J, ns.H, ns.T
ns.takes.transfer_done = { { 'jobs', ns.LIST, 500, of = { ns.JOB_ID, ns.TRANSFER } } }

local function depart(cell, wanted)
  local id, transfer = wanted.id, cell:record('transfers', wanted.id)
  local job = cell:record('jobs', id)
  if job and job[J.status] == 'moved' and job[J.settled] == wanted.transfer then return 'replayed' end
  if not transfer or not job or transfer[1] ~= wanted.transfer then return 'NS_NOT_IN_TRANSFER' end
  cell:drop('transfers', id)
  cell:drop('bodies', id)
  cell:drop('decisions', id)
  if job[J.start_by_ms] > 0 then cell:remove('deadlines', 's' .. id) end
  if job[J.finish_by_ms] > 0 then cell:remove('deadlines', 'f' .. id) end
  local tenant = cell:record('tenants', job[J.tenant])
  tenant[T.live] = tenant[T.live] - 1
  if tenant[T.live] > 0 then cell:changed('tenants', job[J.tenant], tenant) else cell:drop('tenants', job[J.tenant]) end
  ns.lane_loses(cell, job[J.lane])
  cell.hot[H.live] = cell.hot[H.live] - 1
  job[J.status], job[J.settled], job[J.finished_ms], job[J.machine] = 'moved', wanted.transfer, cell.now, transfer[2]
  cell:set_score('finished', id, cell.now + job[J.retention_ms])
  cell:job_event('job.moved', id, job, { 'target', transfer[2], 'transfer', wanted.transfer })
  cell:changed('jobs', id, job)
  return 'ok'
end

function ns.handlers.transfer_done(cell, request)
  local outcomes = {}
  for position, wanted in ipairs(request.jobs) do outcomes[position] = { wanted.id, depart(cell, wanted) } end
  return { jobs = outcomes }
end
