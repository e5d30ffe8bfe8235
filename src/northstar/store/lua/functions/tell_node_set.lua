--[[ tell_node_set: the node classes that a machine's profile names by their digest; told once, by the first machine that has them.
  KEYS   meta profiles node_sets machines tokens
  TAKES  machine, session · node_set the digest · packed the list as text (≤ 64 KiB), which the caller has compared with the digest
  GIVES  kept: whether it was new
  REFUSES NS_NO_SUCH_MACHINE, NS_MACHINE_REPLACED, NS_NODE_SET_NOT_NAMED (by the machine's profile), NS_TOO_MANY_NODE_SETS, NS_TOO_MUCH_NEWS
  EVENTS none; policy is rung, since what nobody could decide without the list can be decided now
  COST   O(profiles that name it) ]]
local M, P = ns.M, ns.P
ns.takes.tell_node_set = { ns.MACHINE, ns.SESSION, { 'node_set', ns.WORD, 16 }, { 'packed', ns.TEXT, 65536 } }

local MOST = 128 -- in a cell: each takes two fields

function ns.handlers.tell_node_set(cell, request)
  local profile = ns.present_machine(cell, request)[M.profile]
  if cell:record('profiles', profile)[P.node_set] ~= request.node_set then
    ns.refuse('NS_NODE_SET_NOT_NAMED', { 'machine', request.machine, 'node_set', request.node_set })
  end
  if not ns.wants_node_set(cell, profile) then return { kept = false } end
  if cell:size('node_sets') >= 2 * MOST then ns.refuse('NS_TOO_MANY_NODE_SETS', { 'limit', MOST }) end
  ns.note_news(cell, request.machine, 0, 0, 1)
  ns.keep_node_set(cell, profile, request.packed)
  cell:ring('tick', { 'plan' })
  return { kept = true }
end
