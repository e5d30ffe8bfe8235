--[[ list_invites: invites, a page at a time, without their secrets.
  KEYS   meta invites invites_due
  FLAGS  no-writes
  TAKES  after: cursor of the page before, '' at first · count (≤ 500)
  GIVES  invites list of {id, 'open' | refusal, pools, region, tags, dedicated_to, approval, uses, used, made_ms, ends_ms, by}
         after: cursor, '' at the end · now_ms
  EVENTS none
  COST   O(log invites + count). Those that end first come first. ]]
local I = ns.I
ns.takes.list_invites = { { 'after', ns.TEXT, 256 }, { 'count', ns.COUNT, 500 } }

function ns.handlers.list_invites(cell, request)
  local ids, after = cell:page('invites_due', request.after, math.max(1, request.count))
  local found = {}
  cell:load('invites', ids)
  for position, id in ipairs(ids) do
    local invite = cell:record('invites', id)
    found[position] = { id, ns.invite_over(cell, invite) or 'open', unpack(invite, I.pools, I.by) }
  end
  return { invites = found, after = after, now_ms = cell.now }
end
