--[[ tick: do what time alone makes due. Any process may call it at any time; calling it twice does no harm.
  KEYS   meta jobs bodies results decisions waiting ages heads backlog class_ages lanes classes fits profiles idle_profiles node_sets
         idle_lanes tenants idempotency delayed deadlines finished dead leases held machines descriptions alive candidates rankings
         parked wakes residency holders fetches orders arrivals pauses invites invites_due tokens tokens_due events
  FLAGS  allow-oom
  TAKES  nonce · budget of changes in this call (≤ 500)
  GIVES  next_due_ms when to call again · more: the budget ran out, call again now · done list of {what, count}
  EVENTS job.returned, job.retried, job.expired, job.offered, machine.lost
  COST   O(budget · log jobs) ]]
local J, H = ns.J, ns.H
ns.takes.tick = { ns.NONCE, { 'budget', ns.COUNT, 500 } }

local function expired_leases(cell, id)
  local job = cell:record('jobs', id)
  if not job or (job[J.status] ~= 'running' and job[J.status] ~= 'offered') then
    cell:remove('leases', id)
  elseif job[J.status] == 'offered' then
    ns.give_back(cell, id, job, 'offer_not_accepted', false)
  else
    ns.give_back(cell, id, job, 'lease_expired', true)
  end
end

-- Costs one of the budget for each job that goes back.
local function lost_machine(cell, machine_id)
  local machine = ns.machine(cell, machine_id)
  local jobs = machine and machine[ns.M.used] or 0
  ns.remove_machine(cell, machine_id, 'machine.lost', 'silent', true)
  return 1 + jobs
end

local function retry_due(cell, id)
  local job = cell:record('jobs', id)
  ns.detach(cell, id, job)
  ns.push(cell, id, job, false)
  cell:job_event('job.retried', id, job, { 'attempts', job[J.attempts] })
  cell:changed('jobs', id, job)
end

local function deadline(cell, member)
  local kind, id = string.sub(member, 1, 1), string.sub(member, 2)
  local job = cell:record('jobs', id)
  local waits = job and (job[J.status] == 'queued' or job[J.status] == 'delayed' or job[J.status] == 'offered')
  -- A job on its way to another cell arrives with its deadlines, or comes back to them.
  if not job or job[J.finished_ms] > 0 or job[J.status] == 'leaving' or (kind == 's' and not waits) then
    cell:remove('deadlines', member)
    return
  end
  local machine_id, token = job[J.machine], job[J.token]
  local machine = machine_id ~= '' and ns.machine(cell, machine_id)
  if machine then cell:ring(machine[ns.M.holder], { 'cancel', id, token, machine_id }) end
  local code = kind == 's' and 'NS_NOT_STARTED_IN_TIME' or 'NS_NOT_FINISHED_IN_TIME'
  local told = ns.tell_run({ 'code', code, 'machine', machine_id }, job)
  ns.finish(cell, id, job, 'expired', code, 'the deadline that was set at submit has passed')
  cell:job_event('job.expired', id, job, told)
end

local function wake(cell, machine_id, nonce)
  if cell:score('parked', machine_id) then ns.offer(cell, machine_id, nonce) else cell:remove('wakes', machine_id) end
end

function ns.handlers.tick(cell, request)
  local budget, done = request.budget, {}
  local function each(what, name, upto, change)
    local count = 0
    for _, member in ipairs(cell:due(name, upto, budget)) do
      local cost = budget > 0 and (change(cell, member, request.nonce) or 1) or ns.STOP
      if cost == ns.STOP then break end
      budget, count = budget - cost, count + 1
    end
    if count > 0 then done[#done + 1] = { what, count } end
  end
  each('leases', 'leases', cell.lease_now, expired_leases)
  each('machines', 'alive', cell.lease_now, lost_machine)
  each('deadlines', 'deadlines', cell.now, deadline)
  each('retries', 'delayed', cell.now, retry_due)
  ns.hand_over(cell, request.nonce)
  each('wakes', 'wakes', cell.now, wake)
  each('purged', 'finished', cell.now, ns.purge)
  each('lanes', 'idle_lanes', cell.now, ns.drop_idle_lane)
  each('profiles', 'idle_profiles', cell.now, ns.forget_profile)
  each('arrivals', 'arrivals', cell.now, function(_, id) cell:remove('arrivals', id) end)
  each('invites', 'invites_due', cell.now, ns.forget_invite)
  each('tokens', 'tokens_due', cell.now, ns.forget_token)
  cell.hot[H.next_due_ms] = budget <= 0 and cell.now or ns.next_due(cell)
  return { next_due_ms = cell.hot[H.next_due_ms], more = budget <= 0, done = done, now_ms = cell.now }
end
