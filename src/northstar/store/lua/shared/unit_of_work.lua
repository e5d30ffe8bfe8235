--[[ unit_of_work: a function reads through the cell and collects its writes; they are applied together at the end.
  needs: refusal clock
  Valkey runs a function without interruption but does not roll back. So that no half transition can exist,
    1. reads see the function's own pending writes,
    2. `commit` packs everything first, touches every key that it will write and nothing has read yet with a command of its type
       (a foreign type fails here), and then only writes; none of these commands can fail any more.
  A refusal or a fault before `commit` has written nothing.

  Half the time of a short call is the allocation of tables. So a part of the cell (one key) is opened when it is first used, and
  tables are made with room for all that they will hold: a table that grows is allocated anew at 1, 2, 4, 8 fields. ]]
local COUNT = { hash = 'HLEN', zset = 'ZCARD', stream = 'XLEN' }
local SLICE = 1000 -- values per command: far below Lua's limit of 8,000 results of unpack

local Cell = {}
ns.Cell = Cell
Cell.__index = Cell

-- The latest packed text of identity and limits with what it unpacks to: cells share their limits, and a call should not unpack
-- them anew. Keyed by the text itself, so it can never be stale; what is cached is never changed in place.
local unpacked = {}

-- The server for which each cell was opened, as this process of it remembers. Not part of the data, on purpose: a server that was
-- restarted, or a replica that became the primary while clients reconnected without noticing, does not know what the cell's identity
-- says, and its first caller must open the cell, which raises the epoch. So it is when a primary comes back after another one was.
-- On the virtual clock there is nobody to notice.
ns.opened = {}

local function cached(slot, text)
  local known = unpacked[slot]
  if not known or known.text ~= text then
    known = { text = text, value = cmsgpack.unpack(text) }
    unpacked[slot] = known
  end
  return known.value
end

function ns.open(spec, keys, now)
  if #keys ~= #spec.keys then ns.refuse('NS_KEYS_MISMATCH', { 'want', #spec.keys, 'got', #keys }) end
  local cell = setmetatable({
    keys = keys, at = spec.at, parts = { unpack(spec.unopened) }, opened = {}, events = {}, identity = false, limits = false, hot = false,
    now = false, lease_now = false, touched = false, placed = false, walks = false, pauses = false, rung = false, bells = false,
    back_overdue_ms = false, numbered = false,
  }, Cell)
  local meta = cell:read('HMGET', 'meta', 'identity', 'limits', 'hot')
  if spec.creating then return cell, meta end
  if not meta[1] then ns.refuse('NS_CELL_MISSING', { 'key', cell:key('meta') }) end
  cell.identity, cell.limits, cell.hot = cached('identity', meta[1]), cached('limits', meta[2]), cmsgpack.unpack(meta[3])
  if cell.identity.schema ~= ns.SCHEMA then
    ns.refuse('NS_SCHEMA_UNSUPPORTED', { 'cell', cell.identity.schema, 'library', ns.SCHEMA })
  end
  if cell.identity.clock == 'live' and ns.opened[cell:key('meta')] ~= cell.identity.server then
    ns.refuse('NS_CELL_NOT_OPEN', { 'key', cell:key('meta') })
  end
  ns.set_clock(cell, now)
  return cell
end

function Cell:key(name) return self.keys[self.at[name]] end

