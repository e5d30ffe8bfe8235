--[[ tick: do what time alone makes due. Any process may call it at any time; calling it twice does no harm.
  KEYS   meta jobs bodies results waiting ages heads backlog agenda lanes classes fitting idle_lanes tenants idempotency deadlines
         finished dead delayed machines descriptions candidates rankings parked wakes leases held alive residency holders fetches
         arrivals pauses events
  FLAGS  allow-oom
  TAKES  nonce · budget of changes in this call (≤ 500)
  GIVES  next_due_ms when to call again · more: the budget ran out, call again now · done list of {what, count}
  EVENTS job.returned, job.retried, job.expired, job.offered, machine.lost
  COST   O(budget · log jobs) ]]
local J, L, H = ns.J, ns.L, ns.H
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

local function lost_machine(cell, machine_id) ns.remove_machine(cell, machine_id, 'machine.lost', 'silent', true) end

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
  if not job or job[J.finished_ms] > 0 or job[J.status] == 'leaving' or job[J.status] == 'moved' or (kind == 's' and not waits) then
    cell:remove('deadlines', member)
    return
  end
  local machine_id, token = job[J.machine], job[J.token]
  local machine = machine_id ~= '' and ns.machine(cell, machine_id)
  if machine then cell:ring(machine[ns.M.holder], { 'cancel', id, token, machine_id }) end
  local code = kind == 's' and 'NS_NOT_STARTED_IN_TIME' or 'NS_NOT_FINISHED_IN_TIME'
  ns.finish(cell, id, job, 'expired', code, 'the deadline that was set at submit has passed')
  cell:job_event('job.expired', id, job, { 'code', code, 'machine', machine_id })
end

local function wake(cell, machine_id, nonce)
  if cell:score('parked', machine_id) then ns.offer(cell, machine_id, nonce) else cell:remove('wakes', machine_id) end
end

-- A finished job goes when its retention is over and its last event is in the history.
local function purge(cell, id)
  local job = cell:record('jobs', id)
  if job and job[J.last_event] > cell.hot[H.committed_event] then
    cell:set_score('finished', id, cell.now + 1000)
    return
  end
  cell:remove('finished', id)
  cell:remove('dead', id)
  if job and job[J.idempotency_key] ~= '' then cell:drop('idempotency', job[J.tenant] .. '\0' .. job[J.idempotency_key]) end
  cell:drop('jobs', id)
  cell:drop('bodies', id)
  cell:drop('results', id)
end

local function drop_idle_lane(cell, lane)
  cell:remove('idle_lanes', lane)
  local record = cell:record('lanes', lane)
  if not record or record[L.live] > 0 then return end
  for _, member in ipairs(cell:range('rankings', lane, 500)) do
    local machine_id, kept = ns.ranked_machine(member), {}
    for _, choice in ipairs(cell:record('candidates', machine_id) or {}) do
      if choice[1] ~= lane then kept[#kept + 1] = choice end
    end
    ns.set_choices(cell, machine_id, kept)
  end
  cell:drop('lanes', 'k' .. record[L.key])
  cell:drop('lanes', lane)
end

function ns.handlers.tick(cell, request)
  local budget, done = request.budget, {}
  local function each(what, name, upto, change)
    local members = cell:due(name, upto, budget)
    for _, member in ipairs(members) do change(cell, member, request.nonce) end
    budget = budget - #members
    if #members > 0 then done[#done + 1] = { what, #members } end
  end
  each('leases', 'leases', cell.lease_now, expired_leases)
  each('machines', 'alive', cell.lease_now, lost_machine)
  each('deadlines', 'deadlines', cell.now, deadline)
  each('retries', 'delayed', cell.now, retry_due)
  ns.hand_over(cell, request.nonce)
  each('wakes', 'wakes', cell.now, wake)
  each('purged', 'finished', cell.now, purge)
  each('lanes', 'idle_lanes', cell.now, drop_idle_lane)
  each('arrivals', 'arrivals', cell.now, function(_, id) cell:remove('arrivals', id) end)
  cell.hot[H.next_due_ms] = budget <= 0 and cell.now or ns.next_due(cell)
  return { next_due_ms = cell.hot[H.next_due_ms], more = budget <= 0, done = done, now_ms = cell.now }
end
