--[[ approve: a machine that joined by an invite with approval may take work. All processes hear {'approved', machine}.
  KEYS   meta tokens tokens_due events
  TAKES  machine · by
  GIVES  approved: false if it was already
  REFUSES NS_NO_SUCH_TOKEN, NS_TOKEN_REVOKED
  EVENTS machine.approved
  COST   O(log tokens) ]]
local K = ns.K
ns.takes.approve = { ns.MACHINE, ns.BY }

function ns.handlers.approve(cell, request)
  local id, token = ns.token_of_machine(cell, request.machine)
  if not token then ns.refuse('NS_NO_SUCH_TOKEN', { 'name', request.machine }) end
  if token[K.status] == 'revoked' then ns.refuse('NS_TOKEN_REVOKED', { 'machine', request.machine }) end
  if token[K.status] == 'approved' then return { approved = false } end
  token[K.status], token[K.by], token[K.seen_ms] = 'approved', request.by, cell.now
  ns.keep_token(cell, id, token)
  cell:ring('tick', { 'approved', request.machine })
  cell:machine_event('machine.approved', request.machine, { 'token', id, 'by', request.by })
  return { approved = true }
end
