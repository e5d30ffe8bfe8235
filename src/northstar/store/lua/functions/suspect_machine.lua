--[[ suspect_machine: the connection to a machine broke. If nothing is heard of it within the grace, it counts as lost.
  KEYS   meta machines alive parked wakes
  FLAGS  allow-oom
  TAKES  machine, session · holder that held the connection · grace_ms
  GIVES  suspected false when the machine is gone, or another session or holder has it by now
  EVENTS none; machine.lost comes from `tick` when the grace is over
  COST   O(log machines) ]]
local M = ns.M
ns.takes.suspect_machine = { ns.MACHINE, ns.SESSION, { 'holder', ns.HOLDER, 128 }, { 'grace_ms', ns.COUNT, ns.LONGEST_MS } }

function ns.handlers.suspect_machine(cell, request)
  local machine = ns.machine(cell, request.machine)
  if not machine or machine[M.session] ~= request.session or machine[M.holder] ~= request.holder then return { suspected = false } end
  ns.unpark(cell, request.machine, machine) -- nobody would hear of an offer
  local until_ms = cell.lease_now + request.grace_ms
  local known_ms = cell:score('alive', request.machine)
  if not known_ms or until_ms < known_ms then
    cell:set_score('alive', request.machine, until_ms)
    cell:expect_due(cell.now + request.grace_ms)
  end
  return { suspected = true }
end
