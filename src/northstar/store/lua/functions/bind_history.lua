--[[ bind_history: this history database takes the cell's events from now on, and no other one may trim them.
  KEYS   meta
  FLAGS  allow-oom
  TAKES  history: id of the database · place, host: where it is and who says so, for people · take: also when another one had them
  GIVES  bound: false if it was bound to it already · former: place of the one that had them, '' if none had
  REFUSES NS_HISTORY_ELSEWHERE when another one has them, unless it shall be taken
  EVENTS none
  COST   O(1) ]]
local B = ns.B
ns.takes.bind_history = { { 'history', ns.WORD, 64 }, { 'place', ns.TEXT, 500 }, { 'host', ns.TEXT, 128 }, { 'take', ns.FLAG } }

function ns.handlers.bind_history(cell, request)
  local known = cell:record('meta', 'history')
  local bond = request.take and known or ns.bond(cell, request.history)
  local same = bond and bond[B.history] == request.history
  local since_ms = same and bond[B.since_ms] or cell.now
  cell:changed('meta', 'history', { request.history, request.place, request.host, since_ms, '', '', 0 })
  return { bound = not same, former = bond and not same and bond[B.place] or '' }
end
