--[[ bells: telling processes that something changed, after the commit.
  needs: unit_of_work records
  Bells are lossy; the once-a-second claim of parked machines, and every holder's tick, make up for one lost. ]]
local H, Cell = ns.H, ns.Cell

-- Ring a holder's bell; several words of one call make one message.
function Cell:ring(holder, word)
  if not self.rung then self.rung, self.bells = {}, {} end
  if not self.bells[holder] then
    self.bells[holder] = {}
    self.rung[#self.rung + 1] = holder
  end
  local words = self.bells[holder]
  if #words < 512 then words[#words + 1] = word end
end

-- A time at which `tick` has work. Holders sleep until the earliest they know of; an earlier one rings them.
function Cell:expect_due(at_ms)
  local hot = self.hot
  if at_ms < hot[H.next_due_ms] then
    hot[H.next_due_ms] = at_ms
    self:ring('tick', math.max(at_ms - self.now, 0))
  end
end
