--[[ models_present: what a machine holds, as it tells; the whole list each time.
  KEYS   meta vocabulary machines residency holders tokens events
  FLAGS  allow-oom
  TAKES  machine, session · models list (≤ 500) of {model, 'resident' | 'disk', bytes}
  GIVES  changed: whether anything differs from what was known
  REFUSES NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED, NS_TOO_MANY_WORDS, NS_TOO_MUCH_NEWS
  EVENTS machine.models when changed
  COST   O(models) ]]
ns.takes.models_present = { ns.MACHINE, ns.SESSION, { 'models', ns.LIST, 500,
  of = { { 1, ns.NAME, 512 }, { 2, ns.ONE_OF, { resident = true, disk = true } }, { 3, ns.COUNT, ns.MOST } } } }

local function same(before, after)
  if #before ~= #after then return false end
  for position, model in ipairs(after) do
    local known = before[position]
    if known[1] ~= model[1] or known[2] ~= model[2] or known[3] ~= model[3] then return false end
  end
  return true
end

function ns.handlers.models_present(cell, request)
  ns.present_machine(cell, request)
  local models = request.models
  local before = cell:record('residency', request.machine) or {}
  if same(before, models) then return { changed = false } end
  for _, model in ipairs(before) do cell:remove('holders', model[1] .. '\0' .. request.machine) end
  local words = {}
  for position, model in ipairs(models) do
    cell:set_score('holders', model[1] .. '\0' .. request.machine, 0)
    words[position] = 'model:' .. model[1]
  end
  ns.note_news(cell, request.machine, ns.learn_words(cell, words, 'machine'), 0, 0)
  if #models > 0 then cell:changed('residency', request.machine, models) else cell:drop('residency', request.machine) end
  cell:machine_event('machine.models', request.machine, { 'models', #models })
  return { changed = true }
end
