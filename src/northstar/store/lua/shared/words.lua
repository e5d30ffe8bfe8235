--[[ words: tags, models, services and packs that submissions may ask for.
  needs: unit_of_work refusal
  A word that nobody declared is refused at submit: no machine could ever serve it, and lanes stay few. ]]

-- The first word that nobody declared, or nil.
function ns.unknown_word(cell, words)
  if #words == 0 then return nil end
  cell:load('vocabulary', words)
  for _, word in ipairs(words) do
    if not cell:get('vocabulary', word) then return word end
  end
  return nil
end

function ns.expect_words(cell, words)
  local word = ns.unknown_word(cell, words)
  if word then ns.refuse('NS_UNKNOWN_WORD', { 'word', word }) end
end

-- Words that machines bring; bounded like those that people declare. Gives how many nobody had brought before.
function ns.learn_words(cell, words, by)
  cell:load('vocabulary', words)
  local new = 0
  for _, word in ipairs(words) do
    if not cell:get('vocabulary', word) then
      new = new + 1
      cell:put('vocabulary', word, by)
    end
  end
  if new > 0 and cell:size('vocabulary') + new > cell.limits.max_words then
    ns.refuse('NS_TOO_MANY_WORDS', { 'limit', cell.limits.max_words })
  end
  return new
end
