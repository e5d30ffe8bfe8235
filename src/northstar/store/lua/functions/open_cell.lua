--[[ open_cell: make a cell, or join it; raise its epoch when the server is not the one it ran on.
  KEYS   meta events
  FLAGS  creating allow-oom
  TAKES  clock 'live' | 'virtual' · server run id of the server or primary · limits map, see `domain/limits.py` · configure: set limits of a
         cell that exists · id: what the cell is known by from now on, if it has no id yet
  GIVES  created, epoch, schema, limits, id ('' while nobody has given it one)
  REFUSES NS_SCHEMA_UNSUPPORTED, NS_CLOCK_MISMATCH, NS_CELL_DAMAGED (events without a cell), NS_RIGHTS_MISSING
  EVENTS none. The epoch makes event ids (epoch-sequence) unique across a promotion or a restart that lost its tail.
  COST   O(1) ]]
local H = ns.H
ns.takes.open_cell = { { 'clock', ns.ONE_OF, { live = true, virtual = true } }, { 'server', ns.NAME_OR_NONE, 256 },
  { 'configure', ns.FLAG, optional = true }, { 'id', ns.WORD, 64, optional = true }, { 'limits', ns.MAP, of = {
    { 'lease_ms', ns.POSITIVE, ns.LONGEST_MS }, { 'offer_ms', ns.POSITIVE, ns.LONGEST_MS }, { 'alive_ms', ns.POSITIVE, ns.LONGEST_MS },
    { 'overdue_ms', ns.POSITIVE, ns.LONGEST_MS }, { 'lane_ttl_ms', ns.POSITIVE, ns.LONGEST_MS },
    { 'dead_retention_ms', ns.POSITIVE, ns.LONGEST_MS }, { 'max_body_bytes', ns.POSITIVE, ns.MOST_MB },
    { 'max_jobs', ns.POSITIVE, ns.MOST_MB }, { 'max_tenant_jobs', ns.POSITIVE, ns.MOST_MB }, { 'max_events', ns.POSITIVE, ns.MOST_MB },
    { 'max_lanes', ns.POSITIVE, ns.MOST_MB }, { 'max_classes', ns.POSITIVE, 10000 }, { 'max_profiles', ns.POSITIVE, 10000 },
    { 'max_machines', ns.POSITIVE, 100000 }, { 'max_words', ns.POSITIVE, ns.MOST_MB }, { 'max_invites', ns.POSITIVE, 100000 },
    { 'max_tokens', ns.POSITIVE, 1000000 }, { 'max_invite_ms', ns.POSITIVE, ns.LONGEST_MS }, { 'token_ttl_ms', ns.POSITIVE, ns.LONGEST_MS },
    { 'max_documents', ns.POSITIVE, 100000 }, { 'max_documents_bytes', ns.POSITIVE, ns.MOST_MB } } } }

local function make(cell, request)
  if cell:size('events') > 0 or cell:size('meta') > 0 then ns.refuse('NS_CELL_DAMAGED', { 'key', cell:key('meta') }) end
  cell.identity = { schema = ns.SCHEMA, clock = request.clock, epoch = 1, server = request.server }
  cell.limits, cell.hot = request.limits, ns.blank_hot()
end

local function join(cell, meta, request)
  cell.identity, cell.limits, cell.hot = cmsgpack.unpack(meta[1]), cmsgpack.unpack(meta[2]), cmsgpack.unpack(meta[3])
  local identity = cell.identity
  if identity.schema ~= ns.SCHEMA then
    ns.refuse('NS_SCHEMA_UNSUPPORTED', { 'cell', identity.schema, 'library', ns.SCHEMA })
  end
  if identity.clock ~= request.clock then ns.refuse('NS_CLOCK_MISMATCH', { 'cell', identity.clock, 'asked', request.clock }) end
  if identity.server ~= request.server then
    identity.server, identity.epoch, identity.epoch_began = request.server, identity.epoch + 1, cell.hot[H.event]
  end
  if request.configure then cell.limits = request.limits end
  -- What the cell was made without, because there was no such limit yet, is as its next opener says.
  for _, limit in ipairs(ns.takes.open_cell[5].of) do
    if cell.limits[limit[1]] == nil then cell.limits[limit[1]] = request.limits[limit[1]] end
  end
end

-- A right that the caller lacks would show between two writes of a later call, and leave half of it done; so it shows here.
local function check_rights(cell)
  local key = cell:key('meta')
  local needed = { { 'HSET', key, 'f', 'v' }, { 'HDEL', key, 'f' }, { 'ZADD', key, 0, 'm' }, { 'ZREM', key, 'm' },
    { 'XADD', key, '1-1', 'e', 'v' }, { 'XTRIM', key, 'MINID', '=', '1-1' }, { 'SPUBLISH', key .. ':bell:tick', 'w' } }
  for _, command in ipairs(needed) do
    if not redis.acl_check_cmd(unpack(command)) then ns.refuse('NS_RIGHTS_MISSING', { 'command', command[1] }) end
  end
end

function ns.handlers.open_cell(cell, request, meta)
  check_rights(cell)
  local created = not meta[1]
  if created then make(cell, request) else join(cell, meta, request) end
  -- Its name says which cell is meant, its id which one it is: a cell that was made anew has the name of the one before it.
  cell.identity.id = cell.identity.id or request.id
  ns.opened[cell:key('meta')] = cell.identity.server -- not when it was refused
  cell:put('meta', 'identity', cmsgpack.pack(cell.identity))
  cell:put('meta', 'limits', cmsgpack.pack(cell.limits))
  return { created = created, epoch = cell.identity.epoch, schema = cell.identity.schema, limits = cell.limits,
    id = cell.identity.id or '', committed_event = cell.hot[H.committed_event], event = cell.hot[H.event] }
end
