--[[ statistics: the cell in numbers.
  KEYS   meta jobs waiting lanes machines parked leases delayed dead finished transfers pauses
  FLAGS  no-writes
  TAKES  lanes: how many of the lanes to count (≤ 500), those with an id after `after`
  GIVES  counts by name · lanes list of {id, key, pool, waiting} · after: where to go on ('' at the end); a page may be empty before the end
  EVENTS none
  COST   O(5,000 + lanes asked for · log waiting) ]]
local H, L = ns.H, ns.L
ns.takes.statistics = { { 'lanes', ns.COUNT, 500 }, { 'after', ns.NAME_OR_NONE, 16 } }

local HOT = { 'live', 'submitted', 'succeeded', 'failed', 'canceled', 'expired', 'event', 'committed_event', 'skipped_ms' }

local LOOKED_AT = 5000 -- numbers looked at in one call: lanes come and go, and their numbers are never used twice

local function load_lanes(cell, after, last)
  local ids = {}
  for number = after + 1, math.min(after + 500, last) do ids[#ids + 1] = ns.numeral(number) end
  cell:load('lanes', ids)
end

local function count_lanes(cell, limit, after)
  local lanes, number = {}, after == '' and 0 or tonumber(after, 36)
  if not number then ns.refuse('NS_BAD_ARGUMENT', { 'field', 'after', 'want', 'cursor' }) end
  local last = math.min(cell.hot[H.lanes], number + LOOKED_AT)
  while #lanes < limit and number < last do
    if number % 500 == 0 then load_lanes(cell, number, last) end
    number = number + 1
    local id = ns.numeral(number)
    local record = cell:record('lanes', id)
    if record then
      lanes[#lanes + 1] =
        { id, record[L.key], record[L.pool], cell:read('ZLEXCOUNT', 'waiting', '[' .. id, '(' .. id .. '\255'), record[L.live] }
    end
  end
  return lanes, number < cell.hot[H.lanes] and ns.numeral(number) or ''
end

function ns.handlers.statistics(cell, request)
  local counts = { now_ms = cell.now, epoch = cell.identity.epoch }
  for _, name in ipairs(HOT) do counts[name] = cell.hot[H[name]] end
  for _, name in ipairs({ 'waiting', 'leases', 'delayed', 'dead', 'finished', 'machines', 'parked', 'transfers', 'jobs', 'pauses' }) do
    counts[name .. '_size'] = cell:size(name)
  end
  local lanes, after = count_lanes(cell, request.lanes, request.after)
  return { counts = counts, lanes = lanes, after = after }
end
