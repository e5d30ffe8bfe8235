--[[ profiles: what equal machines share, counted, so that one which no machine has any more is forgotten. Machines come with packs that
  they found, so profiles come and go as images are changed.
  needs: records unit_of_work lanes node_sets ]]
local P, H = ns.P, ns.H
local KEPT_MS = 604800000 -- a week: a machine that is away for a night finds what was decided about its kind

-- The profile's id, and how many are new: 0 or 1.
function ns.profile_of(cell, key, node_set)
  local profile = cell:get('profiles', 'k' .. key)
  if profile then return profile, 0 end
  return ns.numbered(cell, 'profiles', 'profiles', key, { key, 0, node_set }, cell.limits.max_profiles), 1
end

function ns.enter_profile(cell, profile)
  local record = cell:record('profiles', profile)
  if not record[P.machines] then return end
  record[P.machines] = record[P.machines] + 1
  cell:changed('profiles', profile, record)
  cell:remove('idle_profiles', profile)
end

function ns.leave_profile(cell, profile)
  local record = cell:record('profiles', profile)
  if not record or not record[P.machines] then return end
  record[P.machines] = record[P.machines] - 1
  cell:changed('profiles', profile, record)
  if record[P.machines] == 0 then cell:set_score('idle_profiles', profile, cell.now + KEPT_MS) end
end

-- Part of `tick`. Costs one of the budget for every 16 classes, since what was decided for each goes too.
function ns.forget_profile(cell, profile)
  local record = cell:record('profiles', profile)
  cell:remove('idle_profiles', profile)
  if not record or record[P.machines] ~= 0 then return end
  for number = 1, cell.hot[H.classes] do cell:drop('fits', profile .. ns.numeral(number)) end
  ns.leave_node_set(cell, profile)
  cell:drop('profiles', 'k' .. record[P.key])
  cell:drop('profiles', profile)
  return 1 + math.floor(cell.hot[H.classes] / 16)
end
