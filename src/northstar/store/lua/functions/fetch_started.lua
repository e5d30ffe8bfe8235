--[[ fetch_started: a machine begins to fetch a model. Single flight: the same need is not fetched twice.
  KEYS   meta machines fetches events
  TAKES  machine, session · model · bytes · expected_ms · copies how many machines may fetch it at once (policy; 1 by default)
  GIVES  fetching: how many machines now fetch it
  REFUSES NS_ALREADY_FETCHING (this machine), NS_FETCH_IN_FLIGHT (others, with the first of them), NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED
  EVENTS fetch.started
  COST   O(fetches of the model) ]]
ns.takes.fetch_started = { ns.MACHINE, ns.SESSION, { 'model', ns.NAME, 512 }, { 'bytes', ns.COUNT, ns.MOST },
  { 'expected_ms', ns.COUNT, ns.LONGEST_MS }, { 'copies', ns.COUNT, 500 } }

function ns.handlers.fetch_started(cell, request)
  ns.present_machine(cell, request)
  local machine_id, model = request.machine, request.model
  if cell:record('fetches', machine_id .. '\0' .. model) then
    ns.refuse('NS_ALREADY_FETCHING', { 'machine', machine_id, 'model', model })
  end
  local fetchers = cell:record('fetches', '\0' .. model) or {}
  if #fetchers >= request.copies then
    ns.refuse('NS_FETCH_IN_FLIGHT', { 'model', model, 'machine', fetchers[1] })
  end
  fetchers[#fetchers + 1] = machine_id
  cell:changed('fetches', '\0' .. model, fetchers)
  cell:changed('fetches', machine_id .. '\0' .. model,
    { cell.now, cell.now + request.expected_ms, request.bytes })
  local mine = cell:record('fetches', machine_id) or {}
  mine[#mine + 1] = model
  cell:changed('fetches', machine_id, mine)
  cell:machine_event('fetch.started', machine_id, { 'model', model, 'bytes', request.bytes })
  return { fetching = #fetchers }
end
