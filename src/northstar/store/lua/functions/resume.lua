--[[ resume: end a pause; parked machines look again.
  KEYS   meta parked wakes pauses events
  FLAGS  allow-oom
  TAKES  scope · by
  GIVES  resumed: false if it was not paused
  EVENTS cell.resumed
  COST   O(parked machines, at most 500 of them; the others look at their next claim) ]]
ns.takes.resume = { { 'scope', ns.NAME, 128 }, { 'by', ns.TEXT, 128 } }

function ns.handlers.resume(cell, request)
  local scope = request.scope
  if not cell:record('pauses', scope) then return { resumed = false } end
  cell:drop('pauses', scope)
  for _, machine_id in ipairs(cell:due('parked', cell.now, 500)) do cell:set_score('wakes', machine_id, cell.now) end
  cell:expect_due(cell.now)
  cell:machine_event('cell.resumed', scope, { 'by', request.by })
  return { resumed = true }
end
