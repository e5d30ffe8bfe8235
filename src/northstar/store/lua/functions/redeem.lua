--[[ redeem: a machine joins by an invite and gets its token, which it brings itself; only the digest of its secret is kept.
  KEYS   meta invites invites_due tokens tokens_due machines events
  TAKES  invite, invite_secret digest · token, secret digest · machine the name that it wants · about what is known of who asks
  GIVES  machine, status 'approved' | 'waiting', pools, region, tags, dedicated_to · replayed: it joined before by this token
  REFUSES NS_INVITE_UNKNOWN, NS_INVITE_EXPIRED, NS_INVITE_USED_UP, NS_INVITE_REVOKED, NS_MACHINE_NAME_TAKEN, NS_TOO_MANY_TOKENS;
         of a token that is known: NS_TOKEN_UNKNOWN, NS_TOKEN_REVOKED, NS_TOKEN_REPLACED, NS_TOKEN_EXPIRED, NS_TOKEN_OF_ANOTHER_MACHINE
  EVENTS machine.joined
  COST   O(log tokens). Repeated after a lost answer it is answered again, and no use is counted, whatever became of the invite. ]]
local I, K = ns.I, ns.K
ns.takes.redeem = { ns.INVITE, { 'invite_secret', ns.WORD, 64 }, ns.TOKEN_ID, ns.SECRET, ns.MACHINE, { 'about', ns.TEXT, 512 } }

local function expect_invite(cell, request)
  local invite = cell:record('invites', request.invite)
  if not invite or invite[I.secret] ~= request.invite_secret then ns.refuse('NS_INVITE_UNKNOWN') end
  local over = ns.invite_over(cell, invite)
  if over then ns.refuse(over, { 'invite', request.invite, 'uses', invite[I.uses] }) end
  return invite
end

local function join(cell, request)
  local invite = expect_invite(cell, request)
  if not ns.is_free(cell, request.machine) then ns.refuse('NS_MACHINE_NAME_TAKEN', { 'machine', request.machine }) end
  if cell:size('tokens_due') >= cell.limits.max_tokens then ns.refuse('NS_TOO_MANY_TOKENS', { 'limit', cell.limits.max_tokens }) end
  invite[I.used] = invite[I.used] + 1
  ns.keep_invite(cell, request.invite, invite)
  local status = invite[I.approval] == 1 and 'waiting' or 'approved'
  local token = { request.secret, request.machine, status, invite[I.pools], invite[I.region], invite[I.tags], invite[I.dedicated_to],
    request.invite, cell.now, cell.now, invite[I.by], request.about, '', 0, 0, 0 }
  ns.keep_token(cell, request.token, token)
  cell:put('tokens', '\0' .. request.machine, request.token)
  cell:machine_event('machine.joined', request.machine, { 'token', request.token, 'invite', request.invite, 'status', status,
    'about', request.about })
  return token
end

function ns.handlers.redeem(cell, request)
  local known, token = cell:record('tokens', request.token) and true or false, nil
  if known then
    token = ns.opened_token(cell, request.token, request.secret)
    ns.expect_machine(token, request.machine)
  else
    token = join(cell, request)
  end
  return { machine = token[K.machine], status = token[K.status], pools = token[K.pools], region = token[K.region],
    tags = token[K.tags], dedicated_to = token[K.dedicated_to], replayed = known }
end
