--[[ refusal: an ordinary "no", by name, before anything was written.
  The reply is an error `NS_CODE key=value key=value`; values hold no blanks. Facts are a list of pairs, so their order is fixed. ]]

function ns.refuse(code, facts)
  local words = { code }
  for position = 1, #(facts or {}), 2 do
    local value = string.gsub(tostring(facts[position + 1]), '[%s=]', '_')
    words[#words + 1] = facts[position] .. '=' .. string.sub(value, 1, 200)
  end
  error({ err = table.concat(words, ' ') }, 0)
end
