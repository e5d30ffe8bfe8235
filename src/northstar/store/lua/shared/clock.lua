--[[ clock: the only place that asks what time it is.
  needs: records refusal
  live     the server's time; a caller's clock decides nothing, so the argument must be empty.
  virtual  the argument, for simulations and tests.
  Either way time never runs backwards. Leases run on `lease_now`, which stands still while nobody was there: after a gap
  longer than half a lease the server was down (nobody could renew), so all expiries shift by the gap. In virtual mode the
  gap is told by `outage`, because a simulation jumps from one due time to the next on purpose. ]]
local H = ns.H

function ns.set_clock(cell, argument)
  local reading
  if cell.identity.clock == 'live' then
    if argument ~= '' then ns.refuse('NS_CLOCK_ARGUMENT', { 'clock', 'live' }) end
    local time = redis.call('TIME')
    reading = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  else
    reading = tonumber(argument)
    if not (reading and reading >= 0 and reading <= 8640000000000) then ns.refuse('NS_CLOCK_ARGUMENT', { 'clock', 'virtual' }) end
    reading = math.floor(reading)
  end
  local hot = cell.hot
  local gap = reading - hot[H.last_ms]
  if cell.identity.clock == 'live' and hot[H.last_ms] > 0 and gap > cell.limits.lease_ms / 2 then
    hot[H.skipped_ms] = hot[H.skipped_ms] + gap
  end
  if gap > 0 then hot[H.last_ms] = reading end
  cell.now = hot[H.last_ms]
  cell.lease_now = cell.now - hot[H.skipped_ms]
end
