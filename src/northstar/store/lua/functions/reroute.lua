--[[ reroute: waiting jobs go to another lane of this cell: to a pool that can serve them, or back to the one where they belong.
  KEYS   meta jobs bodies decisions waiting ages heads backlog class_ages lanes classes fits vocabulary idle_lanes deadlines
         machines candidates rankings parked wakes leases held pauses events
  FLAGS  allow-oom
  TAKES  nonce · because why, a short text · lanes as in `submit` · jobs list (≤ 500) of {id, from (the lane that policy looked at),
         lane (position in lanes), decision (why it goes there)}
  GIVES  jobs list of {id, 'ok' | 'same' | refusal}; refusals: NS_NO_SUCH_JOB, NS_JOB_STARTED, NS_JOB_FINISHED, NS_LANE_CHANGED
  REFUSES NS_UNKNOWN_WORD, NS_TOO_MANY_LANES, NS_TOO_MANY_CLASSES
  EVENTS job.rerouted each; job.offered for what was handed over
  COST   O(jobs · log waiting). Order, age, attempts and pause stay as they are. ]]
local J, L = ns.J, ns.L
ns.takes.reroute = { ns.NONCE, { 'because', ns.TEXT, 400 }, { 'lanes', ns.LIST, 500, of = ns.LANE }, { 'jobs', ns.LIST, 500, of = {
  ns.JOB_ID, { 'from', ns.NAME, 16 }, { 'lane', ns.POSITIVE, 500 }, ns.DECISION } } }

local function move(cell, id, job, lane)
  local queued, returned = job[J.status] == 'queued', string.sub(job[J.order], 1, 1) == '0'
  if queued then ns.pull(cell, id, job) end
  ns.lane_loses(cell, job[J.lane])
  job[J.lane] = lane
  ns.lane_gains(cell, lane)
  if queued then ns.push(cell, id, job, returned) end
end

local function reroute_one(cell, wanted, wanted_lane, because)
  local id = wanted.id
  local job = cell:record('jobs', id)
  if not job then return 'NS_NO_SUCH_JOB' end
  if job[J.finished_ms] > 0 then return 'NS_JOB_FINISHED' end
  if job[J.status] ~= 'queued' and job[J.status] ~= 'delayed' then return 'NS_JOB_STARTED' end
  if cell:get('lanes', 'k' .. wanted_lane.key) == job[J.lane] then return 'same' end
  if job[J.lane] ~= wanted.from then return 'NS_LANE_CHANGED' end
  local from, lane = cell:record('lanes', job[J.lane])[L.pool], ns.lane_of(cell, wanted_lane)
  ns.place(cell, lane, wanted_lane)
  move(cell, id, job, lane)
  if wanted.decision and wanted.decision ~= '' then cell:put('decisions', id, wanted.decision) end
  cell:job_event('job.rerouted', id, job, { 'from', from, 'to', wanted_lane.pool, 'lane', lane, 'because', because })
  cell:changed('jobs', id, job)
  return 'ok'
end

function ns.handlers.reroute(cell, request)
  local outcomes, ids = {}, {}
  for position, wanted in ipairs(request.jobs) do ids[position] = wanted.id end
  cell:load('jobs', ids)
  for position, wanted in ipairs(request.jobs) do
    local lane = request.lanes[wanted.lane]
    if not lane then ns.refuse('NS_BAD_ARGUMENT', { 'field', 'lane', 'job', wanted.id }) end
    outcomes[position] = { wanted.id, reroute_one(cell, wanted, lane, request.because) }
  end
  ns.hand_over(cell, request.nonce)
  return { jobs = outcomes }
end
