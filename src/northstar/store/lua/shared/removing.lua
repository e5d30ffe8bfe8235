--[[ removing: a machine goes: lost, removed, or replaced by a new session of itself.
  needs: machines candidates leases ordered_index events admission orders profiles ]]
local J, M = ns.J, ns.M

-- Its jobs go back to the front of their lanes; `charge` counts a recovery for those that were running.
function ns.take_jobs_from(cell, machine, because, charge)
  for _, id in ipairs(ns.held_by(cell, machine, 500)) do
    local job = cell:record('jobs', id)
    ns.give_back(cell, id, job, because, charge and job[J.status] == 'running')
  end
end

function ns.forget_models(cell, machine_id)
  for _, model in ipairs(cell:record('residency', machine_id) or {}) do
    cell:remove('holders', model[1] .. '\0' .. machine_id)
  end
  cell:drop('residency', machine_id)
end

-- Fetches of a machine are kept under "machine, NUL, model"; the machine's list says which there are.
function ns.forget_fetches(cell, machine_id)
  for _, model in ipairs(cell:record('fetches', machine_id) or {}) do
    cell:drop('fetches', machine_id .. '\0' .. model)
    ns.leave_need(cell, model, machine_id)
  end
  cell:drop('fetches', machine_id)
end

function ns.leave_need(cell, model, machine_id)
  local kept = {}
  for _, fetcher in ipairs(cell:record('fetches', '\0' .. model) or {}) do
    if fetcher ~= machine_id then kept[#kept + 1] = fetcher end
  end
  if #kept > 0 then cell:changed('fetches', '\0' .. model, kept) else cell:drop('fetches', '\0' .. model) end
end

function ns.remove_machine(cell, machine_id, event, because, charge)
  local machine = ns.machine(cell, machine_id)
  cell:remove('alive', machine_id)
  if not machine then return end
  ns.unpark(cell, machine_id, machine)
  ns.take_jobs_from(cell, machine, because, charge)
  ns.set_choices(cell, machine_id, {})
  ns.forget_models(cell, machine_id)
  ns.forget_fetches(cell, machine_id)
  ns.leave_profile(cell, machine[M.profile])
  cell:drop('machines', machine_id)
  cell:drop('descriptions', machine_id)
  ns.note_seen(cell, machine_id)
  cell:machine_event(event, machine_id, { 'because', because })
  ns.forget_orders(cell, machine_id)
end
