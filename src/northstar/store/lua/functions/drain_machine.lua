--[[ drain_machine: take no new work; what runs goes on, what was only offered goes back.
  KEYS   meta jobs bodies waiting ages heads backlog class_ages lanes classes fits idle_lanes tenants deadlines
         finished dead leases held machines candidates rankings parked wakes pauses events
  FLAGS  allow-oom
  TAKES  machine · session optional: an agent speaks for itself, and not for a newer one of its name
         draining true, or false to take work again · nonce
  GIVES  used: jobs still running there
  REFUSES NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED
  EVENTS machine.draining or machine.active; job.returned per offer
  COST   O(slots) ]]
local M = ns.M
ns.takes.drain_machine = { ns.MACHINE, { 'session', ns.TEXT, 128, optional = true }, { 'draining', ns.FLAG }, ns.NONCE }

function ns.handlers.drain_machine(cell, request)
  local machine = ns.named_machine(cell, request)
  machine[M.status] = request.draining and 'draining' or 'active'
  if request.draining then
    ns.unpark(cell, request.machine, machine)
    local offers = {}
    for position, id in ipairs(machine[M.offers]) do offers[position] = id end
    for _, id in ipairs(offers) do ns.give_back(cell, id, cell:record('jobs', id), 'machine_draining', false) end
  end
  cell:changed('machines', request.machine, machine)
  cell:machine_event('machine.' .. machine[M.status], request.machine)
  cell:ring(machine[M.holder], { machine[M.status], request.machine })
  ns.hand_over(cell, request.nonce)
  return { used = machine[M.used] }
end
