--[[ due: when time alone will next make work for `tick`.
  needs: unit_of_work records ]]
local H = ns.H
local BY_CLOCK = { 'deadlines', 'delayed', 'wakes' }
local BY_LEASES = { 'leases', 'alive' }
local LOOK_AGAIN_MS = 1000 -- every holder ticks at least this often, so that a lost bell costs no more
local PER_LEASE = 4 -- and so often in a lease: a silence of half a lease would count as an outage, and put leases off for ever

function ns.next_due(cell)
  local due = cell.now + math.min(LOOK_AGAIN_MS, math.floor(cell.limits.lease_ms / PER_LEASE))
  for _, name in ipairs(BY_CLOCK) do
    local score = cell:next_score(name, cell.now)
    if score and score < due then due = math.max(score, cell.now) end
  end
  for _, name in ipairs(BY_LEASES) do
    local score = cell:next_score(name, cell.lease_now)
    if score and score + cell.hot[H.skipped_ms] < due then due = math.max(score + cell.hot[H.skipped_ms], cell.now) end
  end
  return due
end