-- What this call knows and wants of one key. state: field -> text or false; member -> score or false. list: what was changed, in order.
-- seen: a command has proved the key's type. Of a hash, records: what was unpacked, marked: what is in the list. Of a sorted set,
-- prefixes: see ordered_index.
function Cell:part(name)
  local at = self.at[name]
  local part = self.parts[at]
  if not part then
    if ns.KIND[name] == 'hash' then
      part = { name = name, key = self.keys[at], state = {}, list = {}, seen = false, size = false, records = false, marked = false }
    else
      part = { name = name, key = self.keys[at], state = {}, list = {}, seen = false, size = false, prefixes = false }
    end
    self.parts[at] = part
    self.opened[#self.opened + 1] = part
  end
  return part
end

-- Every read goes through here, so that `commit` knows whose type is proved.
function Cell:read(command, name, ...)
  local part = self.parts[self.at[name]] or self:part(name)
  part.seen = true
  return redis.call(command, part.key, ...)
end

-- How many members a key had before this call.
function Cell:size(name)
  local part = self.parts[self.at[name]] or self:part(name)
  if not part.size then part.size = self:read(COUNT[ns.KIND[name]], name) end
  return part.size
end

-- Hashes -------------------------------------------------------------------------------------------------------------

function Cell:load(name, fields)
  local state, wanted = (self.parts[self.at[name]] or self:part(name)).state, {}
  for position = 1, #fields do
    local field = fields[position]
    if state[field] == nil then wanted[#wanted + 1] = field end
  end
  for first = 1, #wanted, SLICE do
    local last = math.min(first + SLICE - 1, #wanted)
    local values = self:read('HMGET', name, unpack(wanted, first, last))
    for position = 1, #values do state[wanted[first + position - 1]] = values[position] end
  end
end

-- The text of a field, or false.
function Cell:get(name, field)
  local state = (self.parts[self.at[name]] or self:part(name)).state
  if state[field] == nil then state[field] = self:read('HGET', name, field) end
  return state[field]
end

-- `marked` says of a changed field whether the server has it as far as this call knows: what it lacks need not be removed.
local function mark(part, field)
  local marked = part.marked
  if not marked then
    marked = {}
    part.marked = marked
  end
  if not marked[field] then
    marked[field] = part.state[field] == false and 'absent' or 'perhaps'
    part.list[#part.list + 1] = field
  end
end

function Cell:put(name, field, value)
  local part = self.parts[self.at[name]] or self:part(name)
  mark(part, field)
  part.state[field] = value
end

function Cell:drop(name, field)
  local part = self.parts[self.at[name]] or self:part(name)
  mark(part, field)
  if part.records then part.records[field] = false end
  part.state[field] = false
end

-- The unpacked record of a field, or false. Whoever changes it says so with `changed`.
function Cell:record(name, field)
  local part = self.parts[self.at[name]] or self:part(name)
  local records = part.records
  if not records then
    records = {}
    part.records = records
  end
  local record = records[field]
  if record == nil then
    local text = self:get(name, field)
    record = text and cmsgpack.unpack(text)
    records[field] = record
  end
  return record
end

function Cell:changed(name, field, record)
  local part = self.parts[self.at[name]] or self:part(name)
  mark(part, field)
  if not part.records then part.records = {} end
  part.records[field] = record
  part.state[field] = true
end

-- Sorted sets --------------------------------------------------------------------------------------------------------

function Cell:set_score(name, member, score)
  if score == nil then error('no score for ' .. member .. ' of ' .. name) end
  local part = self.parts[self.at[name]] or self:part(name)
  if part.state[member] == nil then part.list[#part.list + 1] = member end
  part.state[member] = score
end

function Cell:remove(name, member) self:set_score(name, member, false) end

function Cell:score(name, member)
  local pending = (self.parts[self.at[name]] or self:part(name)).state[member]
  if pending ~= nil then return pending end
  local score = self:read('ZSCORE', name, member)
  return score and tonumber(score)
end

-- Members with a score up to `limit_score`, lowest first, at most `count`; the function's own changes are left out.
function Cell:due(name, limit_score, count)
  local members = {}
  if count <= 0 then return members end
  local state = (self.parts[self.at[name]] or self:part(name)).state
  for _, member in ipairs(self:read('ZRANGEBYSCORE', name, '-inf', limit_score, 'LIMIT', 0, count)) do
    if state[member] == nil then members[#members + 1] = member end
  end
  return members
end

-- When something in a timed set falls due next, after `after`; may be early by what this call removes, never late.
function Cell:next_score(name, after)
  local first = self:read('ZRANGEBYSCORE', name, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  local best, part = first[2] and tonumber(first[2]), (self.parts[self.at[name]] or self:part(name))
  for _, member in ipairs(part.list) do
    local score = part.state[member]
    if score and (not best or score < best) then best = score end
  end
  return best
end
