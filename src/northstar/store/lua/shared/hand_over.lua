--[[ hand_over: "route to the best machine" meets "workers pull".
  needs: choosing machines candidates lanes bells
  A claim that finds nothing parks. When work comes (submit, a returned job, a due time), the first still-parked machine of the lane's
  ranking chooses at once, by the same rules as a claim, and gets what it chose as an offer: a short lease that its holder hears of
  by a bell. An offer that is not accepted goes back to the front, uncharged. ]]
local M = ns.M
local BELL_BYTES = 16384 -- bodies in one bell
local MACHINES = 64 -- parked machines that are woken in one call; the others ask for themselves within a second
local LANES = 64 -- lanes looked at in one call; more are left to a tick that is due at once

-- What the bell says of an offer: the jobs themselves, so that work begins without another round, or just the machine when they
-- are too large for a message that may be lost.
local function offered(cell, machine_id, ids)
  local jobs, bytes = ns.claimed(cell, ids), 0
  for _, job in ipairs(jobs) do bytes = bytes + #job[6] end
  if bytes > BELL_BYTES then return machine_id end
  return { 'offer', machine_id, jobs }
end

-- Let a parked machine choose; true if it got something.
function ns.offer(cell, machine_id, nonce)
  local machine = ns.machine(cell, machine_id)
  if not machine then
    cell:remove('parked', machine_id)
    cell:remove('wakes', machine_id)
    return false
  end
  local taken, wake_ms = ns.take(cell, machine_id, machine, machine[M.wants], 'offered', nonce)
  if #taken == 0 then
    if wake_ms then
      cell:set_score('wakes', machine_id, wake_ms)
      cell:expect_due(wake_ms)
    else
      cell:remove('wakes', machine_id)
    end
    return false
  end
  ns.unpark(cell, machine_id, machine)
  cell:ring(machine[M.holder], offered(cell, machine_id, taken))
  return true
end

local function offer_lane(cell, lane, nonce)
  for _, member in ipairs(cell:range('rankings', lane, ns.MAX_CANDIDATES)) do
    local _, age = ns.head(cell, lane)
    if not age then return end
    local machine_id, ready_after_ms = ns.ranked_machine(member)
    if cell:score('parked', machine_id) then
      local ready_ms = tonumber(age, 16) + ready_after_ms
      if ready_ms <= cell.now then
        ns.offer(cell, machine_id, nonce)
      else
        local wake_ms = cell:score('wakes', machine_id)
        if not wake_ms or ready_ms < wake_ms then
          cell:set_score('wakes', machine_id, ready_ms)
          cell:expect_due(ready_ms)
        end
      end
    end
  end
end

-- Let parked machines look for themselves at a tick: for lanes beyond those that one call looks at, and for a job that came back and is
-- overdue now or soon: then it may go to machines that policy has not ranked for its lane.
local function wake_some(cell, at_ms)
  for _, machine_id in ipairs(cell:due('parked', cell.now, MACHINES)) do
    local wake_ms = cell:score('wakes', machine_id)
    if not wake_ms or at_ms < wake_ms then cell:set_score('wakes', machine_id, at_ms) end
  end
  cell:expect_due(at_ms)
end

-- Offer what this call put into lanes.
function ns.hand_over(cell, nonce)
  if cell:size('parked') == 0 then return end
  local seen, count = {}, 0
  for _, lane in ipairs(cell.touched or {}) do
    if not seen[lane] then
      seen[lane], count = true, count + 1
      if count > LANES then return wake_some(cell, cell.now) end
      offer_lane(cell, lane, nonce)
    end
  end
  if cell.back_overdue_ms then wake_some(cell, math.max(cell.now, cell.back_overdue_ms)) end
end
