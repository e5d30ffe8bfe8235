--[[ look_at_invite: what an invite grants, told to whoever holds its secret, so that a machine learns before it joins what would be refused.
  KEYS   meta invites
  FLAGS  no-writes
  TAKES  invite, secret digest
  GIVES  known: false when there is none, or the secret is another · pools, region, tags, dedicated_to
  EVENTS none
  COST   O(1). Whether it may still be used is said by `redeem`. ]]
local I = ns.I
ns.takes.look_at_invite = { ns.INVITE, ns.SECRET }

function ns.handlers.look_at_invite(cell, request)
  local invite = cell:record('invites', request.invite)
  if not invite or invite[I.secret] ~= request.secret then return { known = false } end
  return { known = true, pools = invite[I.pools], region = invite[I.region], tags = invite[I.tags], dedicated_to = invite[I.dedicated_to] }
end
