--[[ revoke: a machine may not come any more; if it is here it goes at once, and its jobs go back, uncharged.
  KEYS   meta jobs bodies waiting ages heads backlog class_ages lanes classes fits profiles idle_profiles idle_lanes tenants deadlines
         finished dead leases held machines descriptions alive candidates rankings parked wakes residency holders
         fetches orders pauses invites tokens tokens_due events
  FLAGS  allow-oom
  TAKES  what 'machine' | 'token' · name of the machine, or the token's id · because · by · nonce
  GIVES  revoked: false if it was already · machine · returned: how many jobs went back
         invite by which it joined, when it may still be used; '' else
  REFUSES NS_NO_SUCH_TOKEN
  EVENTS machine.revoked; machine.removed and job.returned each
  COST   O(slots + models of the machine). All processes hear {'revoked', machine}, so that whoever holds its connection closes it. ]]
local I, K, M = ns.I, ns.K, ns.M
ns.takes.revoke = { { 'what', ns.ONE_OF, { machine = true, token = true } }, { 'name', ns.NAME, 128 }, { 'because', ns.TEXT, 200 }, ns.BY, ns.NONCE }

local function named(cell, request)
  local id, token = request.name, nil
  if request.what == 'machine' then id, token = ns.token_of_machine(cell, request.name) else token = cell:record('tokens', id) end
  if not token then ns.refuse('NS_NO_SUCH_TOKEN', { 'name', request.name }) end
  return id, token
end

-- The machine goes, and its holder hears why.
local function put_out(cell, request, machine_id)
  local machine = ns.machine(cell, machine_id)
  if not machine then return 0 end
  cell:ring(machine[M.holder], { 'revoked', machine_id })
  local used = machine[M.used]
  ns.remove_machine(cell, machine_id, 'machine.removed', 'revoked', false)
  ns.hand_over(cell, request.nonce)
  return used
end

local function open_invite(cell, id)
  local invite = cell:record('invites', id)
  return invite and not ns.invite_over(cell, invite) and id or ''
end

function ns.handlers.revoke(cell, request)
  local id, token = named(cell, request)
  local machine_id, returned = token[K.machine], 0
  local new = token[K.status] ~= 'revoked'
  if new then
    token[K.status], token[K.by], token[K.seen_ms] = 'revoked', request.by, cell.now
    token[K.previous], token[K.previous_ends_ms] = '', 0
    ns.keep_token(cell, id, token)
    returned = put_out(cell, request, machine_id)
    cell:ring('tick', { 'revoked', machine_id })
    cell:machine_event('machine.revoked', machine_id, { 'token', id, 'because', request.because, 'by', request.by })
  end
  return { revoked = new, machine = machine_id, returned = returned, invite = open_invite(cell, token[K.invite]) }
end
