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

function ns.handlers.list_jobs(cell, request)
  local count = math.max(1, request.count)
  local ids, after
  if request.index == 'waiting' then
    ids, after = waiting_page(cell, request.after, count)
  else
    ids, after = cell:page(request.index, request.after, count)
  end
  return { jobs = ids, after = after }
end
