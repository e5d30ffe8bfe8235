--[[ transfer_settled: after the source's `transfer_done`, the target need not remember the arrival; after `transfer_abort`, nor the refusal.
  KEYS   meta arrivals
  FLAGS  allow-oom
  TAKES  jobs list (≤ 500) of {id, transfer}
  GIVES  settled: how many were asked for
  EVENTS none
  COST   O(jobs) ]]
ns.takes.transfer_settled = { { 'jobs', ns.LIST, 500, of = { ns.JOB_ID, ns.TRANSFER } } }

function ns.handlers.transfer_settled(cell, request)
  for _, moved in ipairs(request.jobs) do
    cell:remove('arrivals', moved.transfer .. ' ' .. moved.id)
    cell:remove('arrivals', '!' .. moved.transfer .. ' ' .. moved.id)
  end
  return { settled = #request.jobs }
end
