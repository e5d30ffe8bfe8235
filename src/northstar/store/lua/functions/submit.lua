--[[ submit: accept one job or a batch, all or none, and hand work to parked machines at once.
  KEYS   meta jobs bodies decisions waiting ages heads backlog class_ages lanes classes fits vocabulary idle_lanes tenants idempotency deadlines
         machines candidates rankings parked wakes leases held pauses events
  TAKES  nonce random, for the tokens of offers
         lanes list of {key, class, pool, vram_mb, words, fits = {{profile, bool}}, placements = {{machine, ready_after_ms, preference}}}
         jobs list (≤ 500) of {id, lane (position in lanes), tenant, weight, cost, priority 0-255, max_attempts, max_recoveries,
         start_within_ms, finish_within_ms, backoff_base_ms, backoff_cap_ms, retention_ms, idempotency_key, digest, body, decision (optional:
         JSON, why policy sends it there)}; 0 and '' are "none"
  GIVES  jobs list of {id, replayed}
  REFUSES NS_JOB_EXISTS, NS_IDEMPOTENCY_REUSED, NS_BODY_TOO_LARGE, NS_UNKNOWN_WORD, NS_TENANT_FULL and NS_CELL_FULL with retry_after_ms,
         NS_EVENTS_BACKLOG, NS_TOO_MANY_LANES, NS_TOO_MANY_CLASSES
  EVENTS job.submitted each; job.offered for what was handed over
  COST   O(jobs · log waiting), and for lanes new to a machine O(64) each ]]
local J, H, T = ns.J, ns.H, ns.T
ns.takes.submit = { ns.NONCE, { 'lanes', ns.LIST, 500, of = ns.LANE }, { 'jobs', ns.LIST, 500, of = {
  ns.JOB_ID, { 'lane', ns.POSITIVE, 500 }, { 'tenant', ns.NAME, 128 }, { 'weight', ns.WEIGHT, 1000000 }, { 'cost', ns.NUMBER, 1000000 },
  { 'priority', ns.COUNT, 255 }, { 'max_attempts', ns.COUNT, 1000000 }, { 'max_recoveries', ns.COUNT, 1000000 },
  { 'start_within_ms', ns.COUNT, ns.LONGEST_MS }, { 'finish_within_ms', ns.COUNT, ns.LONGEST_MS },
  { 'backoff_base_ms', ns.NUMBER, ns.LONGEST_MS }, { 'backoff_cap_ms', ns.NUMBER, ns.LONGEST_MS },
  { 'retention_ms', ns.COUNT, ns.LONGEST_MS }, { 'idempotency_key', ns.NAME_OR_NONE, 512 }, { 'digest', ns.WORD, 128 },
  { 'body', ns.TEXT, ns.MOST }, -- its size is judged by the cell's own limit
  ns.DECISION,
} } }

-- The id under which this submission is known already, or nil.
local function replayed(cell, wanted)
  if wanted.idempotency_key ~= '' then
    local known = cell:get('idempotency', wanted.tenant .. '\0' .. wanted.idempotency_key)
    if known then
      local space = string.find(known, ' ', 1, true)
      if string.sub(known, 1, space - 1) == wanted.digest then return string.sub(known, space + 1) end
      ns.refuse('NS_IDEMPOTENCY_REUSED', { 'key', wanted.idempotency_key, 'job', string.sub(known, space + 1) })
    end
  end
  local job = cell:record('jobs', wanted.id)
  if not job then return nil end
  if job[J.digest] == wanted.digest and job[J.tenant] == wanted.tenant then return wanted.id end
  ns.refuse('NS_JOB_EXISTS', { 'job', wanted.id })
end

local function tenant_of(cell, name)
  local tenant = cell:record('tenants', name)
  if tenant then return tenant end
  tenant = { [T.finish_tag] = 0, [T.live] = 0 }
  cell:changed('tenants', name, tenant)
  return tenant
end

