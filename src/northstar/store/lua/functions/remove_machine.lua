--[[ remove_machine: the machine is gone; its jobs go back to the front of their lanes.
  KEYS   meta jobs bodies waiting ages heads backlog class_ages lanes classes fits profiles idle_profiles idle_lanes tenants deadlines
         finished dead leases held machines descriptions alive candidates rankings parked wakes residency holders
         fetches orders pauses tokens tokens_due events
  FLAGS  allow-oom
  TAKES  machine · session optional: an agent speaks for itself, and not for a newer one of its name
         because · lost: true counts a recovery for each running job, false is an orderly leave · nonce
  GIVES  returned: how many jobs went back
  REFUSES NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED
  EVENTS machine.removed; job.returned each
  COST   O(slots + models of the machine) ]]
local M = ns.M
ns.takes.remove_machine = { ns.MACHINE, { 'session', ns.TEXT, 128, optional = true }, { 'because', ns.TEXT, 200 },
  { 'lost', ns.FLAG, optional = true }, ns.NONCE }

function ns.handlers.remove_machine(cell, request)
  local machine = ns.named_machine(cell, request)
  local used = machine[M.used]
  ns.remove_machine(cell, request.machine, 'machine.removed', request.because, request.lost)
  ns.hand_over(cell, request.nonce)
  return { returned = used }
end
