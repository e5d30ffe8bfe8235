--[[ commit: the end of a unit of work, where all of its writes happen.
  needs: unit_of_work ]]
local Cell = ns.Cell
local SLICE = 1000 -- values per command: far below Lua's limit of 8,000 results of unpack

-- What goes into a command is made text here (`.. ''`) or proved finite (`* 0`), so that a table, nil or NaN fails before anything
-- is written and not in the middle of it.

-- `write` is a command, its key and what follows, `width` values each, or nothing; a long one is cut.
local function push(writes, write, width)
  if not write then return end
  if #write <= SLICE * width + 2 then
    writes[#writes + 1] = write
    return
  end
  for first = 3, #write, SLICE * width do
    local last = math.min(first + SLICE * width - 1, #write)
    writes[#writes + 1] = { write[1], write[2], unpack(write, first, last) }
  end
end

local function hash_writes(part, key, writes)
  local kept, gone, records, marked = nil, nil, part.records, part.marked
  local list = part.list
  for position = 1, #list do
    local field = list[position]
    local record, value = records and records[field], part.state[field]
    if record then value = cmsgpack.pack(record) end
    if value then
      kept = kept or { 'HSET', key }
      kept[#kept + 1] = field .. ''
      kept[#kept + 1] = value .. ''
    elseif marked[field] ~= 'absent' then
      gone = gone or { 'HDEL', key }
      gone[#gone + 1] = field .. ''
    end
  end
  push(writes, gone, 1)
  push(writes, kept, 2)
end

local function zset_writes(part, key, writes)
  local kept, gone = nil, nil
  local list = part.list
  for position = 1, #list do
    local member = list[position]
    local score = part.state[member]
    if score then
      if score * 0 ~= 0 then error('the score of ' .. member .. ' is not finite') end
      kept = kept or { 'ZADD', key }
      kept[#kept + 1] = score
      kept[#kept + 1] = member .. ''
    elseif score == false then
      gone = gone or { 'ZREM', key }
      gone[#gone + 1] = member .. ''
    end -- nil: `index_remove` took back what this call had added
  end
  push(writes, gone, 1)
  push(writes, kept, 2)
end

function Cell:commit()
  local writes = {}
  self:put('meta', 'hot', cmsgpack.pack(self.hot))
  local opened, events = self.opened, self.events
  for position = 1, #opened do
    local part = opened[position]
    if #part.list > 0 then
      if not part.seen then self:size(part.name) end
      local collect = ns.KIND[part.name] == 'hash' and hash_writes or zset_writes
      collect(part, part.key, writes)
    end
  end
  if #events > 0 and not self:part('events').seen then self:size('events') end
  for position = 1, #events do writes[#writes + 1] = events[position] end
  for _, holder in ipairs(self.rung or {}) do
    writes[#writes + 1] = { 'SPUBLISH', self:key('meta') .. ':bell:' .. holder, cmsgpack.pack(self.bells[holder]) }
  end
  for position = 1, #writes do redis.call(unpack(writes[position])) end
end
