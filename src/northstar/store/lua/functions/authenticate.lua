--[[ authenticate: whose token this is, and what its machine may say of itself.
  KEYS   meta tokens machines
  FLAGS  no-writes
  TAKES  token, secret digest · machine the name under which it comes, or '' where the token says it
  GIVES  machine, status 'approved' | 'waiting', pools, region, tags, dedicated_to · former: the secret was replaced, and still counts
  REFUSES NS_TOKEN_UNKNOWN, NS_TOKEN_REVOKED, NS_TOKEN_REPLACED, NS_TOKEN_EXPIRED, NS_TOKEN_OF_ANOTHER_MACHINE
  EVENTS none
  COST   O(1) ]]
local K = ns.K
ns.takes.authenticate = { ns.TOKEN_ID, ns.SECRET, { 'machine', ns.NAME_OR_NONE, 128 } }

function ns.handlers.authenticate(cell, request)
  local token, former = ns.opened_token(cell, request.token, request.secret)
  if request.machine ~= '' then ns.expect_machine(token, request.machine) end
  return { machine = token[K.machine], status = token[K.status], pools = token[K.pools], region = token[K.region],
    tags = token[K.tags], dedicated_to = token[K.dedicated_to], former = former }
end
