--[[ order_ended: a machine has done what it was ordered, or could not.
  KEYS   meta machines orders events
  FLAGS  allow-oom
  TAKES  machine, session · order · outcome 'done' | 'failed' · code and message of the failure
  GIVES  open: how many orders are left
  REFUSES NS_NO_SUCH_ORDER, NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED
  EVENTS order.ended
  COST   O(open orders) ]]
local O = ns.O
ns.takes.order_ended = { ns.MACHINE, ns.SESSION, { 'order', ns.WORD, 64 }, { 'outcome', ns.ONE_OF, { done = true, failed = true } },
  { 'code', ns.NAME_OR_NONE, 64 }, { 'message', ns.TEXT, ns.MOST } } -- cut below: callers count letters, not bytes

function ns.handlers.order_ended(cell, request)
  ns.present_machine(cell, request)
  local kept, ended = {}, nil
  for _, order in ipairs(ns.orders_of(cell, request.machine)) do
    if order[O.id] == request.order then ended = order else kept[#kept + 1] = order end
  end
  if not ended then ns.refuse('NS_NO_SUCH_ORDER', { 'machine', request.machine, 'order', request.order }) end
  ns.keep_orders(cell, request.machine, kept)
  cell:machine_event('order.ended', request.machine, { 'order', request.order, 'model', ended[O.model], 'outcome', request.outcome,
    'code', request.code, 'message', ns.cut(request.message, 500) })
  return { open = #kept }
end
