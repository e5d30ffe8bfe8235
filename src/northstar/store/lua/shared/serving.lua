--[[ serving: from a call to a handler and back.
  needs: unit_of_work commit refusal fields shapes
  ARGV of every function: 1 digest of the library the caller was built with · 2 now in ms, '' on the live clock · 3 the request, msgpack.
  The reply is msgpack. A refusal is an error whose first word is its name. A fault of our own is NS_LIBRARY_FAULT; like a refusal
  it has written nothing. ]]
local function run(spec, keys, args)
  if args[1] ~= ns.DIGEST then ns.refuse('NS_LIBRARY_CHANGED', { 'caller', args[1], 'loaded', ns.DIGEST }) end
  local cell, meta = ns.open(spec, keys, args[2])
  local reply = ns.handlers[spec.name](cell, ns.request_of(spec.name, args[3]), meta)
  return cell, reply
end

-- Once for each copy that is loaded. Lua's collector works in steps whose size is a multiple of what was allocated; at the usual 200 %
-- a call in ten takes twice as long as the others. Little lives longer than a call here (0.4 MB), so half of that speed keeps up: after
-- short calls the heap stays below 2 MB, and the slowest hundredth of them takes a fifth less time. The pace is that of the whole
-- interpreter: other function libraries of this server have it too, and it stays when this one goes.
function ns.begin()
  ns.bind()
  ns.bound = true
  collectgarbage('setstepmul', 50)
end

function ns.serve(spec)
  spec.at, spec.unopened = {}, {}
  for position = 1, #spec.keys do spec.at[spec.keys[position]], spec.unopened[position] = position, false end
  return function(keys, args)
    if not ns.bound then ns.begin() end
    local fine, cell, reply = pcall(run, spec, keys, args)
    if not fine then
      if type(cell) == 'table' then return cell end
      -- Servers since version 7 hand the text of an error table to whoever caught it; a fault's begins with its place.
      if string.find(tostring(cell), '^NS_') then return redis.error_reply(cell) end
      return redis.error_reply('NS_LIBRARY_FAULT function=' .. spec.name .. ' ' .. string.gsub(tostring(cell), '[\r\n]', ' '))
    end
    local answer = cmsgpack.pack(reply)
    if not spec.reads_only then cell:commit() end
    return answer
  end
end
