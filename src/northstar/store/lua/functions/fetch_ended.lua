--[[ fetch_ended: a fetch is over, for better or worse.
  KEYS   meta machines fetches events
  FLAGS  allow-oom
  TAKES  machine, session · model · outcome 'fetched' | 'failed' | 'canceled'
  GIVES  took_ms
  REFUSES NS_NOT_FETCHING, NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED
  EVENTS fetch.ended
  COST   O(fetches of the machine). What the machine holds now is told by `models_present`. ]]
ns.takes.fetch_ended = { ns.MACHINE, ns.SESSION, { 'model', ns.NAME, 512 },
  { 'outcome', ns.ONE_OF, { fetched = true, failed = true, canceled = true } } }

function ns.handlers.fetch_ended(cell, request)
  ns.present_machine(cell, request)
  local machine_id, model = request.machine, request.model
  local fetch = cell:record('fetches', machine_id .. '\0' .. model)
  if not fetch then ns.refuse('NS_NOT_FETCHING', { 'machine', machine_id, 'model', model }) end
  cell:drop('fetches', machine_id .. '\0' .. model)
  ns.leave_need(cell, model, machine_id)
  local kept = {}
  for _, other in ipairs(cell:record('fetches', machine_id) or {}) do
    if other ~= model then kept[#kept + 1] = other end
  end
  if #kept > 0 then cell:changed('fetches', machine_id, kept) else cell:drop('fetches', machine_id) end
  cell:machine_event('fetch.ended', machine_id, { 'model', model, 'outcome', request.outcome })
  return { took_ms = cell.now - fetch[1] }
end
