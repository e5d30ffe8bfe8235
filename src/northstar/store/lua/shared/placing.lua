--[[ placing: what policy says about a lane comes with the jobs, so that a lane born now needs no other round.
  needs: lanes machines ]]
local L = ns.L

-- `wanted` = {vram_mb, fits = {{profile, bool}}, placements = {{machine, ready_after_ms, preference}}}: see `submit`.
function ns.place(cell, lane, wanted)
  cell.placed = cell.placed or {}
  if cell.placed[lane] then return end
  cell.placed[lane] = true
  for _, fit in ipairs(wanted.fits) do ns.decide_fit(cell, fit[1], cell:record('lanes', lane)[L.class], fit[2]) end
  for _, placement in ipairs(wanted.placements) do
    if ns.machine(cell, placement[1]) then
      ns.add_choice(cell, placement[1], { lane, placement[2], wanted.vram_mb, placement[3] })
    end
  end
end
