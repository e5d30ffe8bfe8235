--[[ choosing: which waiting job a machine takes next.
  needs: records unit_of_work ordered_index lanes leases overdue
  The first head, in order, among the machine's candidates that have waited their ready-after; but before it the oldest job here that was
  submitted `overdue_ms` or longer before that one, and where no candidate is ready the oldest that is `overdue_ms` old.
  The cost depends on the machine's at most 64 candidates, not on waiting jobs or other lanes. ]]
local J, M, L = ns.J, ns.M, ns.L
local BLOCKED_MS = 800 -- what blocks a machine may be taken or canceled elsewhere, and nobody tells the machine; with a late tick under 1 s

local function candidate_lane(cell, machine_id, machine)
  local best, best_lane, wake
  for _, choice in ipairs(cell:record('candidates', machine_id) or {}) do
    local order, age = ns.head(cell, choice[1])
    if order and choice[3] <= ns.vram_free(machine)
      and not (cell.pauses and ns.paused(cell, cell:record('lanes', choice[1])[L.pool])) then
      local ready_ms = choice[2] == 0 and 0 or tonumber(age, 16) + choice[2]
      if ready_ms <= cell.now then
        if not best or order < best then best, best_lane = order, choice[1] end
      elseif not wake or ready_ms < wake then
        wake = ready_ms
      end
    end
  end
  return best_lane, wake
end

local function sooner(one, other)
  if one and other then return math.min(one, other) end
  return one or other
end

-- Read the heads of all candidates at once, and what is paused.
function ns.prepare_choice(cell, machine_id)
  local lanes = {}
  for _, choice in ipairs(cell:record('candidates', machine_id) or {}) do lanes[#lanes + 1] = choice[1] end
  cell:load('heads', lanes)
  if cell:size('pauses') > 0 and not cell.pauses then
    cell.pauses = {}
    for _, scope in ipairs(cell:read('HKEYS', 'pauses')) do cell.pauses[scope] = true end
  end
end

-- A job id, or nil and when it is worth looking again, if the caller wants to know (nothing: only a change will help).
function ns.choose(cell, machine_id, machine, wants_wake)
  if cell.pauses and cell.pauses['cell'] then return nil end
  local ready_lane, wake_ms = candidate_lane(cell, machine_id, machine)
  local ready = ready_lane and ns.first_in_order(cell, ready_lane)
  local lane = ns.overdue_lane(cell, machine, ready and cell:record('jobs', ready)[J.submitted_ms] or cell.now)
  if lane == 'blocked' then return nil, cell.now + BLOCKED_MS end
  if lane then return ns.oldest_in_lane(cell, lane) end
  if ready then return ready end
  return nil, wants_wake and sooner(ns.next_overdue_ms(cell, machine), wake_ms)
end

-- Jobs under a lease as their machine gets them.
function ns.claimed(cell, ids)
  local jobs = {}
  cell:load('bodies', ids)
  for position, id in ipairs(ids) do
    local job = cell:record('jobs', id)
    jobs[position] =
      { id, job[J.token], job[J.attempts] + 1, job[J.recoveries], cell.limits.lease_ms, cell:get('bodies', id) or '' }
  end
  return jobs
end

-- Take up to `credits` jobs for a machine; gives their ids and when to look again if fewer were found. To offer, that
-- time is looked up only where nothing was found: a machine with an offer is parked no longer.
function ns.take(cell, machine_id, machine, credits, status, nonce)
  local taken = {}
  if machine[M.status] ~= 'active' then return taken end
  ns.prepare_choice(cell, machine_id)
  while #taken < credits and machine[M.used] < machine[M.slots] do
    local id, wake_ms = ns.choose(cell, machine_id, machine, status == 'running' or #taken == 0)
    if not id then return taken, wake_ms end
    ns.lease(cell, id, machine_id, machine, status, nonce, #taken + 1)
    taken[#taken + 1] = id
  end
  return taken
end
