--[[ candidates: what policy lets a machine take and after how long; `rankings` is the same seen from the lane.
  needs: records unit_of_work ordered_index ]]
local function ranking(machine_id, choice)
  return choice[1] .. ns.hex(math.min(choice[2], 4294967295), 8) .. ns.hex(math.min(choice[4], 65535), 4) .. machine_id
end

local function keep(cell, machine_id, choices)
  if #choices > 0 then cell:changed('candidates', machine_id, choices) else cell:drop('candidates', machine_id) end
end

-- choices = list of {lane, ready_after_ms, vram_mb, preference}. What stays as it was is not written anew: that is most of a list.
function ns.set_choices(cell, machine_id, choices)
  local before, stored, stays = cell:record('candidates', machine_id) or {}, {}, {}
  for _, choice in ipairs(before) do stored[ranking(machine_id, choice)] = true end
  for _, choice in ipairs(choices) do
    local member = ranking(machine_id, choice)
    if stored[member] then stays[member] = true else cell:index_add('rankings', member) end
  end
  for _, choice in ipairs(before) do
    local member = ranking(machine_id, choice)
    if not stays[member] then cell:index_remove('rankings', member) end
  end
  keep(cell, machine_id, choices)
end

-- The list without a lane, and that lane's choice if it was there.
local function without(choices, lane)
  local others, found = {}, nil
  for _, known in ipairs(choices) do
    if known[1] == lane then found = known else others[#others + 1] = known end
  end
  return others, found
end

-- The place of the choice that takes longest to be ready, the last of equals.
local function slowest_of(choices)
  local slowest = 1
  for position, known in ipairs(choices) do
    if known[2] >= choices[slowest][2] then slowest = position end
  end
  return slowest
end

-- Give one machine one more candidate, or a lane it knows another place; a full list gives up its slowest.
function ns.add_choice(cell, machine_id, choice)
  local choices, was = without(cell:record('candidates', machine_id) or {}, choice[1])
  if #choices >= ns.MAX_CANDIDATES then
    local slowest = slowest_of(choices)
    if choices[slowest][2] < choice[2] then return end
    cell:index_remove('rankings', ranking(machine_id, table.remove(choices, slowest)))
  end
  choices[#choices + 1] = choice
  if not was or ranking(machine_id, was) ~= ranking(machine_id, choice) then
    if was then cell:index_remove('rankings', ranking(machine_id, was)) end
    cell:index_add('rankings', ranking(machine_id, choice))
  end
  keep(cell, machine_id, choices)
end

-- Take a lane from a machine's candidates.
function ns.drop_choice(cell, machine_id, lane)
  local choices, was = without(cell:record('candidates', machine_id) or {}, lane)
  if was then cell:index_remove('rankings', ranking(machine_id, was)) end
  keep(cell, machine_id, choices)
end

function ns.ranked_machine(member) return string.sub(member, 19), tonumber(string.sub(member, 7, 14), 16) end
