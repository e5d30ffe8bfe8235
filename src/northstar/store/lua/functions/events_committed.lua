--[[ events_committed: the history writer has rows and offset up to here in SQL; the stream may forget them.
  KEYS   meta events
  FLAGS  allow-oom
  TAKES  epoch, event the latest committed; of an earlier epoch, what this server never had is left out · history: id of the database
  GIVES  backlog: events that still wait for the history
  REFUSES NS_BAD_ARGUMENT when it names an event that does not exist yet, NS_HISTORY_ELSEWHERE when another history has the events
  EVENTS none
  COST   O(events trimmed) ]]
local H = ns.H
ns.takes.events_committed = { { 'epoch', ns.COUNT, ns.MOST }, { 'event', ns.COUNT, ns.MOST },
  { 'history', ns.TEXT, 64, optional = true } }

function ns.handlers.events_committed(cell, request)
  ns.bond(cell, request.history or '')
  local event, epoch = request.event, request.epoch
  -- An earlier server's later events went with it; the numbers were given again, to events that nobody has committed yet.
  if epoch < cell.identity.epoch then event = math.min(event, cell.identity.epoch_began or cell.hot[H.event]) end
  if event > cell.hot[H.event] or epoch > cell.identity.epoch then
    ns.refuse('NS_BAD_ARGUMENT', { 'field', 'event', 'latest', cell.hot[H.event] })
  end
  if event > cell.hot[H.committed_event] then
    cell.hot[H.committed_event] = event
    -- By count, since an id would have to name the epoch in which each event was written: one too high drops what nobody has read.
    cell.events[#cell.events + 1] = { 'XTRIM', cell:key('events'), 'MAXLEN', '=', string.format('%.0f', cell.hot[H.event] - event) }
  end
  return { backlog = cell.hot[H.event] - cell.hot[H.committed_event] }
end
