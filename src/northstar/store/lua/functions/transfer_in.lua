--[[ transfer_in: second step: the job waits here. Idempotent by the transfer id.
  KEYS   meta jobs bodies decisions waiting ages heads backlog class_ages lanes classes fits vocabulary idle_lanes tenants idempotency deadlines
         finished machines candidates rankings parked wakes leases held arrivals pauses events
  FLAGS  allow-oom
  TAKES  nonce · jobs list (≤ 500) of {id, transfer, record (as `transfer_out` gave it), body, decision, lane as in `submit`'s lanes}
  GIVES  jobs list of {id, 'ok' | 'replayed' | refusal}; a job may come back to a cell that it left. A refused transfer stays refused:
         NS_JOB_EXISTS, NS_BODY_TOO_LARGE, NS_CELL_FULL, NS_TENANT_FULL, NS_EVENTS_BACKLOG, NS_UNKNOWN_WORD, later NS_TRANSFER_REFUSED
  REFUSES NS_TOO_MANY_LANES, NS_TOO_MANY_CLASSES
  EVENTS job.arrived each
  COST   O(jobs · log waiting). Age, priority, attempts and events go on where they were; the start tag is this cell's. ]]
local J, H, T = ns.J, ns.H, ns.T
ns.takes.transfer_in = { ns.NONCE, { 'jobs', ns.LIST, 500, of = {
  ns.JOB_ID, ns.TRANSFER, { 'record', ns.MAP, of = ns.MOVING }, { 'body', ns.TEXT, ns.MOST }, ns.DECISION,
  { 'lane', ns.MAP, of = ns.LANE } } } }

-- An arrival is remembered until `transfer_settled`, which follows the source's `transfer_done`; a year bounds what a crash between leaves.
local REMEMBER_MS = 366 * 86400000

-- Why the job cannot wait here, or nil.
local function refusal_of(cell, moved)
  local known, limits, tenant = cell:record('jobs', moved.id), cell.limits, cell:record('tenants', moved.record[J.tenant])
  if known and known[J.status] ~= 'moved' then return 'NS_JOB_EXISTS' end
  if #moved.body > limits.max_body_bytes then return 'NS_BODY_TOO_LARGE' end
  if cell.hot[H.live] >= limits.max_jobs then return 'NS_CELL_FULL' end
  if tenant and tenant[T.live] >= limits.max_tenant_jobs then return 'NS_TENANT_FULL' end
  if cell.hot[H.event] - cell.hot[H.committed_event] >= limits.max_events then return 'NS_EVENTS_BACKLOG' end
  if not cell:get('lanes', 'k' .. moved.lane.key) and ns.unknown_word(cell, moved.lane.words) then return 'NS_UNKNOWN_WORD' end
  return nil
end

local function arrive(cell, moved)
  local arrival, known = moved.transfer .. ' ' .. moved.id, cell:record('jobs', moved.id)
  if cell:score('arrivals', arrival) then return 'replayed' end
  if cell:score('arrivals', '!' .. arrival) then return 'NS_TRANSFER_REFUSED' end
  local refusal = refusal_of(cell, moved)
  if refusal then
    -- Said once and kept to: the source takes the job back, and a late repetition must not bring it here as well.
    cell:set_score('arrivals', '!' .. arrival, cell.now + REMEMBER_MS)
    return refusal
  end
  if known then cell:remove('finished', moved.id) end
  local job = moved.record
  local tenant = cell:record('tenants', job[J.tenant]) or { [T.finish_tag] = 0, [T.live] = 0 }
  tenant[T.live] = tenant[T.live] + 1
  job[J.tag] = math.max(cell.hot[H.virtual_time], tenant[T.finish_tag])
  tenant[T.finish_tag] = job[J.tag] + 1000
  cell:changed('tenants', job[J.tenant], tenant)
  cell.hot[H.sequence], cell.hot[H.live] = cell.hot[H.sequence] + 1, cell.hot[H.live] + 1
  job[J.sequence], job[J.lane] = cell.hot[H.sequence], ns.lane_of(cell, moved.lane)
  -- The other cell's clock may be ahead; a job from the future would look younger than it is.
  job[J.submitted_ms] = math.min(job[J.submitted_ms], cell.now)
  ns.place(cell, job[J.lane], moved.lane)
  if job[J.start_by_ms] > 0 then cell:set_score('deadlines', 's' .. moved.id, job[J.start_by_ms]) end
  if job[J.finish_by_ms] > 0 then cell:set_score('deadlines', 'f' .. moved.id, job[J.finish_by_ms]) end
  if job[J.idempotency_key] ~= '' then
    cell:put('idempotency', job[J.tenant] .. '\0' .. job[J.idempotency_key], job[J.digest] .. ' ' .. moved.id)
  end
  ns.lane_gains(cell, job[J.lane])
  ns.push(cell, moved.id, job, false)
  cell:changed('jobs', moved.id, job)
  cell:put('bodies', moved.id, moved.body)
  if moved.decision and moved.decision ~= '' then cell:put('decisions', moved.id, moved.decision) end
  cell:set_score('arrivals', arrival, cell.now + REMEMBER_MS)
  job[J.events] = job[J.events] + 1 -- the number of `job.moved`, which the cell that it left writes
  cell:job_event('job.arrived', moved.id, job, { 'transfer', moved.transfer })
  return 'ok'
end

function ns.handlers.transfer_in(cell, request)
  local outcomes = {}
  for position, moved in ipairs(request.jobs) do outcomes[position] = { moved.id, arrive(cell, moved) } end
  ns.hand_over(cell, request.nonce)
  return { jobs = outcomes }
end
