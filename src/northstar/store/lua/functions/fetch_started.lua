--[[ fetch_started: a machine begins to fetch a model. Single flight: the same need is not fetched twice.
  KEYS   meta machines fetches events
  TAKES  machine, session · model · bytes · expected_ms · copies how many machines may fetch it at once (policy; 1 by default)
  GIVES  fetching: how many machines now fetch it
  REFUSES NS_ALREADY_FETCHING (this machine), NS_FETCH_IN_FLIGHT (others, with the first of them), NS_TOO_MANY_FETCHES,
         NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED
  EVENTS fetch.started
  COST   O(fetches of the model) ]]
ns.takes.fetch_started = { ns.MACHINE, ns.SESSION, { 'model', ns.NAME, 512 }, { 'bytes', ns.COUNT, ns.MOST },
  { 'expected_ms', ns.COUNT, ns.LONGEST_MS }, { 'copies', ns.COUNT, 500 } }

local PER_MACHINE, LATE_MS = 64, 60000

-- How many still fetch, and the first of them. One that takes three times as long as it expected, and a minute, holds nobody up.
local function in_flight(cell, model, fetchers)
  local flying, first = 0, nil
  for _, fetcher in ipairs(fetchers) do
    local fetch = cell:record('fetches', fetcher .. '\0' .. model)
    if fetch and cell.now < fetch[1] + 3 * (fetch[2] - fetch[1]) + LATE_MS then
      flying, first = flying + 1, first or fetcher
    end
  end
  return flying, first
end

function ns.handlers.fetch_started(cell, request)
  ns.present_machine(cell, request)
  local machine_id, model = request.machine, request.model
  if cell:record('fetches', machine_id .. '\0' .. model) then
    ns.refuse('NS_ALREADY_FETCHING', { 'machine', machine_id, 'model', model })
  end
  local mine, fetchers = cell:record('fetches', machine_id) or {}, cell:record('fetches', '\0' .. model) or {}
  if #mine >= PER_MACHINE then ns.refuse('NS_TOO_MANY_FETCHES', { 'machine', machine_id, 'limit', PER_MACHINE }) end
  local flying, first = in_flight(cell, model, fetchers)
  if flying >= request.copies then ns.refuse('NS_FETCH_IN_FLIGHT', { 'model', model, 'machine', first }) end
  fetchers[#fetchers + 1] = machine_id
  cell:changed('fetches', '\0' .. model, fetchers)
  cell:changed('fetches', machine_id .. '\0' .. model,
    { cell.now, cell.now + request.expected_ms, request.bytes })
  mine[#mine + 1] = model
  cell:changed('fetches', machine_id, mine)
  cell:machine_event('fetch.started', machine_id, { 'model', model, 'bytes', request.bytes })
  return { fetching = #fetchers }
end
