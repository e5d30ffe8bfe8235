--[[ orders: what a machine was told to fetch or to evict, and has not answered yet.
  needs: machines unit_of_work refusal
  Kept as one list a machine, oldest first: {id, what, model, body, given_ms}. They stay while the machine stays, whatever becomes of bells
  and agents, and go with it. ]]
local O = ns.O
ns.MOST_ORDERS = 32

function ns.orders_of(cell, machine_id) return cell:record('orders', machine_id) or {} end

function ns.keep_orders(cell, machine_id, orders)
  if #orders > 0 then cell:changed('orders', machine_id, orders) else cell:drop('orders', machine_id) end
end

function ns.forget_orders(cell, machine_id)
  for _, order in ipairs(ns.orders_of(cell, machine_id)) do
    cell:machine_event('order.ended', machine_id, { 'order', order[O.id], 'model', order[O.model], 'outcome', 'gone' })
  end
  cell:drop('orders', machine_id)
end
