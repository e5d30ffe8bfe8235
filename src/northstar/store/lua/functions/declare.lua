--[[ declare: words that submissions may use ("model:NAME", "tag:NAME", "service:NAME"); what nobody declared is refused at submit.
  KEYS   meta vocabulary
  TAKES  words list (≤ 500) · by who declares them · withdraw: true takes them back
  GIVES  words: how many words are known now, before this call's own
  REFUSES NS_TOO_MANY_WORDS
  EVENTS none
  COST   O(words) ]]
ns.takes.declare = { { 'words', ns.LIST, 500, each = ns.NAME, within = 512 }, { 'by', ns.TEXT, 128 }, { 'withdraw', ns.FLAG, optional = true } }

function ns.handlers.declare(cell, request)
  local words = request.words
  if not request.withdraw and cell:size('vocabulary') + #words > cell.limits.max_words then
    ns.refuse('NS_TOO_MANY_WORDS', { 'limit', cell.limits.max_words })
  end
  for _, word in ipairs(words) do
    if request.withdraw then cell:drop('vocabulary', word) else cell:put('vocabulary', word, request.by) end
  end
  return { words = cell:size('vocabulary') }
end
