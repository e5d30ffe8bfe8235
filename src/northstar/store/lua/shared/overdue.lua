--[[ overdue: work that was submitted so long before what would go before it that it goes first.
  needs: records unit_of_work lanes
  `class_ages` is walked from its oldest, a page at a time, past classes that the machine's profile cannot serve. So a claim costs more
  only while work waits that others must do and that is so much older than what this machine would take: about 1 microsecond for each
  such class, once in a call. Of the work of a fleet that is behind but in order there is none, however old all of it is. ]]
local M, C = ns.M, ns.C
local PAGE = 64

function ns.vram_free(machine) return machine[M.vram_mb] - machine[M.vram_used_mb] end

function ns.paused(cell, pool) return cell.pauses and (cell.pauses['cell'] or cell.pauses['pool:' .. pool]) end

-- Whether this machine could run work of the class at all, when it is empty.
local function serves(cell, machine, class)
  if not ns.fits(cell, machine[M.profile], class) then return false end
  local record = cell:record('classes', class)
  return record[C.vram_mb] <= machine[M.vram_mb] and not ns.paused(cell, record[C.pool])
end

-- Older goes first; of the same age, what fits into the free VRAM; then by id, so that the order is fixed.
local function better(cell, machine, one, other)
  if not other then return true end
  if one.age ~= other.age then return one.age < other.age end
  local free = ns.vram_free(machine)
  local one_fits, other_fits = cell:record('classes', one.class)[C.vram_mb] <= free, cell:record('classes', other.class)[C.vram_mb] <= free
  if one_fits ~= other_fits then return one_fits end
  return one.class < other.class
end

-- The stored classes that a profile fits with an age in (after, latest], oldest first. They are found as far as somebody asks, a page at a
-- time, and once in a call, however many jobs it takes and whatever these are compared with.
local function walk_of(cell, profile, after, latest)
  cell.walks = cell.walks or {}
  local name = profile .. ' ' .. after
  local walk = cell.walks[name]
  if not walk then
    walk = { profile = profile, from = '(' .. after, latest = latest, fitting = {}, pages = 0, reached = after, done = false }
    cell.walks[name] = walk
  end
  return walk
end

local function read_page(cell, walk)
  local members = cell:read('ZRANGEBYSCORE', 'class_ages', walk.from, walk.latest, 'WITHSCORES', 'LIMIT', walk.pages * PAGE, PAGE)
  local pairs_ = {}
  for position = 1, #members, 2 do pairs_[#pairs_ + 1] = walk.profile .. members[position] end
  cell:load('fits', pairs_)
  for position = 1, #members, 2 do
    local class, age = members[position], tonumber(members[position + 1])
    if ns.fits(cell, walk.profile, class) then walk.fitting[#walk.fitting + 1] = { class = class, age = age } end
    walk.reached = age
  end
  walk.pages, walk.done = walk.pages + 1, #members < 2 * PAGE
end

-- The class at a place of the walk, or nil where it is younger than `upto`.
local function class_at(cell, walk, place, upto)
  while not walk.fitting[place] and not walk.done and walk.reached <= upto do read_page(cell, walk) end
  local found = walk.fitting[place]
  return found and found.age <= upto and found or nil
end

-- The age of the oldest stored class, whoever serves it, or false; read once in a call. Most claims need no more.
local function oldest_age(cell)
  if cell.oldest_age == nil then
    local oldest = cell:read('ZRANGE', 'class_ages', 0, 0, 'WITHSCORES')
    cell.oldest_age = oldest[2] and tonumber(oldest[2]) or false
  end
  return cell.oldest_age
end

-- The oldest class with an age in (after, upto] that the machine serves: of those that this call changed, and of those stored. `latest` is
-- the same in all of a call that asks from `after` on, and no less than any `upto`.
local function oldest_class(cell, machine, after, upto, latest)
  local part, best = cell:part('class_ages'), nil
  for _, class in ipairs(part.list) do
    local age = part.state[class]
    if age and age > after and age <= upto and serves(cell, machine, class) then
      local found = { class = class, age = age }
      if better(cell, machine, found, best) then best = found end
    end
  end
  local stored = oldest_age(cell)
  if not stored or stored > upto then return best end
  local walk, place = walk_of(cell, machine[M.profile], after, latest), 1
  while true do
    local found = class_at(cell, walk, place, best and best.age or upto)
    if not found then return best end
    if part.state[found.class] == nil and serves(cell, machine, found.class) and better(cell, machine, found, best) then best = found end
    place = place + 1
  end
end

-- The lane whose oldest job may run here and was submitted `overdue_ms` or longer before `than_ms`, or nil; or 'blocked': such a job fits
-- the machine but not what is free on it now, so nothing that much younger may take that room.
function ns.overdue_lane(cell, machine, than_ms)
  local found = oldest_class(cell, machine, -1, than_ms - cell.limits.overdue_ms, cell.now - cell.limits.overdue_ms)
  if not found then return nil end
  if cell:record('classes', found.class)[C.vram_mb] > ns.vram_free(machine) then return 'blocked' end
  return string.sub(cell:first('backlog', found.class), 18)
end

-- When the next job that the machine serves becomes overdue, or nil.
function ns.next_overdue_ms(cell, machine)
  local found = oldest_class(cell, machine, cell.now - cell.limits.overdue_ms, cell.now, cell.now)
  return found and found.age + cell.limits.overdue_ms
end
