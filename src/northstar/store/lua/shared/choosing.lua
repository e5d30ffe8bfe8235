--[[ choosing: which waiting job a machine takes next.
  needs: records unit_of_work ordered_index lanes leases
  Overdue work first (oldest first), then the first head, in order, among the machine's candidates that have waited their
  ready-after. The cost depends on the machine's at most 64 candidates, not on waiting jobs or other lanes. ]]
local J, M, L, C = ns.J, ns.M, ns.L, ns.C
local PROBES = 256 -- bounds of the agenda corrected in one look
local BLOCKED_MS = 1000 -- what blocks a machine may be taken or canceled elsewhere, and nobody tells the machine

local function vram_free(machine) return machine[M.vram_mb] - machine[M.vram_used_mb] end

local function paused(cell, pool) return cell.pauses and (cell.pauses['cell'] or cell.pauses['pool:' .. pool]) end

-- The lane whose oldest job is overdue and may run here; or nil and when to look again; or 'blocked': an overdue job fits the
-- machine but not what is free on it now, so nothing younger may take that room. Blocked, too, while bounds are left that this look
-- had no time to correct: behind one of them may be a job that nobody may overtake. The next look goes on.
local function overdue_lane(cell, machine)
  local profile, limit = machine[M.profile], cell.now - cell.limits.overdue_ms
  local passed = 0 -- entries at the front whose jobs need more than this machine has when it is empty; others of its profile may have it
  for _ = 1, PROBES do
    local entry = passed == 0 and cell:first('agenda', profile) or cell:range('agenda', profile, passed + 1)[passed + 1]
    if not entry then return nil end
    local bound, class = string.sub(entry, 7, 17), string.sub(entry, 18)
    if tonumber(bound, 16) > limit then return nil, tonumber(bound, 16) + cell.limits.overdue_ms end
    local record, oldest = cell:record('classes', class), cell:first('backlog', class)
    local truth = oldest and not (record and paused(cell, record[C.pool])) and string.sub(oldest, 7, 17) or ns.hex(cell.now, 11)
    if truth == bound and record[C.vram_mb] > machine[M.vram_mb] then
      passed = passed + 1
    elseif truth == bound then
      if record[C.vram_mb] > vram_free(machine) then return 'blocked' end
      return string.sub(oldest, 18)
    else
      cell:remove('agenda', entry)
      if record then cell:index_add('agenda', profile .. truth .. class) end
    end
  end
  return 'blocked', cell.now
end

local function candidate_lane(cell, machine_id, machine)
  local best, best_lane, wake
  for _, choice in ipairs(cell:record('candidates', machine_id) or {}) do
    local order, age = ns.head(cell, choice[1])
    if order and choice[3] <= vram_free(machine)
      and not (cell.pauses and paused(cell, cell:record('lanes', choice[1])[L.pool])) then
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

-- A job id, or nil and when it is worth looking again (nil: only a change will help).
function ns.choose(cell, machine_id, machine)
  if cell.pauses and cell.pauses['cell'] then return nil end
  local lane, overdue_ms = overdue_lane(cell, machine)
  if lane == 'blocked' then return nil, overdue_ms or cell.now + BLOCKED_MS end
  if lane then return ns.oldest_in_lane(cell, lane) end
  local ready_lane, wake_ms = candidate_lane(cell, machine_id, machine)
  if ready_lane then return ns.first_in_order(cell, ready_lane) end
  return nil, sooner(overdue_ms, wake_ms)
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

-- Take up to `credits` jobs for a machine; gives their ids and when to look again if fewer were found.
function ns.take(cell, machine_id, machine, credits, status, nonce)
  local taken = {}
  if machine[M.status] ~= 'active' then return taken end
  ns.prepare_choice(cell, machine_id)
  while #taken < credits and machine[M.used] < machine[M.slots] do
    local id, wake_ms = ns.choose(cell, machine_id, machine)
    if not id then return taken, wake_ms end
    ns.lease(cell, id, machine_id, machine, status, nonce, #taken + 1)
    taken[#taken + 1] = id
  end
  return taken
end
