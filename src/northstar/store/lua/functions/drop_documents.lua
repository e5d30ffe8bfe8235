--[[ drop_documents: forget what operators declared: all that is named, or nothing.
  KEYS   meta documents events
  FLAGS  allow-oom
  TAKES  documents list (≤ 500) of {kind, name, expected: its version as the caller knows it; optional} · by
  GIVES  version of the cell's documents · dropped list of flags: false where there was none
  REFUSES NS_DOCUMENT_CHANGED
  EVENTS document.dropped each
  COST   O(documents). Everybody hears {'documents'}. ]]
local DS = ns.DS
ns.takes.drop_documents = { ns.BY, { 'documents', ns.LIST, 500, of = ns.DOCUMENT } }

function ns.handlers.drop_documents(cell, request)
  local dropped, any = {}, false
  for position, named in ipairs(request.documents) do
    local known = ns.document(cell, named)
    if known then
      ns.expect_document(named, known)
      ns.drop_document(cell, named, known, request.by)
    end
    dropped[position], any = known and true or false, any or known
  end
  return { version = any and ns.tell_of_documents(cell) or ns.documents_state(cell)[DS.version], dropped = dropped }
end
