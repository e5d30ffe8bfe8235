--[[ placing: what policy says about a lane comes with the jobs, so that a lane born now needs no other round.
  needs: lanes machines candidates ]]
local L, M = ns.L, ns.M

-- `wanted` = {vram_mb, fits = {{profile, bool}}, placements = {{machine, ready_after_ms, preference}}}: see `submit`.
function ns.place(cell, lane, wanted)
  cell.placed = cell.placed or {}
  if cell.placed[lane] then return end
  cell.placed[lane] = true
  local record = cell:record('lanes', lane)
  for _, fit in ipairs(wanted.fits) do ns.decide_fit(cell, fit[1], record[L.class], fit[2]) end
  for _, placement in ipairs(wanted.placements) do
    -- Policy decided on what it knew; the machine may be gone by now, or back with another profile.
    local machine = ns.machine(cell, placement[1])
    if machine and ns.fits(cell, machine[M.profile], record[L.class]) then
      ns.add_choice(cell, placement[1], { lane, placement[2], record[L.vram_mb], placement[3] })
    end
  end
end
