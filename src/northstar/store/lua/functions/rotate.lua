--[[ rotate: a machine gets a new secret, which it brings itself; the old one still counts for a while.
  KEYS   meta tokens tokens_due machines events
  TAKES  token, secret digest of the present one · replacement digest of the new one · grace_ms (≤ a day)
  GIVES  ends_ms until when the old one counts · replayed: it was done before, by the same call
  REFUSES NS_TOKEN_UNKNOWN, NS_TOKEN_REVOKED, NS_TOKEN_REPLACED (also: by another replacement), NS_TOKEN_EXPIRED
  EVENTS machine.token_rotated
  COST   O(log tokens) ]]
local K = ns.K
ns.takes.rotate = { ns.TOKEN_ID, ns.SECRET, { 'replacement', ns.WORD, 64 }, { 'grace_ms', ns.COUNT, 86400000 } }

function ns.handlers.rotate(cell, request)
  local token, former = ns.opened_token(cell, request.token, request.secret)
  if former and token[K.secret] ~= request.replacement then ns.refuse('NS_TOKEN_REPLACED', { 'machine', token[K.machine] }) end
  local ends_ms, new = token[K.previous_ends_ms], not former and request.replacement ~= request.secret
  if new then
    ends_ms = cell.now + request.grace_ms
    token[K.previous], token[K.previous_ends_ms], token[K.secret] = request.secret, ends_ms, request.replacement
    ns.keep_token(cell, request.token, token)
    cell:machine_event('machine.token_rotated', token[K.machine], { 'token', request.token, 'ends_ms', ends_ms })
  end
  return { ends_ms = ends_ms, replayed = not new }
end
