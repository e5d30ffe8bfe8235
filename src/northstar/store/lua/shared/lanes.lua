--[[ lanes: where jobs wait, and which of them comes first.
  needs: records unit_of_work ordered_index words bells
  waiting   lane, order, job          the jobs of a lane in the order in which they are taken
  ages      lane, submitted, sequence, job   the same jobs by age
  heads     lane -> order of its first job and age of its oldest: what a claim compares, one read for all candidates
  backlog   class, age of the lane's oldest, lane   each class's lanes by their oldest job
  class_ages   class -> age of its oldest job, for classes that some profile serves: where a claim finds what is overdue

  Order, as text: returned jobs first, then priority (high first), then the tenant's start tag, then sequence. ]]
local J, L, C = ns.J, ns.L, ns.C
local hex = ns.hex
local ORDER = 27 -- characters of an order: 1 returned, 2 priority, 14 tag (all whole numbers that a double holds), 10 sequence
local AGE = 11 -- characters of an age: ms since epoch

function ns.order(job, returned)
  return (returned and '0' or '1') .. hex(255 - job[J.priority], 2) .. hex(job[J.tag], 14) .. hex(job[J.sequence], 10)
end

local function age_member(id, job) return job[J.lane] .. hex(job[J.submitted_ms], AGE) .. hex(job[J.sequence], 10) .. id end

-- Order of the lane's first job and age (hex) of its oldest, or nil when nobody waits there.
function ns.head(cell, lane)
  local text = cell:get('heads', lane)
  if not text then return nil end
  return text, string.sub(text, ORDER + 1)
end

-- A class that nobody serves is left out, so that no claim has to pass it.
local function note_age(cell, class)
  if cell:record('classes', class)[C.served] ~= 1 then return end
  local oldest = cell:first('backlog', class)
  if oldest then
    cell:set_score('class_ages', class, tonumber(string.sub(oldest, 7, 6 + AGE), 16))
  else
    cell:remove('class_ages', class)
  end
end

-- After a change in `waiting` and `ages`: what the claim compares, and the class's view of the lane.
local function settle(cell, lane)
  local first, oldest = cell:first('waiting', lane), cell:first('ages', lane)
  local _, age_before = ns.head(cell, lane)
  local age = oldest and string.sub(oldest, 7, 6 + AGE)
  if age ~= age_before then
    local class = cell:record('lanes', lane)[L.class]
    if age_before then cell:index_remove('backlog', class .. age_before .. lane) end
    if age then cell:index_add('backlog', class .. age .. lane) end
    note_age(cell, class)
  end
  if age then cell:put('heads', lane, string.sub(first, 7, 6 + ORDER) .. age) else cell:drop('heads', lane) end
end

function ns.push(cell, id, job, returned)
  job[J.status], job[J.order] = 'queued', ns.order(job, returned)
  cell:index_add('waiting', job[J.lane] .. job[J.order] .. id)
  cell:index_add('ages', age_member(id, job))
  settle(cell, job[J.lane])
  cell.touched = cell.touched or {}
  cell.touched[#cell.touched + 1] = job[J.lane]
  if job[J.events] > 0 then
    local overdue_ms = job[J.submitted_ms] + cell.limits.overdue_ms
    cell.back_overdue_ms = math.min(cell.back_overdue_ms or overdue_ms, overdue_ms)
  end
end

function ns.pull(cell, id, job)
  cell:index_remove('waiting', job[J.lane] .. job[J.order] .. id)
  cell:index_remove('ages', age_member(id, job))
  settle(cell, job[J.lane])
end

function ns.first_in_order(cell, lane)
  return string.sub(cell:first('waiting', lane), 7 + ORDER)
end

function ns.oldest_in_lane(cell, lane)
  return string.sub(cell:first('ages', lane), 7 + AGE + 10)
end

-- A lane lives as long as an unfinished job belongs to it, and `lane_ttl_ms` longer, so that a trickle of jobs keeps its place.
function ns.lane_gains(cell, lane)
  local record = cell:record('lanes', lane)
  record[L.live] = record[L.live] + 1
  if record[L.live] == 1 then cell:remove('idle_lanes', lane) end
  cell:changed('lanes', lane, record)
  return record
end

-- What a run of the lane takes, as its submitters say: an exponentially weighted mean, the latest counting for an eighth. `record` is the
-- lane's, which the caller has changed already.
local LATEST = 0.125

function ns.lane_expects(record, seconds)
  local mean = record[L.run_s]
  record[L.anchors] = record[L.anchors] or '' -- no hole in a record from before lanes had anchors
  record[L.run_s] = mean and mean + LATEST * (seconds - mean) or seconds
end

function ns.lane_loses(cell, lane)
  local record = cell:record('lanes', lane)
  record[L.live] = record[L.live] - 1
  if record[L.live] == 0 then cell:set_score('idle_lanes', lane, cell.now + cell.limits.lane_ttl_ms) end
  cell:changed('lanes', lane, record)
end

-- Lane and class of a submission; made when new, refused when their words are not declared ----------------------------

local function numbered(cell, name, counter, key, record, limit)
  local H = ns.H
  cell.hot[H[counter]] = cell.hot[H[counter]] + 1
  local id = ns.numeral(cell.hot[H[counter]])
  cell.numbered = cell.numbered or {}
  cell.numbered[name] = (cell.numbered[name] or 0) + 1 -- each has two fields: its record, and its text that names it
  if cell:size(name) / 2 + cell.numbered[name] > limit then ns.refuse('NS_TOO_MANY_' .. string.upper(counter), { 'limit', limit }) end
  cell:put(name, 'k' .. key, id)
  cell:changed(name, id, record)
  return id
end
ns.numbered = numbered

-- `wanted` = {key, class, pool, vram_mb, words, fits}: see `submit`.
function ns.lane_of(cell, wanted)
  local lane = cell:get('lanes', 'k' .. wanted.key)
  if lane then return lane end
  ns.expect_words(cell, wanted.words)
  local class = cell:get('classes', 'k' .. wanted.class)
  if not class then
    local record = { [C.key] = wanted.class, [C.pool] = wanted.pool, [C.vram_mb] = wanted.vram_mb, [C.served] = 0 }
    class = numbered(cell, 'classes', 'classes', wanted.class, record, cell.limits.max_classes)
  end
  cell:ring('tick', { 'plan' }) -- no machine has it among its candidates yet, unless the call places it
  local record = { [L.key] = wanted.key, [L.class] = class, [L.pool] = wanted.pool, [L.vram_mb] = wanted.vram_mb, [L.live] = 0,
    [L.anchors] = wanted.anchors or '' } -- JSON, read by policy alone; sizes are the first submitter's word, so they make no lane of their own
  return numbered(cell, 'lanes', 'lanes', wanted.key, record, cell.limits.max_lanes)
end

-- Remember whether a profile can serve a class. Decided once by policy.
function ns.decide_fit(cell, profile, class, fits)
  if cell:get('fits', profile .. class) then return end
  cell:put('fits', profile .. class, fits and '1' or '0')
  local record = cell:record('classes', class)
  if not fits or record[C.served] == 1 then return end
  record[C.served] = 1
  cell:changed('classes', class, record)
  note_age(cell, class)
end

function ns.fits(cell, profile, class)
  return cell:get('fits', profile .. class) == '1'
end
