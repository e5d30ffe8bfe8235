--[[ list_jobs: ids of jobs in one state, a page at a time.
  KEYS   meta waiting leases delayed dead finished
  FLAGS  no-writes
  TAKES  index 'waiting' | 'leases' | 'delayed' | 'dead' | 'finished' · after: cursor of the page before, '' at first · count (≤ 500)
  GIVES  jobs list of ids · after: cursor, '' at the end
  EVENTS none
  COST   O(log jobs + count). Order: waiting by lane and order, the others by their time. ]]
local INDEXES = { waiting = true, leases = true, delayed = true, dead = true, finished = true }
local LANE_AND_ORDER = 33
ns.takes.list_jobs = { { 'index', ns.ONE_OF, INDEXES }, { 'after', ns.TEXT, 1024 }, { 'count', ns.COUNT, 500 } }

local function waiting_page(cell, after, count)
  local ids, from = {}, after == '' and '-' or '(' .. after
  local members = cell:read('ZRANGEBYLEX', 'waiting', from, '+', 'LIMIT', 0, count)
  for position, member in ipairs(members) do ids[position] = string.sub(member, LANE_AND_ORDER + 1) end
  return ids, #members == count and members[#members] or ''
end

-- Where a member that is gone by now stood among those of its score: they are ordered by text, so half of them is left out each time.
local function rank_behind(cell, name, score, member)
  local low, high = cell:read('ZCOUNT', name, '-inf', '(' .. score), cell:read('ZCOUNT', name, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cell:read('ZRANGE', name, middle, middle)[1] < member then low = middle + 1 else high = middle end
  end
  return low
end

-- The cursor names the last score and member seen, so that pages neither skip nor repeat jobs that share a score.
local function timed_page(cell, name, after, count)
  local rank = 0
  if after ~= '' then
    local score, member = string.match(after, '^(%d+) (.+)$')
    if not score then ns.refuse('NS_BAD_ARGUMENT', { 'field', 'after', 'want', 'cursor' }) end
    rank = cell:read('ZRANK', name, member)
    rank = rank and rank + 1 or rank_behind(cell, name, score, member)
  end
  local page = cell:read('ZRANGE', name, rank, rank + count - 1, 'WITHSCORES')
  local ids = {}
  for position = 1, #page, 2 do ids[#ids + 1] = page[position] end
  return ids, #ids == count and page[#page] .. ' ' .. ids[#ids] or ''
end

function ns.handlers.list_jobs(cell, request)
  local count = math.max(1, request.count)
  local ids, after
  if request.index == 'waiting' then
    ids, after = waiting_page(cell, request.after, count)
  else
    ids, after = timed_page(cell, request.index, request.after, count)
  end
  return { jobs = ids, after = after }
end
