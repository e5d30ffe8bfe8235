--[[ put_documents: keep what operators declare for all processes: all of it, or nothing.
  KEYS   meta documents events
  TAKES  documents list (≤ 100) of {kind, name, body: JSON (≤ 64 KiB), expected: its version as the caller knows it, 0 for none; optional}
         by
  GIVES  version of the cell's documents · documents list of {version, fresh}: one that says the same already stays as it is, whatever was
         expected, so that a call may be repeated after a lost answer
  REFUSES NS_DOCUMENT_CHANGED, NS_DOCUMENT_TOO_LARGE, NS_TOO_MANY_DOCUMENTS, NS_DOCUMENTS_TOO_LARGE
  EVENTS document.put each
  COST   O(documents). Everybody hears {'documents'}. ]]
local D, DS = ns.D, ns.DS
local MOST_BYTES = 65536
ns.takes.put_documents = { ns.BY, { 'documents', ns.LIST, 100, of = { ns.DOCUMENT[1], ns.DOCUMENT[2], ns.DOCUMENT[3],
  { 'body', ns.TEXT, ns.MOST } } } } -- more than allowed is refused by its own name

local function expect_room(cell)
  local state, limits = ns.documents_state(cell), cell.limits
  if state[DS.count] > limits.max_documents then ns.refuse('NS_TOO_MANY_DOCUMENTS', { 'limit', limits.max_documents }) end
  if state[DS.bytes] > limits.max_documents_bytes then ns.refuse('NS_DOCUMENTS_TOO_LARGE', { 'limit', limits.max_documents_bytes }) end
end

local function put(cell, wanted, by)
  local known = ns.document(cell, wanted)
  if known and known[D.body] == wanted.body then return { known[D.version], false } end
  if #wanted.body > MOST_BYTES then
    ns.refuse('NS_DOCUMENT_TOO_LARGE', { 'kind', wanted.kind, 'name', wanted.name, 'bytes', #wanted.body, 'limit', MOST_BYTES })
  end
  if wanted.body == '' then ns.refuse('NS_BAD_ARGUMENT', { 'field', 'request.documents.body', 'want', 'json' }) end
  ns.expect_document(wanted, known)
  return { ns.put_document(cell, wanted, known, by), true }
end

function ns.handlers.put_documents(cell, request)
  local given, fresh = {}, false
  for position, wanted in ipairs(request.documents) do
    given[position] = put(cell, wanted, request.by)
    fresh = fresh or given[position][2]
  end
  if not fresh then return { version = ns.documents_state(cell)[DS.version], documents = given } end
  expect_room(cell)
  return { version = ns.tell_of_documents(cell), documents = given }
end
