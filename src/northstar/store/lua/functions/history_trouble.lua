--[[ history_trouble: say why the history takes no events at present, so that whoever looks at the cell learns it; '' when it does again.
  KEYS   meta
  FLAGS  allow-oom
  TAKES  history id of the database · code, sentence: of the error
  GIVES  noted: false when the cell is bound to no history
  REFUSES NS_HISTORY_ELSEWHERE when another one has the events
  EVENTS none
  COST   O(1) ]]
local B = ns.B
ns.takes.history_trouble = { { 'history', ns.WORD, 64 }, { 'code', ns.NAME_OR_NONE, 64 }, { 'sentence', ns.TEXT, 2048 } }

function ns.handlers.history_trouble(cell, request)
  local bond = ns.bond(cell, request.history)
  if not bond then return { noted = false } end
  bond[B.trouble_ms] = request.code == '' and 0 or bond[B.code] == '' and cell.now or bond[B.trouble_ms]
  bond[B.code], bond[B.sentence] = request.code, request.sentence
  cell:changed('meta', 'history', bond)
  return { noted = true }
end