local function check_bounds(cell, wanted, tenant)
  local limits, hot = cell.limits, cell.hot
  if #wanted.body > limits.max_body_bytes then
    ns.refuse('NS_BODY_TOO_LARGE', { 'job', wanted.id, 'bytes', #wanted.body, 'limit', limits.max_body_bytes })
  end
  if tenant[T.live] >= limits.max_tenant_jobs then
    ns.refuse('NS_TENANT_FULL', { 'tenant', wanted.tenant, 'limit', limits.max_tenant_jobs,
      'retry_after_ms', ns.retry_after_ms(cell, tenant[T.live] - limits.max_tenant_jobs + 1) })
  end
  if hot[H.live] >= limits.max_jobs then
    ns.refuse('NS_CELL_FULL', { 'limit', limits.max_jobs, 'retry_after_ms', ns.retry_after_ms(cell, hot[H.live] - limits.max_jobs + 1) })
  end
end

-- One job's step in virtual time is bounded, so that tags stay whole numbers of a double for centuries.
local MAX_STEP = 10000000000

-- Start-time fair queueing (Goyal, Vin, Cheng 1996): start = max(virtual time, the tenant's last finish); finish = start + cost / weight.
local function start_tag(cell, wanted, tenant)
  local start = math.max(cell.hot[H.virtual_time], tenant[T.finish_tag])
  tenant[T.finish_tag] = start + math.max(1, math.min(MAX_STEP, math.floor(wanted.cost * 1000 / wanted.weight)))
  return start
end

local TAKEN_OVER = { 'tenant', 'priority', 'max_attempts', 'max_recoveries', 'backoff_base_ms', 'backoff_cap_ms', 'retention_ms',
  'idempotency_key', 'digest' }

local function fresh(cell, wanted, lane, tenant)
  local job = ns.blank_job()
  cell.hot[H.sequence] = cell.hot[H.sequence] + 1
  for position = 1, #TAKEN_OVER do
    local name = TAKEN_OVER[position]
    job[J[name]] = wanted[name]
  end
  job[J.lane], job[J.sequence], job[J.submitted_ms] = lane, cell.hot[H.sequence], cell.now
  job[J.tag] = start_tag(cell, wanted, tenant)
  if wanted.start_within_ms > 0 then
    job[J.start_by_ms] = cell.now + wanted.start_within_ms
    cell:set_score('deadlines', 's' .. wanted.id, job[J.start_by_ms])
    cell:expect_due(job[J.start_by_ms])
  end
  if wanted.finish_within_ms > 0 then
    job[J.finish_by_ms] = cell.now + wanted.finish_within_ms
    cell:set_score('deadlines', 'f' .. wanted.id, job[J.finish_by_ms])
    cell:expect_due(job[J.finish_by_ms])
  end
  return job
end

local function accept(cell, wanted, lane)
  local tenant = tenant_of(cell, wanted.tenant)
  check_bounds(cell, wanted, tenant)
  local job = fresh(cell, wanted, lane, tenant)
  tenant[T.live] = tenant[T.live] + 1
  cell:changed('tenants', wanted.tenant, tenant)
  cell.hot[H.live], cell.hot[H.submitted] = cell.hot[H.live] + 1, cell.hot[H.submitted] + 1
  ns.lane_expects(ns.lane_gains(cell, lane), wanted.cost)
  ns.push(cell, wanted.id, job, false)
  cell:changed('jobs', wanted.id, job)
  cell:put('bodies', wanted.id, wanted.body)
  if wanted.decision and wanted.decision ~= '' then cell:put('decisions', wanted.id, wanted.decision) end
  if wanted.idempotency_key ~= '' then
    cell:put('idempotency', wanted.tenant .. '\0' .. wanted.idempotency_key, wanted.digest .. ' ' .. wanted.id)
  end
  cell:job_event('job.submitted', wanted.id, job, { 'tenant', wanted.tenant, 'lane', lane, 'priority', wanted.priority })
end

function ns.handlers.submit(cell, request)
  local wanted_jobs, wanted_lanes = request.jobs, request.lanes
  if cell.hot[H.event] - cell.hot[H.committed_event] >= cell.limits.max_events then
    ns.refuse('NS_EVENTS_BACKLOG', { 'limit', cell.limits.max_events, 'retry_after_ms', 5000 })
  end
  local ids, keys, lanes, outcomes = {}, {}, {}, {}
  for position, wanted in ipairs(wanted_jobs) do ids[position] = wanted.id end
  for position, wanted in ipairs(wanted_lanes) do keys[position] = 'k' .. wanted.key end
  cell:load('jobs', ids)
  cell:load('lanes', keys)
  for position, wanted in ipairs(wanted_jobs) do
    local known = replayed(cell, wanted)
    if not known then
      local at = wanted.lane
      if not wanted_lanes[at] then ns.refuse('NS_BAD_ARGUMENT', { 'field', 'lane', 'job', wanted.id }) end
      if not lanes[at] then
        lanes[at] = ns.lane_of(cell, wanted_lanes[at])
        ns.place(cell, lanes[at], wanted_lanes[at])
      end
      accept(cell, wanted, lanes[at])
    end
    outcomes[position] = { known or wanted.id, known ~= nil }
  end
  ns.hand_over(cell, request.nonce)
  return { jobs = outcomes }
end
