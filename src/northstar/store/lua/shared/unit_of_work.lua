--[[ unit_of_work: a function reads through the cell and collects its writes; they are applied together at the end.
  needs: records refusal clock
  Valkey runs a function without interruption but does not roll back. So that no half transition can exist,
    1. reads see the function's own pending writes,
    2. `commit` packs everything first, touches every key that it will write and nothing has read yet with a command of its type
       (a foreign type fails here), and then only writes; none of these commands can fail any more.
  A refusal or a fault before `commit` has written nothing. ]]
local H = ns.H
local COUNT = { hash = 'HLEN', zset = 'ZCARD', stream = 'XLEN' }
local SLICE = 1000 -- values per command: far below Lua's limit of 8,000 results of unpack

local Cell = {}
ns.Cell = Cell
Cell.__index = Cell

function ns.open(names, keys, now, creating)
  if #keys ~= #names then ns.refuse('NS_KEYS_MISMATCH', { 'want', #names, 'got', #keys }) end
  local cell = setmetatable({ key = {}, sizes = {}, seen = { meta = true }, hashes = {}, zsets = {}, events = {}, bells = {}, rung = {} }, Cell)
  for position, name in ipairs(names) do
    cell.key[name] = keys[position]
    if ns.KIND[name] == 'hash' then
      cell.hashes[name] = { values = {}, records = {}, dirty = {}, list = {} }
    elseif ns.KIND[name] == 'zset' then
      cell.zsets[name] = { state = {}, list = {}, views = {}, added = {} }
    end
  end
  local meta = redis.call('HMGET', cell.key.meta, 'identity', 'limits', 'hot')
  if creating then return cell, meta end
  if not meta[1] then ns.refuse('NS_CELL_MISSING', { 'key', cell.key.meta }) end
  cell.identity, cell.limits, cell.hot = cmsgpack.unpack(meta[1]), cmsgpack.unpack(meta[2]), cmsgpack.unpack(meta[3])
  if cell.identity.schema ~= ns.SCHEMA then
    ns.refuse('NS_SCHEMA_UNSUPPORTED', { 'cell', cell.identity.schema, 'library', ns.SCHEMA })
  end
  ns.set_clock(cell, now)
  return cell
end

-- How many members a key had before this call.
function Cell:size(name)
  if not self.sizes[name] then
    self.sizes[name] = redis.call(COUNT[ns.KIND[name]], self.key[name])
    self.seen[name] = true
  end
  return self.sizes[name]
end

-- Every read goes through here, so that `commit` knows whose type is proved.
function Cell:read(command, name, ...)
  self.seen[name] = true
  return redis.call(command, self.key[name], ...)
end

-- Hashes -------------------------------------------------------------------------------------------------------------

