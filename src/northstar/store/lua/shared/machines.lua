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

-- Ids of the jobs under a lease on this machine, at most `count`.
function ns.held_by(cell, machine, count)
  local ids = {}
  for _, member in ipairs(cell:range('held', machine[M.number], count)) do ids[#ids + 1] = string.sub(member, 7) end
  return ids
end
