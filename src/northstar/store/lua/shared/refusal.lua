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

-- Request fields are checked here, so that nothing malformed reaches a record.
function ns.expect_text(request, name, limit)
  local value = request[name]
  if type(value) ~= 'string' or #value > (limit or 256) then ns.refuse('NS_BAD_ARGUMENT', { 'field', name, 'want', 'text' }) end
  return value
end

function ns.expect_count(request, name, limit)
  local value = request[name]
  if type(value) ~= 'number' or value ~= math.floor(value) or value < 0 or value > (limit or 9007199254740991) then
    ns.refuse('NS_BAD_ARGUMENT', { 'field', name, 'want', 'count' })
  end
  return value
end

function ns.expect_list(request, name, limit)
  local value = request[name]
  if type(value) ~= 'table' or #value > (limit or 500) then
    ns.refuse('NS_BAD_ARGUMENT', { 'field', name, 'want', 'list', 'limit', limit or 500 })
  end
  return value
end
