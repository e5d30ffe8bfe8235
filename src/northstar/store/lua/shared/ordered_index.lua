--[[ ordered_index: sorted sets whose members all have score 0 and are ordered by their text.
  needs: unit_of_work
  A member begins with a six-character prefix (a lane, a class, a profile, a machine) and goes on with fixed-width fields, so the
  first member of a prefix is one ZRANGEBYLEX: its cost depends neither on how many members the prefix has nor on other prefixes.
  `first` sees the pending additions and removals of the running function. ]]
local Cell = ns.Cell

local function insert_sorted(list, member)
  local low, high = 1, #list
  while low <= high do
    local middle = math.floor((low + high) / 2)
    if list[middle] < member then low = middle + 1 else high = middle - 1 end
  end
  if list[low] ~= member then table.insert(list, low, member) end
end

function Cell:index_add(name, member)
  self:set_score(name, member, 0)
  local part, prefix = self:part(name), string.sub(member, 1, 6)
  if not part.added then part.added = {} end
  if not part.added[prefix] then part.added[prefix] = {} end
  insert_sorted(part.added[prefix], member)
end

-- The first member stored before this call that it has not removed. Reads ahead in growing steps.
local function first_stored(cell, name, prefix)
  local part = cell:part(name)
  if not part.views then part.views = {} end
  local view = part.views[prefix]
  if not view then
    view = { members = {}, at = 1, from = '[' .. prefix, done = false, step = 1 }
    part.views[prefix] = view
  end
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
  local part, stored = self:part(name), first_stored(self, name, prefix)
  local added = part.added and part.added[prefix]
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
  local added = part.added and part.added[prefix] or {}
  local function take(member)
    if part.state[member] ~= false and #members < count then members[#members + 1] = member end
  end
  for _, member in ipairs(stored_range(self, name, prefix, count)) do
    while added[at] and added[at] <= member do
      if added[at] ~= member then take(added[at]) end
      at = at + 1
    end
    take(member)
  end
  for position = at, #added do take(added[position]) end
  return members
end
