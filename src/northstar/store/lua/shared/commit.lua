--[[ commit: the end of a unit of work, where all of its writes happen.
  needs: unit_of_work ]]
local Cell = ns.Cell
local SLICE = 1000 -- values per command: far below Lua's limit of 8,000 results of unpack

-- What goes into a command is made text here (`.. ''`) or proved finite (`* 0`), so that a table, nil or NaN fails before anything
-- is written and not in the middle of it.

-- `write` is a command, its key and what follows, `width` values each; a long one is cut.
local function push(writes, write, width)
  if #write == 2 then return end
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
  local kept, gone, records = { 'HSET', key }, { 'HDEL', key }, part.records or {}
  for _, field in ipairs(part.list) do
    local record, value = records[field], part.state[field]
    if record then value = cmsgpack.pack(record) end
    if value then
      kept[#kept + 1] = field .. ''
      kept[#kept + 1] = value .. ''
    else
      gone[#gone + 1] = field .. ''
    end
  end
  push(writes, gone, 1)
  push(writes, kept, 2)
end

local function zset_writes(part, key, writes)
  local kept, gone = { 'ZADD', key }, { 'ZREM', key }
  for _, member in ipairs(part.list) do
    local score = part.state[member]
    if score then
      if score * 0 ~= 0 then error('the score of ' .. member .. ' is not finite') end
      kept[#kept + 1] = score
      kept[#kept + 1] = member .. ''
    else
      gone[#gone + 1] = member .. ''
    end
  end
  push(writes, gone, 1)
  push(writes, kept, 2)
end

function Cell:commit()
  local writes = {}
  self:put('meta', 'hot', cmsgpack.pack(self.hot))
  for _, part in ipairs(self.opened) do
    if #part.list > 0 then
      if not part.seen then self:size(part.name) end
      local collect = ns.KIND[part.name] == 'hash' and hash_writes or zset_writes
      collect(part, part.key, writes)
    end
  end
  if #self.events > 0 and not self:part('events').seen then self:size('events') end
  for _, event in ipairs(self.events) do writes[#writes + 1] = event end
  for _, holder in ipairs(self.rung or {}) do
    writes[#writes + 1] = { 'SPUBLISH', self:key('meta') .. ':bell:' .. holder, cmsgpack.pack(self.bells[holder]) }
  end
  for _, write in ipairs(writes) do redis.call(unpack(write)) end
end
