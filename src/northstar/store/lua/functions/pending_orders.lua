--[[ pending_orders: what a machine was told to fetch or to evict, and has not answered yet.
  KEYS   meta machines orders
  FLAGS  no-writes
  TAKES  machine · session optional: an agent asks for itself, and not for a newer one of its name
  GIVES  orders list of {id, what 'fetch' | 'evict', model, body, given_ms}, oldest first
  REFUSES NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED
  EVENTS none
  COST   O(open orders) ]]
ns.takes.pending_orders = { ns.MACHINE, { 'session', ns.TEXT, 128, optional = true } }

function ns.handlers.pending_orders(cell, request)
  ns.named_machine(cell, request)
  return { orders = ns.orders_of(cell, request.machine) }
end
