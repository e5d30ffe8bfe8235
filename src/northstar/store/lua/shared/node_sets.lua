--[[ node_sets: lists of node classes by digest, each kept as long as a profile names it.
  needs: records unit_of_work
  digest -> the packed list, as it was told · 'p' + digest -> the profiles that name it. They are large and few, and read by policy alone. ]]
local P = ns.P

local function digest_of(cell, profile)
  local record = cell:record('profiles', profile)
  return record and record[P.node_set]
end

-- Whether the profile names a list that nobody has told yet. A list that is there gets to know that this profile names it too.
function ns.wants_node_set(cell, profile)
  local digest = digest_of(cell, profile)
  if not digest then return false end
  local profiles = cell:record('node_sets', 'p' .. digest)
  if not profiles then return true end
  for _, known in ipairs(profiles) do
    if known == profile then return false end
  end
  profiles[#profiles + 1] = profile
  cell:changed('node_sets', 'p' .. digest, profiles)
  return false
end

function ns.keep_node_set(cell, profile, packed)
  local digest = digest_of(cell, profile)
  cell:put('node_sets', digest, packed)
  cell:changed('node_sets', 'p' .. digest, { profile })
end

-- The profile is forgotten; with the last that names a list, the list is.
function ns.leave_node_set(cell, profile)
  local digest, kept = digest_of(cell, profile), {}
  if not digest then return end
  for _, known in ipairs(cell:record('node_sets', 'p' .. digest) or {}) do
    if known ~= profile then kept[#kept + 1] = known end
  end
  if #kept > 0 then
    cell:changed('node_sets', 'p' .. digest, kept)
  else
    cell:drop('node_sets', 'p' .. digest)
    cell:drop('node_sets', digest)
  end
end
