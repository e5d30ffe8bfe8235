--[[ resume: end a pause; parked machines look again.
  KEYS   meta pauses lanes backlog agenda fitting parked wakes events
  FLAGS  allow-oom
  TAKES  scope · by
  GIVES  resumed: false if it was not paused
  EVENTS cell.resumed
  COST   O(classes + parked machines, at most 500 of them; the others look at their next claim) ]]
local H = ns.H
ns.takes.resume = { { 'scope', ns.NAME, 128 }, { 'by', ns.TEXT, 128 } }

function ns.handlers.resume(cell, request)
  local scope = request.scope
  if not cell:record('pauses', scope) then return { resumed = false } end
  cell:drop('pauses', scope)
  for number = 1, cell.hot[H.classes] do
    local oldest = cell:first('backlog', ns.hex(number, 6))
    if oldest then ns.lower(cell, string.sub(oldest, 18), string.sub(oldest, 7, 17)) end
  end
  for _, machine_id in ipairs(cell:due('parked', cell.now, 500)) do cell:set_score('wakes', machine_id, cell.now) end
  cell:expect_due(cell.now)
  cell:machine_event('cell.resumed', scope, { 'by', request.by })
  return { resumed = true }
end
