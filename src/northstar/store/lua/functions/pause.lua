--[[ pause: nothing of a scope is given out until `resume`; what runs goes on.
  KEYS   meta pauses events
  TAKES  scope 'cell' | 'pool:NAME' · because · by
  GIVES  paused: false if it was already
  EVENTS cell.paused
  COST   O(1) ]]
ns.takes.pause = { { 'scope', ns.NAME, 128 }, { 'because', ns.TEXT, 500 }, { 'by', ns.TEXT, 128 } }

function ns.handlers.pause(cell, request)
  local scope = request.scope
  if scope ~= 'cell' and string.sub(scope, 1, 5) ~= 'pool:' then ns.refuse('NS_BAD_ARGUMENT', { 'field', 'scope', 'want', 'cell_or_pool' }) end
  if cell:record('pauses', scope) then return { paused = false } end
  if cell:size('pauses') >= 500 then ns.refuse('NS_TOO_MANY_PAUSES', { 'limit', 500 }) end
  cell:changed('pauses', scope, { cell.now, request.because, request.by })
  cell:machine_event('cell.paused', scope, { 'because', request.because, 'by', request.by })
  return { paused = true }
end
