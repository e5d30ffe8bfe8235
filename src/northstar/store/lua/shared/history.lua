--[[ history: which history database takes the cell's events. Two of them would each trim what the other has not read yet.
  needs: unit_of_work refusal
  A record in `meta`, so that a call which commits events reads no key that it does not read anyway. ]]

-- `code`, `sentence` and `trouble_ms` say why the history takes nothing at present, and since when; '' and 0 when all is well.
ns.B = { history = 1, place = 2, host = 3, since_ms = 4, code = 5, sentence = 6, trouble_ms = 7 }
local B = ns.B

-- The cell's bond, if it has one; refused when it is to another history than the caller's.
function ns.bond(cell, history)
  local bond = cell:record('meta', 'history')
  if bond and bond[B.history] ~= history then
    ns.refuse('NS_HISTORY_ELSEWHERE', { 'place', bond[B.place], 'host', bond[B.host] })
  end
  return bond
end
