--[[ claiming: what `claim` and `complete_and_claim` share.
  needs: choosing machines candidates leases ]]
local J, M = ns.J, ns.M

-- Jobs of the machine's latest claim, for a caller whose answer was lost. An offer keeps its own token when it is accepted.
local function claimed_before(cell, machine_id, machine, nonce)
  local ids = {}
  for _, id in ipairs(machine[M.accepted] or {}) do
    local job = cell:record('jobs', id)
    if job and job[J.status] == 'running' and job[J.machine] == machine_id then ids[#ids + 1] = id end
  end
  for _, id in ipairs(ns.held_by(cell, machine, 500)) do
    local job = cell:record('jobs', id)
    if job and job[J.status] == 'running' and string.find(job[J.token], '.' .. nonce .. '.', 1, true) then ids[#ids + 1] = id end
  end
  return ids
end

-- What goes beyond the credit stays an offer: a later claim accepts it, or it goes back uncharged.
local function accept_offers(cell, machine_id, machine, credits)
  local ids = {}
  for position = 1, math.min(credits, #machine[M.offers]) do ids[position] = machine[M.offers][position] end
  for _, id in ipairs(ids) do ns.accept(cell, id, machine_id, machine) end
  return ids
end

function ns.claim(cell, request, machine)
  local credits, nonce = request.credits, request.nonce
  ns.alive(cell, request.machine)
  if machine[M.nonce] == nonce then
    return { jobs = ns.claimed(cell, claimed_before(cell, request.machine, machine, nonce)), wake_ms = 0 }
  end
  machine[M.nonce] = nonce
  cell:changed('machines', request.machine, machine)
  ns.unpark(cell, request.machine, machine)
  local ids = accept_offers(cell, request.machine, machine, credits)
  machine[M.accepted] = {}
  for position, id in ipairs(ids) do machine[M.accepted][position] = id end
  local taken, wake_ms = ns.take(cell, request.machine, machine, credits - #ids, 'running', nonce)
  for _, id in ipairs(taken) do ids[#ids + 1] = id end
  local room = math.min(credits - #ids, machine[M.slots] - machine[M.used])
  if request.park and room > 0 and machine[M.status] == 'active' then
    ns.park(cell, request.machine, machine, room, wake_ms)
  end
  return { jobs = ns.claimed(cell, ids), wake_ms = wake_ms or 0 }
end

-- Candidates as policy writes them: {lane, ready_after_ms, preference}. What the machine's profile cannot serve is refused;
-- a lane that is gone by now is left out.
function ns.set_candidates(cell, machine_id, wanted)
  local machine = ns.machine(cell, machine_id)
  if #wanted > ns.MAX_CANDIDATES then ns.refuse('NS_TOO_MANY_CANDIDATES', { 'machine', machine_id, 'limit', ns.MAX_CANDIDATES }) end
  local L, lanes, pairs_, classes, choices = ns.L, {}, {}, {}, {}
  for position, choice in ipairs(wanted) do lanes[position] = choice[1] end
  cell:load('lanes', lanes)
  for _, choice in ipairs(wanted) do
    local lane = cell:record('lanes', choice[1])
    if lane then
      classes[#classes + 1] = lane[L.class]
      pairs_[#pairs_ + 1] = machine[M.profile] .. lane[L.class]
      choices[#choices + 1] = { choice[1], choice[2], lane[L.vram_mb], choice[3] }
    end
  end
  cell:load('fits', pairs_)
  for position, class in ipairs(classes) do
    if not ns.fits(cell, machine[M.profile], class) then
      ns.refuse('NS_LANE_DOES_NOT_FIT', { 'machine', machine_id, 'lane', choices[position][1] })
    end
  end
  ns.set_choices(cell, machine_id, choices)
end
