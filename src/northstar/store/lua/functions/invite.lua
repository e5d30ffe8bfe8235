--[[ invite: let machines join; whoever has the invite's secret may `redeem` it.
  KEYS   meta invites invites_due events
  TAKES  invite its id · secret digest · pools, region, tags, dedicated_to: what a machine that joins by it may say of itself
         approval: true lets it wait for `approve` before its first job · uses · ttl_ms for how long · by
  GIVES  ends_ms · replayed: it was made before, by the same call
  REFUSES NS_INVITE_EXISTS, NS_INVITE_TOO_LONG, NS_TOO_MANY_INVITES
  EVENTS machine.invited
  COST   O(log invites) ]]
local I = ns.I
ns.takes.invite = { ns.INVITE, ns.SECRET, { 'pools', ns.LIST, 16, each = ns.NAME, within = 64 }, { 'region', ns.NAME_OR_NONE, 64 },
  { 'tags', ns.LIST, 64, each = ns.NAME, within = 64 }, { 'dedicated_to', ns.NAME_OR_NONE, 64 }, { 'approval', ns.FLAG },
  { 'uses', ns.POSITIVE, 100000 }, { 'ttl_ms', ns.POSITIVE, ns.LONGEST_MS }, ns.BY }

function ns.handlers.invite(cell, request)
  local known = cell:record('invites', request.invite)
  if known and known[I.secret] ~= request.secret then ns.refuse('NS_INVITE_EXISTS', { 'invite', request.invite }) end
  if known then return { ends_ms = known[I.ends_ms], replayed = true } end
  local limits = cell.limits
  if request.ttl_ms > limits.max_invite_ms then ns.refuse('NS_INVITE_TOO_LONG', { 'limit_ms', limits.max_invite_ms }) end
  if cell:size('invites') >= limits.max_invites then ns.refuse('NS_TOO_MANY_INVITES', { 'limit', limits.max_invites }) end
  local ends_ms = cell.now + request.ttl_ms
  ns.keep_invite(cell, request.invite, { request.secret, request.pools, request.region, request.tags, request.dedicated_to,
    request.approval and 1 or 0, request.uses, 0, cell.now, ends_ms, request.by, 0 })
  cell:machine_event('machine.invited', request.invite, { 'pools', table.concat(request.pools, ' '), 'region', request.region,
    'uses', request.uses, 'ends_ms', ends_ms, 'approval', request.approval, 'by', request.by })
  return { ends_ms = ends_ms, replayed = false }
end
