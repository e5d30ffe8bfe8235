--[[ admission: who may join: invites, and the tokens of machines that joined.
  needs: records unit_of_work refusal
  Only digests of secrets are here. In `tokens`, NUL and a machine's name lead to the id of its latest token: a name has one at a time,
  and is free again once that is revoked or has expired. A token is seen when its machine registers and when it goes; between the two
  it counts as seen now. ]]
local I, K = ns.I, ns.K
local KEEP_MS = 7 * 86400000 -- what has expired is remembered for so long, so that it is refused by its own name

-- Invites ------------------------------------------------------------------------------------------------------------

-- Why nobody may join by this invite any more, or nil.
function ns.invite_over(cell, invite)
  if invite[I.revoked] == 1 then return 'NS_INVITE_REVOKED' end
  if cell.now >= invite[I.ends_ms] then return 'NS_INVITE_EXPIRED' end
  if invite[I.used] >= invite[I.uses] then return 'NS_INVITE_USED_UP' end
  return nil
end

function ns.keep_invite(cell, id, invite)
  cell:changed('invites', id, invite)
  cell:set_score('invites_due', id, invite[I.ends_ms] + KEEP_MS)
end

-- Tokens -------------------------------------------------------------------------------------------------------------

local function is_latest(cell, id, token) return cell:get('tokens', '\0' .. token[K.machine]) == id end

-- Whether the machine is here by this token.
local function is_here(cell, id, token) return is_latest(cell, id, token) and cell:get('machines', token[K.machine]) and true or false end

-- Once another machine has its name, a token has expired for good.
local function has_expired(cell, id, token)
  if not is_latest(cell, id, token) then return true end
  return cell.now >= token[K.seen_ms] + cell.limits.token_ttl_ms and not is_here(cell, id, token)
end

local function ends_ms(cell, token) return token[K.seen_ms] + cell.limits.token_ttl_ms + KEEP_MS end

function ns.keep_token(cell, id, token)
  cell:changed('tokens', id, token)
  cell:set_score('tokens_due', id, ends_ms(cell, token))
end

-- The id and record of a machine's latest token, or nil.
function ns.token_of_machine(cell, machine_id)
  local id = cell:get('tokens', '\0' .. machine_id)
  if id then return id, cell:record('tokens', id) end
end

-- Whether nobody has this name: neither a token that counts, nor a machine that came without one.
function ns.is_free(cell, machine_id)
  if cell:get('machines', machine_id) then return false end
  local id, token = ns.token_of_machine(cell, machine_id)
  return not token or token[K.status] == 'revoked' or has_expired(cell, id, token)
end

-- The record that a secret opens. A wrong secret says no more than an unknown id does.
function ns.opened_token(cell, id, secret)
  local token = cell:record('tokens', id)
  local former = token and token[K.previous] == secret
  if not token or not (former or token[K.secret] == secret) then ns.refuse('NS_TOKEN_UNKNOWN') end
  if token[K.status] == 'revoked' then ns.refuse('NS_TOKEN_REVOKED', { 'machine', token[K.machine] }) end
  if former and cell.now >= token[K.previous_ends_ms] then ns.refuse('NS_TOKEN_REPLACED', { 'machine', token[K.machine] }) end
  if has_expired(cell, id, token) then ns.refuse('NS_TOKEN_EXPIRED', { 'machine', token[K.machine] }) end
  return token, former
end

function ns.expect_machine(token, machine_id)
  if token[K.machine] ~= machine_id then
    ns.refuse('NS_TOKEN_OF_ANOTHER_MACHINE', { 'machine', token[K.machine], 'asked', machine_id })
  end
end

-- At this very moment, so that no machine registers by a token that was revoked after it was checked.
function ns.expect_admitted(cell, id, machine_id)
  local token = cell:record('tokens', id)
  if not token then ns.refuse('NS_TOKEN_UNKNOWN') end
  ns.expect_machine(token, machine_id)
  if token[K.status] == 'revoked' then ns.refuse('NS_TOKEN_REVOKED', { 'machine', machine_id }) end
  if has_expired(cell, id, token) then ns.refuse('NS_TOKEN_EXPIRED', { 'machine', machine_id }) end
  if token[K.status] == 'waiting' then ns.refuse('NS_TOKEN_WAITING', { 'machine', machine_id }) end
  ns.note_seen(cell, machine_id)
end

-- The machine comes or goes.
function ns.note_seen(cell, machine_id)
  local id, token = ns.token_of_machine(cell, machine_id)
  if not token or token[K.status] == 'revoked' then return end
  token[K.seen_ms] = cell.now
  ns.keep_token(cell, id, token)
end

-- Forgetting, as part of `tick` ----------------------------------------------------------------------------------------

function ns.forget_invite(cell, id)
  cell:remove('invites_due', id)
  cell:drop('invites', id)
end

function ns.forget_token(cell, id)
  local token = cell:record('tokens', id)
  if token and token[K.status] ~= 'revoked' and is_here(cell, id, token) then return ns.note_seen(cell, token[K.machine]) end
  -- The limit was raised since it was last seen.
  if token and cell.now < ends_ms(cell, token) then return ns.keep_token(cell, id, token) end
  if token and is_latest(cell, id, token) then cell:drop('tokens', '\0' .. token[K.machine]) end
  cell:remove('tokens_due', id)
  cell:drop('tokens', id)
end
