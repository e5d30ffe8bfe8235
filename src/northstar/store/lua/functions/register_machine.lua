--[[ register_machine: a machine joins, or an agent comes back.
  KEYS   meta jobs bodies waiting ages heads backlog class_ages lanes classes fits idle_lanes tenants deadlines finished dead
         vocabulary profiles idle_profiles node_sets machines descriptions candidates rankings parked wakes leases held alive fetches pauses
         tokens tokens_due events
  FLAGS  allow-oom
  TAKES  machine, session (new for every start of the agent) · profile canonical text · fits list of {class, bool} decided by policy
         again true: only if this session of it is still the registered one
         node_set optional: the digest of the list of node classes that the profile names
         slots (≤ 500), vram_mb · holder whose bell reaches it · description JSON (≤ 16 KiB) · words it adds to the vocabulary · nonce
         admitted_by optional: the id of its token, which must be approved and the machine's own at this very moment
         facts optional: what the history keeps of it, JSON ≤ 1 KiB, for the event: it may be gone before the history looks
  GIVES  profile id · undecided list of classes that policy has to decide for this profile · held list of {id, token} it still has
         node_set_wanted: the list that the profile names was not told yet, see `tell_node_set`
  REFUSES with `again` NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED · with `admitted_by` NS_TOKEN_UNKNOWN, NS_TOKEN_REVOKED, NS_TOKEN_EXPIRED,
         NS_TOKEN_WAITING, NS_TOKEN_OF_ANOTHER_MACHINE · NS_TOO_MANY_WORDS, NS_TOO_MANY_MACHINES, NS_TOO_MANY_PROFILES,
         NS_DESCRIPTION_TOO_LARGE, NS_TOO_MUCH_NEWS
  EVENTS machine.registered; with a new session job.returned for what the one before held
  COST   O(classes new to the profile + jobs held). The same session again keeps its jobs, and stays drained. ]]
local J, M, H = ns.J, ns.M, ns.H
ns.takes.register_machine = {
  ns.MACHINE, ns.SESSION, { 'profile', ns.NAME, 16384 }, { 'fits', ns.LIST, 10000, of = { { 1, ns.NAME, 16 }, { 2, ns.FLAG } } },
  { 'slots', ns.COUNT, 500 }, { 'vram_mb', ns.COUNT, ns.MOST_MB }, { 'holder', ns.HOLDER, 128 }, { 'description', ns.TEXT, ns.MOST },
  { 'words', ns.LIST, 500, each = ns.NAME, within = 512 }, ns.NONCE, { 'again', ns.FLAG, optional = true },
  { 'admitted_by', ns.WORD, 64, optional = true }, { 'node_set', ns.WORD, 16, optional = true },
  { 'facts', ns.TEXT, 1024, optional = true },
}

-- Classes that nobody has decided for this profile yet, at most 500.
local function undecided(cell, profile)
  local classes, ids, fields = {}, {}, {}
  for number = 1, cell.hot[H.classes] do
    ids[#ids + 1] = ns.numeral(number)
    fields[#fields + 1] = profile .. ids[#ids]
  end
  cell:load('fits', fields)
  for position, id in ipairs(ids) do
    if #classes < 500 and not cell:get('fits', fields[position]) then
      local class = cell:record('classes', id)
      if class then classes[#classes + 1] = { id, class[ns.C.key] } end
    end
  end
  return classes
end

local function machine_record(cell, request, profile)
  local machine = ns.machine(cell, request.machine)
  if machine then ns.unpark(cell, request.machine, machine) end -- its next claim says what it accepts
  if machine and machine[M.session] ~= request.session then
    machine[M.status] = 'active'
    ns.take_jobs_from(cell, machine, 'agent_restarted', true)
    ns.forget_fetches(cell, request.machine)
    machine[M.nonce] = ''
  end
  if machine and machine[M.profile] ~= profile then
    ns.set_choices(cell, request.machine, {})
    ns.leave_profile(cell, machine[M.profile])
  end
  if not machine or machine[M.profile] ~= profile then ns.enter_profile(cell, profile) end
  if not machine then
    if cell:size('machines') >= cell.limits.max_machines then ns.refuse('NS_TOO_MANY_MACHINES', { 'limit', cell.limits.max_machines }) end
    cell.hot[H.machines] = cell.hot[H.machines] + 1
    machine = { [M.number] = ns.numeral(cell.hot[H.machines]), [M.used] = 0, [M.vram_used_mb] = 0, [M.offers] = {},
      [M.accepted] = {}, [M.nonce] = '' }
    for _, name in ipairs({ 'profile', 'session', 'slots', 'vram_mb', 'status', 'holder', 'wants', 'registered_ms' }) do
      machine[M[name]] = 0
    end
    machine[M.status], machine[M.registered_ms] = 'active', cell.now
  end
  return machine
end

local function held(cell, machine)
  local jobs = {}
  for _, id in ipairs(ns.held_by(cell, machine, 500)) do
    local job = cell:record('jobs', id)
    if job[J.status] == 'running' then jobs[#jobs + 1] = { id, job[J.token] } end
  end
  return jobs
end

function ns.handlers.register_machine(cell, request)
  if request.again then ns.present_machine(cell, request) end
  if #request.description > 16384 then ns.refuse('NS_DESCRIPTION_TOO_LARGE', { 'limit', 16384 }) end
  if request.admitted_by then ns.expect_admitted(cell, request.admitted_by, request.machine) end
  local profile, new_profiles = ns.profile_of(cell, request.profile, request.node_set)
  local machine = machine_record(cell, request, profile)
  machine[M.profile], machine[M.session], machine[M.holder] = profile, request.session, request.holder
  machine[M.slots], machine[M.vram_mb] = request.slots, request.vram_mb
  machine[M.wants] = 0
  cell:changed('machines', request.machine, machine)
  cell:put('descriptions', request.machine, request.description)
  ns.note_news(cell, request.machine, ns.learn_words(cell, request.words, 'machine'), new_profiles, 0)
  for _, fit in ipairs(request.fits) do
    if cell:record('classes', fit[1]) then ns.decide_fit(cell, profile, fit[1], fit[2]) end
  end
  ns.alive(cell, request.machine)
  cell:expect_due(cell.now + cell.limits.alive_ms)
  cell:ring('tick', { 'plan' })
  local told = { 'session', request.session, 'slots', request.slots }
  if request.facts then told[5], told[6] = 'facts', request.facts end
  cell:machine_event('machine.registered', request.machine, told)
  local jobs = held(cell, machine)
  ns.hand_over(cell, request.nonce)
  return { profile = profile, undecided = undecided(cell, profile), held = jobs, node_set_wanted = ns.wants_node_set(cell, profile) }
end
