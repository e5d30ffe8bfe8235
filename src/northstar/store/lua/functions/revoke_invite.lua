--[[ revoke_invite: nobody joins by this invite any more; the machines that did stay.
  KEYS   meta invites invites_due events
  FLAGS  allow-oom
  TAKES  invite its id · by
  GIVES  revoked: false if it was already · used: how many machines joined by it
  REFUSES NS_NO_SUCH_INVITE
  EVENTS machine.invite_revoked
  COST   O(log invites) ]]
local I = ns.I
ns.takes.revoke_invite = { ns.INVITE, ns.BY }

function ns.handlers.revoke_invite(cell, request)
  local invite = cell:record('invites', request.invite)
  if not invite then ns.refuse('NS_NO_SUCH_INVITE', { 'invite', request.invite }) end
  local new = invite[I.revoked] == 0
  if new then
    invite[I.revoked] = 1
    ns.keep_invite(cell, request.invite, invite)
    cell:machine_event('machine.invite_revoked', request.invite, { 'used', invite[I.used], 'by', request.by })
  end
  return { revoked = new, used = invite[I.used] }
end
