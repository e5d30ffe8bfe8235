--[[ list_tokens: tokens of machines, a page at a time, without their secrets.
  KEYS   meta tokens tokens_due machines
  FLAGS  no-writes
  TAKES  after: cursor of the page before, '' at first · count (≤ 500)
  GIVES  tokens list of {id, machine, status, pools, region, tags, dedicated_to, invite, joined_ms, seen_ms, by, about, here}
         after: cursor, '' at the end · now_ms
  EVENTS none
  COST   O(log tokens + count). Those that go first come first; one whose machine comes or goes between two pages may be seen twice. ]]
local K = ns.K
ns.takes.list_tokens = { { 'after', ns.TEXT, 256 }, { 'count', ns.COUNT, 500 } }

function ns.handlers.list_tokens(cell, request)
  local ids, after = cell:page('tokens_due', request.after, math.max(1, request.count))
  local found, names = {}, {}
  cell:load('tokens', ids)
  for position, id in ipairs(ids) do
    local token = cell:record('tokens', id)
    names[position] = token[K.machine]
    found[position] = { id, unpack(token, K.machine, K.about) }
  end
  cell:load('machines', names)
  for position, name in ipairs(names) do found[position][13] = cell:get('machines', name) and true or false end
  return { tokens = found, after = after, now_ms = cell.now }
end
