--[[ decide_fits: policy's answers whether machine profiles can serve requirement classes; asked once, remembered.
  KEYS   meta backlog class_ages classes profiles fits
  FLAGS  allow-oom
  TAKES  fits list (≤ 500) of {profile, class, bool}
  GIVES  decided: how many were new
  EVENTS none
  COST   O(fits) ]]
ns.takes.decide_fits = { { 'fits', ns.LIST, 500, of = { { 1, ns.NAME, 16 }, { 2, ns.NAME, 16 }, { 3, ns.FLAG } } } }

function ns.handlers.decide_fits(cell, request)
  local decided = 0
  for _, fit in ipairs(request.fits) do
    local known = cell:get('fits', fit[1] .. fit[2])
    if not known and cell:record('classes', fit[2]) and cell:record('profiles', fit[1]) then
      ns.decide_fit(cell, fit[1], fit[2], fit[3])
      decided = decided + 1
    end
  end
  return { decided = decided }
end
