--[[ leases: who works on a job, until when, and with which token.
  needs: records unit_of_work lanes machines events
  A token is "claims.nonce.position": the attempt number and a random lease id; every later write compares the whole of it. ]]
local J, M, L, H, T = ns.J, ns.M, ns.L, ns.H, ns.T

local function drop_offer(machine, id)
  local kept = {}
  for _, offered in ipairs(machine[M.offers]) do
    if offered ~= id then kept[#kept + 1] = offered end
  end
  machine[M.offers] = kept
end

-- Take a waiting job for a machine. status is 'running' (claimed) or 'offered' (handed over, not yet accepted).
function ns.lease(cell, id, machine_id, machine, status, nonce, position)
  local job = cell:record('jobs', id)
  ns.pull(cell, id, job)
  job[J.claims] = job[J.claims] + 1
  job[J.status], job[J.machine] = status, machine_id
  job[J.token] = job[J.claims] .. '.' .. nonce .. '.' .. position
  if status == 'running' then job[J.started_ms] = cell.now else machine[M.offers][#machine[M.offers] + 1] = id end
  local length = status == 'running' and cell.limits.lease_ms or cell.limits.offer_ms
  cell:set_score('leases', id, cell.lease_now + length)
  cell:expect_due(cell.now + length)
  cell:index_add('held', machine[M.number] .. id)
  machine[M.used] = machine[M.used] + 1
  machine[M.vram_used_mb] = machine[M.vram_used_mb] + cell:record('lanes', job[J.lane])[L.vram_mb]
  cell:changed('machines', machine_id, machine)
  cell.hot[H.virtual_time] = math.max(cell.hot[H.virtual_time], job[J.tag])
  cell:job_event(status == 'running' and 'job.started' or 'job.offered', id, job,
    { 'machine', machine_id, 'claim', job[J.claims], 'token', job[J.token] })
  cell:changed('jobs', id, job)
  return job
end

function ns.accept(cell, id, machine_id, machine)
  local job = cell:record('jobs', id)
  job[J.status], job[J.started_ms] = 'running', cell.now
  drop_offer(machine, id)
  cell:changed('machines', machine_id, machine)
  cell:set_score('leases', id, cell.lease_now + cell.limits.lease_ms)
  cell:job_event('job.started', id, job, { 'machine', machine_id, 'claim', job[J.claims], 'token', job[J.token] })
  cell:changed('jobs', id, job)
  return job
end

-- End the lease, whatever comes next. The machine may be gone already.
local function end_lease(cell, id, job)
  local machine_id = job[J.machine]
  local machine = ns.machine(cell, machine_id)
  cell:remove('leases', id)
  if machine then
    cell:remove('held', machine[M.number] .. id)
    machine[M.used] = machine[M.used] - 1
    machine[M.vram_used_mb] = machine[M.vram_used_mb] - cell:record('lanes', job[J.lane])[L.vram_mb]
    if job[J.status] == 'offered' then drop_offer(machine, id) end
    cell:changed('machines', machine_id, machine)
  end
  job[J.token], job[J.machine] = '', ''
end

-- Take a job out of the place that its status names.
function ns.detach(cell, id, job)
  local status = job[J.status]
  if status == 'queued' then
    ns.pull(cell, id, job)
  elseif status == 'delayed' then
    cell:remove('delayed', id)
    job[J.due_ms] = 0
  elseif status == 'running' or status == 'offered' then
    end_lease(cell, id, job)
  end
end

-- Compare a token with the job's; gives the job, or nil and the name of the refusal. `verb` is the end that the caller wants to put
-- to the lease: only the same end told again is a repeat, so that nobody takes a result that was dropped for one that was kept.
function ns.leased(cell, id, token, verb)
  local job = cell:record('jobs', id)
  if not job then return nil, 'NS_NO_SUCH_JOB' end
  if job[J.token] == token and job[J.status] == 'running' then return job end
  if job[J.token] == token and job[J.status] == 'offered' then
    -- The bell told the machine what it was offered, and it has begun: naming the token accepts the offer.
    return ns.accept(cell, id, job[J.machine], ns.machine(cell, job[J.machine]))
  end
  if verb and job[J.settled] == verb .. ' ' .. token then return nil, 'replayed' end
  if job[J.status] == 'canceled' then return nil, 'NS_JOB_CANCELED' end
  if job[J.finished_ms] > 0 then return nil, 'NS_JOB_FINISHED' end
  return nil, 'NS_LEASE_LOST'
end

-- A job's last state. It stays readable until its retention ends.
function ns.finish(cell, id, job, status, code, message)
  ns.detach(cell, id, job)
  job[J.status], job[J.finished_ms] = status, cell.now
  job[J.error_code], job[J.error_message] = code or '', ns.cut(message or '', 2048)
  if job[J.start_by_ms] > 0 then cell:remove('deadlines', 's' .. id) end
  if job[J.finish_by_ms] > 0 then cell:remove('deadlines', 'f' .. id) end
  if status == 'failed' then cell:set_score('dead', id, cell.now) end
  local keep = status == 'failed' and cell.limits.dead_retention_ms or job[J.retention_ms]
  cell:set_score('finished', id, cell.now + keep)
  local tenant = cell:record('tenants', job[J.tenant])
  tenant[T.live] = tenant[T.live] - 1
  cell:changed('tenants', job[J.tenant], tenant)
  ns.lane_loses(cell, job[J.lane])
  local hot = cell.hot
  hot[H.live] = hot[H.live] - 1
  hot[H[status]] = hot[H[status]] + 1
  ns.count_finish(cell)
  cell:changed('jobs', id, job)
end

-- Back to the front of its lane: the machine was lost, said no, or did not answer; `charge` counts it as a recovery.
function ns.give_back(cell, id, job, because, charge)
  local machine_id = job[J.machine]
  if charge then job[J.recoveries] = job[J.recoveries] + 1 end
  if charge and job[J.recoveries] > job[J.max_recoveries] then
    ns.finish(cell, id, job, 'failed', 'NS_MACHINES_LOST', 'lost with ' .. job[J.recoveries] .. ' machines while running')
    cell:job_event('job.failed', id, job, { 'code', 'NS_MACHINES_LOST', 'machine', machine_id })
  else
    ns.detach(cell, id, job)
    ns.push(cell, id, job, true)
    cell:job_event('job.returned', id, job, { 'because', because, 'machine', machine_id, 'recoveries', job[J.recoveries] })
  end
  cell:changed('jobs', id, job)
end

-- Finishes in the running 10 s and the 10 s before: what a refused submitter is told to wait is drawn from it.
function ns.count_finish(cell)
  local hot, WINDOW = cell.hot, 10000
  if cell.now - hot[H.window_ms] >= WINDOW then
    hot[H.window_before] = cell.now - hot[H.window_ms] < 2 * WINDOW and hot[H.window_finished] or 0
    hot[H.window_ms], hot[H.window_finished] = cell.now, 0
  end
  hot[H.window_finished] = hot[H.window_finished] + 1
end

-- Milliseconds until about `excess` jobs will have finished at the recent rate; between 1 s and 5 min.
function ns.retry_after_ms(cell, excess)
  local hot = cell.hot
  local recent, span = hot[H.window_finished] + hot[H.window_before], 10000 + math.min(cell.now - hot[H.window_ms], 10000)
  if recent == 0 then return 300000 end
  return math.max(1000, math.min(300000, math.ceil(excess * span / recent)))
end
