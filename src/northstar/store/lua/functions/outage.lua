--[[ outage: tell a cell on the virtual clock that nobody was there for a while: leases stand still for so long.
  KEYS   meta
  TAKES  gap_ms
  GIVES  skipped_ms in all
  REFUSES NS_CLOCK_ARGUMENT on a live cell, which sees gaps by itself
  EVENTS none
  COST   O(1) ]]
local H = ns.H
ns.takes.outage = { { 'gap_ms', ns.COUNT, ns.LONGEST_MS } }

function ns.handlers.outage(cell, request)
  if cell.identity.clock ~= 'virtual' then ns.refuse('NS_CLOCK_ARGUMENT', { 'clock', cell.identity.clock }) end
  cell.hot[H.skipped_ms] = cell.hot[H.skipped_ms] + request.gap_ms
  return { skipped_ms = cell.hot[H.skipped_ms] }
end
