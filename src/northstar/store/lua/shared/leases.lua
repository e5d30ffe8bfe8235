--[[ leases: who works on a job, until when, and with which token.
  needs: records unit_of_work lanes machines events bells
  A token is "claims.nonce.position": the attempt number and a random lease id; every later write compares the whole of it. ]]
local J, M, L, H, T = ns.J, ns.M, ns.L, ns.H, ns.T

local function drop_offer(machine, id)
  local kept = {}
  for _, offered in ipairs(machine[M.offers]) do
    if offered ~= id then kept[#kept + 1] = offered end
  end
  machine[M.offers] = kept
end

-- It has started, and in time: losing its machine later does not make it late.
local function begin(cell, id, job)
  job[J.started_ms] = cell.now
  if job[J.start_by_ms] == 0 then return end
  cell:remove('deadlines', 's' .. id)
  job[J.start_by_ms] = 0
end

-- What a machine works on, for those who plan: {lane, count}, at most as many as it has slots.
local function note_work(machine, lane, change)
  local work = {}
  for _, known in ipairs(machine[M.work] or {}) do
    local count = known[2] + (known[1] == lane and change or 0)
    if known[1] == lane then change = 0 end
    if count > 0 then work[#work + 1] = { known[1], count } end
  end
  if change > 0 then work[#work + 1] = { lane, change } end
  machine[M.accepted] = machine[M.accepted] or {} -- no hole in a record from before this was kept
  machine[M.work] = work
end

-- Take a waiting job for a machine. status is 'running' (claimed) or 'offered' (handed over, not yet accepted).
function ns.lease(cell, id, machine_id, machine, status, nonce, position)
  local job = cell:record('jobs', id)
  ns.pull(cell, id, job)
  job[J.claims] = job[J.claims] + 1
  job[J.status], job[J.machine] = status, machine_id
  job[J.token] = job[J.claims] .. '.' .. nonce .. '.' .. position
  if status == 'running' then begin(cell, id, job) else machine[M.offers][#machine[M.offers] + 1] = id end
  local length = status == 'running' and cell.limits.lease_ms or cell.limits.offer_ms
  cell:set_score('leases', id, cell.lease_now + length)
  cell:expect_due(cell.now + length)
  cell:index_add('held', machine[M.number] .. id)
  machine[M.used] = machine[M.used] + 1
  note_work(machine, job[J.lane], 1)
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
  job[J.status] = 'running'
  begin(cell, id, job)
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
    cell:index_remove('held', machine[M.number] .. id)
    machine[M.used] = machine[M.used] - 1
    note_work(machine, job[J.lane], -1)
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
function ns.leased(cell, id, token, machine_id, verb)
  local job = cell:record('jobs', id)
  if not job then return nil, 'NS_NO_SUCH_JOB' end
  -- A token is no secret (events name it), so it counts only from the machine that it was given to.
  if job[J.token] == token and job[J.machine] ~= machine_id then return nil, 'NS_LEASE_LOST' end
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

-- Adds to the data of an event which run ends with it: its claim, which attempt of the work it was, since when, and what its machine
-- measured. Asked while the lease stands and before a failure is charged; an offer that nobody accepted was no run.
function ns.tell_run(data, job, report)
  if job[J.status] ~= 'running' then return data end
  local at = #data
  data[at + 1], data[at + 2], data[at + 3], data[at + 4] = 'claim', job[J.claims], 'attempt', job[J.attempts] + 1
  data[at + 5], data[at + 6] = 'started_ms', job[J.started_ms]
  if report and report ~= '' then data[at + 7], data[at + 8] = 'report', report end
  return data
end

-- Back to the front of its lane: the machine was lost, said no, or did not answer; `charge` counts it as a recovery.
function ns.give_back(cell, id, job, because, charge, report)
  local machine_id = job[J.machine]
  if charge then job[J.recoveries] = job[J.recoveries] + 1 end
  if charge and job[J.recoveries] > job[J.max_recoveries] then
    local told = ns.tell_run({ 'code', 'NS_MACHINES_LOST', 'machine', machine_id }, job)
    ns.finish(cell, id, job, 'failed', 'NS_MACHINES_LOST', 'lost with ' .. job[J.recoveries] .. ' machines while running')
    cell:job_event('job.failed', id, job, told)
  else
    local told = ns.tell_run({ 'because', because, 'machine', machine_id, 'recoveries', job[J.recoveries] }, job, report)
    if charge then told[#told + 1], told[#told + 2] = 'lost', true end
    ns.detach(cell, id, job)
    ns.push(cell, id, job, true)
    cell:job_event('job.returned', id, job, told)
  end
  cell:changed('jobs', id, job)
end
