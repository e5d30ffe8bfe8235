--[[ order_models: tell a machine to fetch or to evict models.
  KEYS   meta machines orders events
  TAKES  machine · by · orders list (≤ 32) of {id, what 'fetch' | 'evict', model, body (≤ 8 KiB): what the agent reads, e.g. the sources}
  GIVES  given list of {id, fresh}: of an order for the same that is open already, its id and false
  REFUSES NS_NO_SUCH_MACHINE, NS_TOO_MANY_ORDERS (open ones of the machine)
  EVENTS order.given each
  COST   O(open orders · new ones). The machine's holder hears {'orders', machine}; a lost bell is made up for by `renew`. ]]
local M, O = ns.M, ns.O
ns.takes.order_models = { ns.MACHINE, ns.BY, { 'orders', ns.LIST, ns.MOST_ORDERS, of = {
  { 'id', ns.WORD, 64 }, { 'what', ns.ONE_OF, { fetch = true, evict = true } }, { 'model', ns.NAME, 512 }, { 'body', ns.TEXT, 8192 } } } }

-- An order for the same, or the same order again after a lost answer.
local function open_already(orders, wanted)
  for _, order in ipairs(orders) do
    local same = order[O.what] == wanted.what and order[O.model] == wanted.model and order[O.body] == wanted.body
    if same or order[O.id] == wanted.id then return order[O.id] end
  end
end

function ns.handlers.order_models(cell, request)
  local machine, orders, given = ns.named_machine(cell, request), ns.orders_of(cell, request.machine), {}
  local fresh = false
  for position, wanted in ipairs(request.orders) do
    local known = open_already(orders, wanted)
    given[position] = { known or wanted.id, not known }
    if not known then
      if #orders >= ns.MOST_ORDERS then ns.refuse('NS_TOO_MANY_ORDERS', { 'machine', request.machine, 'limit', ns.MOST_ORDERS }) end
      orders[#orders + 1] = { wanted.id, wanted.what, wanted.model, wanted.body, cell.now }
      cell:machine_event('order.given', request.machine,
        { 'order', wanted.id, 'what', wanted.what, 'model', wanted.model, 'by', request.by })
      fresh = true
    end
  end
  if fresh then
    ns.keep_orders(cell, request.machine, orders)
    cell:ring(machine[M.holder], { 'orders', request.machine })
  end
  return { given = given }
end
