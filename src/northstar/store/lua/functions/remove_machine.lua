--[[ remove_machine: the machine is gone; its jobs go back to the front of their lanes.
  KEYS   meta jobs waiting ages heads backlog agenda lanes classes fitting idle_lanes tenants deadlines finished dead machines
         descriptions candidates rankings parked wakes leases held alive residency holders fetches pauses events
  FLAGS  allow-oom
  TAKES  machine · because · lost: true counts a recovery for each running job, false is an orderly leave · nonce
  GIVES  returned: how many jobs went back
  REFUSES NS_NO_SUCH_MACHINE
  EVENTS machine.removed; job.returned each
  COST   O(slots + models of the machine) ]]
local M = ns.M

function ns.handlers.remove_machine(cell, request)
  local machine = ns.machine(cell, ns.expect_text(request, 'machine', 128))
  if not machine then ns.refuse('NS_NO_SUCH_MACHINE', { 'machine', request.machine }) end
  local used = machine[M.used]
  ns.remove_machine(cell, request.machine, 'machine.removed', ns.expect_text(request, 'because', 200), request.lost)
  ns.hand_over(cell, request.nonce)
  return { returned = used }
end
