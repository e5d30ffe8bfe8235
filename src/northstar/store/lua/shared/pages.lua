--[[ pages: a sorted set, read a page at a time in the order of its scores.
  needs: unit_of_work refusal ]]
local Cell = ns.Cell

-- Where a member that has gone, or has another score by now, stood among those of its score: they are ordered by text, so half of them
-- is left out each time.
local function rank_behind(cell, name, score, member)
  local low, high = cell:read('ZCOUNT', name, '-inf', '(' .. score), cell:read('ZCOUNT', name, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cell:read('ZRANGE', name, middle, middle)[1] <= member then low = middle + 1 else high = middle end
  end
  return low
end

-- The cursor names the last score and member seen, so that pages neither skip nor repeat members that share a score. One whose score
-- rises meanwhile may be seen twice.
function Cell:page(name, after, count)
  local rank = 0
  if after ~= '' then
    local score, member = string.match(after, '^(%d+) (.+)$')
    if not score then ns.refuse('NS_BAD_ARGUMENT', { 'field', 'after', 'want', 'cursor' }) end
    rank = rank_behind(self, name, score, member)
  end
  local page = self:read('ZRANGE', name, rank, rank + count - 1, 'WITHSCORES')
  local ids = {}
  for position = 1, #page, 2 do ids[#ids + 1] = page[position] end
  return ids, #ids == count and page[#page] .. ' ' .. ids[#ids] or ''
end