function Cell:load(name, fields)
  local hash, wanted = self.hashes[name], {}
  for _, field in ipairs(fields) do
    if hash.values[field] == nil and hash.records[field] == nil then wanted[#wanted + 1] = field end
  end
  for first = 1, #wanted, SLICE do
    local last = math.min(first + SLICE - 1, #wanted)
    local values = self:read('HMGET', name, unpack(wanted, first, last))
    for position, value in ipairs(values) do hash.values[wanted[first + position - 1]] = value end
  end
end

-- The text of a field, or false.
function Cell:get(name, field)
  local values = self.hashes[name].values
  if values[field] == nil then values[field] = self:read('HGET', name, field) end
  return values[field]
end

function Cell:put(name, field, value)
  local hash = self.hashes[name]
  hash.values[field] = value
  if not hash.dirty[field] then
    hash.dirty[field] = true
    hash.list[#hash.list + 1] = field
  end
end

function Cell:drop(name, field)
  self.hashes[name].records[field] = false
  self:put(name, field, false)
end

-- The unpacked record of a field, or false. Whoever changes it says so with `changed`.
function Cell:record(name, field)
  local records = self.hashes[name].records
  if records[field] == nil then
    local text = self:get(name, field)
    records[field] = text and cmsgpack.unpack(text)
  end
  return records[field]
end

function Cell:changed(name, field, record)
  local hash = self.hashes[name]
  hash.records[field] = record
  if not hash.dirty[field] then
    hash.dirty[field] = true
    hash.list[#hash.list + 1] = field
  end
end

-- Sorted sets --------------------------------------------------------------------------------------------------------

function Cell:set_score(name, member, score)
  local zset = self.zsets[name]
  if zset.state[member] == nil then zset.list[#zset.list + 1] = member end
  zset.state[member] = score
end

function Cell:remove(name, member) self:set_score(name, member, false) end

function Cell:score(name, member)
  local pending = self.zsets[name].state[member]
  if pending ~= nil then return pending end
  local score = self:read('ZSCORE', name, member)
  return score and tonumber(score)
end

-- Members with a score up to `limit_score`, lowest first, at most `count`; the function's own removals are left out.
function Cell:due(name, limit_score, count)
  local members = {}
  if count <= 0 then return members end
  for _, member in ipairs(self:read('ZRANGEBYSCORE', name, '-inf', limit_score, 'LIMIT', 0, count)) do
    if self.zsets[name].state[member] == nil then members[#members + 1] = member end
  end
  return members
end

-- When something in a timed set falls due next, after `after`; may be early by what this call removes, never late.
function Cell:next_score(name, after)
  local first = self:read('ZRANGEBYSCORE', name, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  local best = first[2] and tonumber(first[2])
  for _, member in ipairs(self.zsets[name].list) do
    local score = self.zsets[name].state[member]
    if score and (not best or score < best) then best = score end
  end
  return best
end

-- Commit -------------------------------------------------------------------------------------------------------------

local function push_slices(writes, command, key, values, width)
  for first = 1, #values, SLICE * width do
    local last = math.min(first + SLICE * width - 1, #values)
    writes[#writes + 1] = { command, key, unpack(values, first, last) }
  end
end

local function hash_writes(cell, name, writes)
  local hash, kept, gone = cell.hashes[name], {}, {}
  for _, field in ipairs(hash.list) do
    local record = hash.records[field]
    local value = record and cmsgpack.pack(record) or hash.values[field]
    if value then
      kept[#kept + 1] = field
      kept[#kept + 1] = value
    else
      gone[#gone + 1] = field
    end
  end
  push_slices(writes, 'HDEL', cell.key[name], gone, 1)
  push_slices(writes, 'HSET', cell.key[name], kept, 2)
end

local function zset_writes(cell, name, writes)
  local zset, kept, gone = cell.zsets[name], {}, {}
  for _, member in ipairs(zset.list) do
    local score = zset.state[member]
    if score then
      kept[#kept + 1] = score
      kept[#kept + 1] = member
    else
      gone[#gone + 1] = member
    end
  end
  push_slices(writes, 'ZREM', cell.key[name], gone, 1)
  push_slices(writes, 'ZADD', cell.key[name], kept, 2)
end

function Cell:commit(names)
  local writes = {}
  self:put('meta', 'hot', cmsgpack.pack(self.hot))
  if #self.events > 0 then self:size('events') end
  for _, name in ipairs(names) do
    if self.hashes[name] then hash_writes(self, name, writes) elseif self.zsets[name] then zset_writes(self, name, writes) end
  end
  for _, name in ipairs(names) do
    local pending = self.hashes[name] or self.zsets[name]
    if pending and #pending.list > 0 and not self.seen[name] then self:size(name) end
  end
  for _, event in ipairs(self.events) do writes[#writes + 1] = event end
  for _, holder in ipairs(self.rung) do
    writes[#writes + 1] = { 'SPUBLISH', self.key.meta .. ':bell:' .. holder, cmsgpack.pack(self.bells[holder]) }
  end
  for _, write in ipairs(writes) do redis.call(unpack(write)) end
end

-- Ring a holder's bell after the commit. Bells are lossy; the once-a-second claim of parked machines makes up for one lost.
function Cell:ring(holder, word)
  if not self.bells[holder] then
    self.bells[holder] = {}
    self.rung[#self.rung + 1] = holder
  end
  local words = self.bells[holder]
  if #words < 512 then words[#words + 1] = word end
end

-- A time at which `tick` has work. Holders sleep until the earliest they know of; an earlier one rings them.
function Cell:expect_due(at_ms)
  local hot = self.hot
  if at_ms < hot[H.next_due_ms] then
    hot[H.next_due_ms] = at_ms
    self:ring('tick', math.max(at_ms - self.now, 0))
  end
end
