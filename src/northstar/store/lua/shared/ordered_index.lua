--[[ ordered_index: sorted sets whose members all have score 0 and are ordered by their text.
  needs: unit_of_work
  A member begins with a six-character prefix (a lane, a class, a profile, a machine) and goes on with fixed-width fields, so the
  first member of a prefix is one ZRANGEBYLEX: its cost depends neither on how many members the prefix has nor on other prefixes.
  `first` sees the pending additions and removals of the running function. ]]
local Cell = ns.Cell
local NEW, BACK = 0, '0' -- scores of members that this call adds: to a set that lacks them, or that had them before this call

local function insert_sorted(list, member)
  local low, high = 1, #list
  while low <= high do
    local middle = math.floor((low + high) / 2)
    if list[middle] < member then low = middle + 1 else high = middle - 1 end
  end
  if list[low] ~= member then table.insert(list, low, member) end
end

local NOTHING = {}

-- What this call knows of one prefix. added: its own members, sorted. members, at, from, done, step: a window on the stored ones.
local function prefix_of(part, prefix)
  if not part.prefixes then part.prefixes = {} end
  local known = part.prefixes[prefix]
  if not known then
    known = { added = false, members = NOTHING, at = 1, from = '[' .. prefix, done = false, step = 1 }
    part.prefixes[prefix] = known
  end
  return known
end

-- The member is not stored, or this call has removed it. Of one that is stored and was not removed, a later removal would be lost.
function Cell:index_add(name, member)
  local was = self:part(name).state[member]
  self:set_score(name, member, (was == false or was == BACK) and BACK or NEW)
  local known = prefix_of(self:part(name), string.sub(member, 1, 6))
  if known.added then insert_sorted(known.added, member) else known.added = { member } end
end

-- What only this call has added is forgotten; what may be stored is removed by the commit.
function Cell:index_remove(name, member)
  local state = self:part(name).state
  if state[member] == NEW then state[member] = nil else self:set_score(name, member, false) end
end

-- The first member stored before this call that it has not removed. Reads ahead in growing steps.
local function first_stored(cell, name, prefix, part, view)
  while true do
    while view.at <= #view.members do
      local member = view.members[view.at]
      if part.state[member] ~= false then return member end
      view.at = view.at + 1
    end
    if view.done then return nil end
    local members = cell:read('ZRANGEBYLEX', name, view.from, '(' .. prefix .. '\255', 'LIMIT', 0, view.step)
    view.done = #members < view.step
    view.members, view.at, view.step = members, 1, math.min(view.step * 4, 64)
    if #members > 0 then view.from = '(' .. members[#members] end
  end
end

function Cell:first(name, prefix)
  local part = self:part(name)
  local known = prefix_of(part, prefix)
  local stored, added = first_stored(self, name, prefix, part, known), known.added
  if not added then return stored end
  while added[1] and not part.state[added[1]] do table.remove(added, 1) end
  local fresh = added[1]
  if not stored or (fresh and fresh < stored) then return fresh end
  return stored
end

-- The first `count` stored members of a prefix without those that this call has removed, however many these are.
local function stored_range(cell, name, prefix, count)
  local state, members, from = cell:part(name).state, {}, '[' .. prefix
  repeat
    local page = cell:read('ZRANGEBYLEX', name, from, '(' .. prefix .. '\255', 'LIMIT', 0, count)
    for _, member in ipairs(page) do
      if state[member] ~= false then members[#members + 1] = member end
    end
    from = '(' .. (page[#page] or prefix)
  until #members >= count or #page < count
  return members
end

-- The first `count` members of a prefix, with the function's own additions and without its removals.
function Cell:range(name, prefix, count)
  local part, at, members = self:part(name), 1, {}
  local added = part.prefixes and part.prefixes[prefix] and part.prefixes[prefix].added or NOTHING
  local function take(member)
    if #members < count then members[#members + 1] = member end
  end
  for _, member in ipairs(stored_range(self, name, prefix, count)) do
    while added[at] and added[at] <= member do
      if added[at] ~= member and part.state[added[at]] then take(added[at]) end
      at = at + 1
    end
    take(member)
  end
  for position = at, #added do
    if part.state[added[position]] then take(added[position]) end
  end
  return members
end
