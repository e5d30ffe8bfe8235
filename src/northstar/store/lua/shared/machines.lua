--[[ machines: what a registered host may take, and what it holds.
  needs: records unit_of_work ordered_index refusal bells
  used and vram_used_mb count exactly the jobs under a lease here (`held`), offered ones included. ]]
local M = ns.M

function ns.machine(cell, machine_id)
  return cell:record('machines', machine_id)
end

-- The machine that is meant; with a session, only if it is the one registered. Operators name none.
function ns.named_machine(cell, request)
  local machine = ns.machine(cell, request.machine)
  if not machine then ns.refuse('NS_NO_SUCH_MACHINE', { 'machine', request.machine }) end
  if request.session and machine[M.session] ~= request.session then ns.refuse('NS_MACHINE_REPLACED', { 'machine', request.machine }) end
  return machine
end

-- The machine, if this session of it is the one registered; an older agent of the same name is refused.
function ns.present_machine(cell, request)
  request.session = request.session or ''
  return ns.named_machine(cell, request)
end

function ns.alive(cell, machine_id) cell:set_score('alive', machine_id, cell.lease_now + cell.limits.alive_ms) end

function ns.park(cell, machine_id, machine, credits, wake_ms)
  machine[M.wants] = credits
  cell:changed('machines', machine_id, machine)
  cell:set_score('parked', machine_id, cell.now)
  if wake_ms then
    cell:set_score('wakes', machine_id, wake_ms)
    cell:expect_due(wake_ms)
  else
    cell:remove('wakes', machine_id)
  end
end

-- A machine is parked as long as it wants work: `wants` and `parked` say the same.
function ns.unpark(cell, machine_id, machine)
  if machine[M.wants] == 0 then return end
  machine[M.wants] = 0
  cell:changed('machines', machine_id, machine)
  cell:remove('parked', machine_id)
  cell:remove('wakes', machine_id)
end

-- Candidates: what policy lets the machine take and after how long; `rankings` is the same seen from the lane ----------

local function ranking(machine_id, choice)
  return choice[1] .. ns.hex(math.min(choice[2], 4294967295), 8) .. ns.hex(math.min(choice[4], 65535), 4) .. machine_id
end

-- choices = list of {lane, ready_after_ms, vram_mb, preference}
function ns.set_choices(cell, machine_id, choices)
  for _, choice in ipairs(cell:record('candidates', machine_id) or {}) do
    cell:index_remove('rankings', ranking(machine_id, choice))
  end
  for _, choice in ipairs(choices) do cell:index_add('rankings', ranking(machine_id, choice)) end
  if #choices > 0 then cell:changed('candidates', machine_id, choices) else cell:drop('candidates', machine_id) end
end

-- Give one machine one more candidate; a full list gives up its slowest.
function ns.add_choice(cell, machine_id, choice)
  local choices, slowest = {}, nil
  for _, known in ipairs(cell:record('candidates', machine_id) or {}) do
    if known[1] ~= choice[1] then
      choices[#choices + 1] = known
      if not slowest or known[2] >= choices[slowest][2] then slowest = #choices end
    end
  end
  if #choices >= ns.MAX_CANDIDATES then
    if choices[slowest][2] < choice[2] then return end
    table.remove(choices, slowest)
  end
  choices[#choices + 1] = choice
  ns.set_choices(cell, machine_id, choices)
end

function ns.ranked_machine(member) return string.sub(member, 19), tonumber(string.sub(member, 7, 14), 16) end

-- Ids of the jobs under a lease on this machine, at most `count`.
function ns.held_by(cell, machine, count)
  local ids = {}
  for _, member in ipairs(cell:range('held', machine[M.number], count)) do ids[#ids + 1] = string.sub(member, 7) end
  return ids
end
