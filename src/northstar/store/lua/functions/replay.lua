--[[ replay: dead letters go back to work, with their counters at zero.
  KEYS   meta jobs bodies waiting ages heads backlog class_ages lanes classes fits vocabulary idle_lanes tenants
         deadlines finished dead leases held machines candidates rankings parked wakes pauses events
  TAKES  nonce · jobs list (≤ 500) of {id, lane: as in `submit`'s lanes, for when the lane is gone}
  GIVES  jobs list of {id, 'ok' | refusal}; refusals: NS_NO_SUCH_JOB, NS_NOT_DEAD
  REFUSES NS_CELL_FULL, NS_EVENTS_BACKLOG, NS_UNKNOWN_WORD
  EVENTS job.replayed each; job.offered for what is handed over
  COST   O(jobs · log waiting). Deadlines of the first submission do not come back. ]]
local J, H, T = ns.J, ns.H, ns.T
ns.takes.replay = { ns.NONCE, { 'jobs', ns.LIST, 500, of = { ns.JOB_ID, { 'lane', ns.MAP, of = ns.LANE } } } }

local function revive(cell, id, wanted_lane)
  local job = cell:record('jobs', id)
  if not job then return 'NS_NO_SUCH_JOB' end
  if job[J.status] ~= 'failed' then return 'NS_NOT_DEAD' end
  job[J.lane] = ns.lane_of(cell, wanted_lane)
  ns.place(cell, job[J.lane], wanted_lane)
  job[J.attempts], job[J.recoveries], job[J.finished_ms], job[J.start_by_ms], job[J.finish_by_ms] = 0, 0, 0, 0, 0
  job[J.error_code], job[J.error_message], job[J.submitted_ms], job[J.settled] = '', '', cell.now, ''
  cell:remove('dead', id)
  cell:remove('finished', id)
  local tenant = cell:record('tenants', job[J.tenant]) or { [T.finish_tag] = 0, [T.live] = 0 }
  tenant[T.live] = tenant[T.live] + 1
  cell:changed('tenants', job[J.tenant], tenant)
  cell.hot[H.live], cell.hot[H.failed] = cell.hot[H.live] + 1, cell.hot[H.failed] - 1
  ns.lane_gains(cell, job[J.lane])
  ns.push(cell, id, job, false)
  cell:job_event('job.replayed', id, job)
  cell:changed('jobs', id, job)
  return 'ok'
end

function ns.handlers.replay(cell, request)
  local outcomes, jobs = {}, request.jobs
  if cell.hot[H.event] - cell.hot[H.committed_event] >= cell.limits.max_events then
    ns.refuse('NS_EVENTS_BACKLOG', { 'limit', cell.limits.max_events, 'retry_after_ms', 5000 })
  end
  if cell.hot[H.live] + #jobs > cell.limits.max_jobs then
    ns.refuse('NS_CELL_FULL', { 'limit', cell.limits.max_jobs, 'retry_after_ms', ns.retry_after_ms(cell, #jobs) })
  end
  for position, wanted in ipairs(jobs) do outcomes[position] = { wanted.id, revive(cell, wanted.id, wanted.lane) } end
  ns.hand_over(cell, request.nonce)
  return { jobs = outcomes }
end
