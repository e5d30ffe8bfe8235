--[[ update_machine: slots, VRAM, holder or description change while the machine stays.
  KEYS   meta machines descriptions alive events
  FLAGS  allow-oom
  TAKES  machine, session · slots, vram_mb, holder, description (each optional)
  GIVES  used
  REFUSES NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED, NS_DESCRIPTION_TOO_LARGE
  EVENTS machine.updated
  COST   O(1). Fewer slots than are used: nothing is taken away, nothing new is given. ]]
local M = ns.M
ns.takes.update_machine = { ns.MACHINE, ns.SESSION, { 'slots', ns.COUNT, 500, optional = true }, { 'vram_mb', ns.COUNT, ns.MOST_MB, optional = true },
  { 'holder', ns.HOLDER, 128, optional = true }, { 'description', ns.TEXT, ns.MOST, optional = true } }

function ns.handlers.update_machine(cell, request)
  local machine = ns.present_machine(cell, request)
  if request.slots then machine[M.slots] = request.slots end
  if request.vram_mb then machine[M.vram_mb] = request.vram_mb end
  if request.holder then machine[M.holder] = request.holder end
  if request.description then
    if #request.description > 16384 then ns.refuse('NS_DESCRIPTION_TOO_LARGE', { 'limit', 16384 }) end
    cell:put('descriptions', request.machine, request.description)
  end
  cell:changed('machines', request.machine, machine)
  ns.alive(cell, request.machine)
  cell:machine_event('machine.updated', request.machine, { 'slots', machine[M.slots], 'vram_mb', machine[M.vram_mb] })
  return { used = machine[M.used] }
end
