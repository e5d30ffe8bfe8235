--[[ fields: what a request must look like; checked before anything is made of it, so that nothing malformed reaches a record.
  needs: refusal
  A function says in `ns.takes.NAME` which fields it takes: a list of {field, check, limit}. A check is {what is wanted, function}.
    of = SHAPE        the value, or each entry of the list, is a record of that shape
    each, within      each entry of the list passes that check with that limit
    optional = true   the field may be left out
  Fields that are not named are ignored: a newer caller may send more. ]]
ns.takes = {}
ns.LONGEST_MS, ns.MOST_MB, ns.MOST = 10 * 366 * 86400000, 1000000000, 9007199254740991

ns.TEXT = { 'text', function(value, limit) return type(value) == 'string' and #value <= limit end }

-- Becomes part of a member, a field or a channel, where control characters separate; '' means "none" and is no name.
ns.NAME = { 'name', function(value, limit)
  return type(value) == 'string' and value ~= '' and #value <= limit and not string.find(value, '%c')
end }

-- A process that hears of machines; `tick` is the bell of all.
ns.HOLDER = { 'name_but_tick', function(value, limit) return ns.NAME[2](value, limit) and value ~= 'tick' end }

ns.NAME_OR_NONE = { 'name_or_empty', function(value, limit)
  return type(value) == 'string' and #value <= limit and not string.find(value, '%c')
end }

-- Stands between separators, in tokens and in records of idempotency keys.
ns.WORD = { 'word', function(value, limit)
  return type(value) == 'string' and #value <= limit and string.find(value, '^[%w_-]+$') ~= nil
end }

-- Whole and not negative. Comparisons with NaN are false, so it is none of these.
ns.COUNT = { 'count', function(value, limit)
  return type(value) == 'number' and value >= 0 and value <= limit and value % 1 == 0
end }

ns.POSITIVE = { 'positive_count', function(value, limit)
  return type(value) == 'number' and value >= 1 and value <= limit and value % 1 == 0
end }

ns.NUMBER = { 'number', function(value, limit) return type(value) == 'number' and value >= 0 and value <= limit end }

ns.WEIGHT = { 'number_from_0.001', function(value, limit) return type(value) == 'number' and value >= 0.001 and value <= limit end }

ns.SHARE = { 'number_from_0_to_below_1', function(value) return type(value) == 'number' and value >= 0 and value < 1 end }

ns.FLAG = { 'flag', function(value) return type(value) == 'boolean' end }

ns.ONE_OF = { 'known_word', function(value, words) return type(value) == 'string' and words[value] == true end }

-- No holes (`#` stops somewhere before one), and no map: `next` is asked only whether there is anything at all.
ns.LIST = { 'list', function(value, limit)
  if type(value) ~= 'table' then return false end
  local length = #value
  return length <= limit and table.maxn(value) == length and (length > 0 or next(value) == nil)
end }

ns.MAP = { 'map', function(value) return type(value) == 'table' end }

local function bad(path, check, limit)
  local facts = { 'field', path, 'want', check[1] }
  if type(limit) == 'number' then facts[5], facts[6] = 'limit', string.format('%.0f', limit) end
  ns.refuse('NS_BAD_ARGUMENT', facts)
end

-- A shape as the loop below wants it, made once: names, tests and limits side by side, and apart from them what lies deeper.
local function prepared(shape)
  local ready = { names = {}, tests = {}, limits = {}, deeper = {} }
  for position = 1, #shape do
    local field = shape[position]
    local test = field[2][2]
    ready.names[position], ready.limits[position] = field[1], field[3] or 0
    ready.tests[position] = field.optional and function(value, limit) return value == nil or test(value, limit) end or test
    if field.each or field.of then ready.deeper[#ready.deeper + 1] = field end
  end
  shape.ready = ready
  return ready
end

local check_record

local function check_deeper(value, field, path)
  if value == nil then return end
  if field[2] == ns.MAP then return check_record(value, field.of, field[1]) end
  for at = 1, #value do
    if field.of then
      check_record(value[at], field.of, field[1])
    elseif not field.each[2](value[at], field.within) then
      bad(path .. '.' .. field[1] .. '.' .. at, field.each, field.within)
    end
  end
end

check_record = function(record, shape, path)
  if type(record) ~= 'table' then bad(path, ns.MAP) end
  local ready = shape.ready or prepared(shape)
  local names, tests, limits, deeper = ready.names, ready.tests, ready.limits, ready.deeper
  for position = 1, #names do
    if not tests[position](record[names[position]], limits[position]) then
      bad(path .. '.' .. names[position], shape[position][2], shape[position][3])
    end
  end
  for position = 1, #deeper do check_deeper(record[deeper[position][1]], deeper[position], path) end
end

-- The request of a call, unpacked and checked.
function ns.request_of(name, packed)
  local fine, request = pcall(cmsgpack.unpack, packed)
  if not fine then ns.refuse('NS_BAD_ARGUMENT', { 'field', 'request', 'want', 'msgpack' }) end
  check_record(request, ns.takes[name], 'request')
  return request
end
