--[[ documents: what operators declare for all processes of a cell, such as the models of the catalogue.
  needs: fields records unit_of_work bells refusal
  Each has a kind, a name and JSON that only its readers understand. The cell's version of documents rises with every change and is never
  used twice, so a document that was dropped and made anew has another one; whoever reads looks again only when the version has moved. ]]
local D, DS = ns.D, ns.DS
ns.DOCUMENT = { { 'kind', ns.NAME, 64 }, { 'name', ns.NAME, 512 }, { 'expected', ns.COUNT, ns.MOST, optional = true } }

local function field_of(named) return named.kind .. '\0' .. named.name end

-- The document so named as a record, or false.
function ns.document(cell, named) return cell:record('documents', field_of(named)) end

-- No document is in its way: the field of each has a NUL in it.
function ns.documents_state(cell) return cell:record('documents', 'state') or { 0, 0, 0, 0 } end

-- Compare and set: the caller has seen this version of the document, or, with 0, that there is none.
function ns.expect_document(named, known)
  local version = known and known[D.version] or 0
  if named.expected and named.expected ~= version then
    ns.refuse('NS_DOCUMENT_CHANGED',
      { 'kind', named.kind, 'name', named.name, 'expected', named.expected, 'version', version, 'by', known and known[D.by] or '' })
  end
end

-- The version after one more change; `body` is '' where the document goes.
local function count_change(cell, before, body)
  local state = ns.documents_state(cell)
  state[DS.version], state[DS.at_ms] = state[DS.version] + 1, cell.now
  state[DS.count] = state[DS.count] + (body ~= '' and 1 or 0) - (before and 1 or 0)
  state[DS.bytes] = state[DS.bytes] + #body - (before and #before[D.body] or 0)
  cell:changed('documents', 'state', state)
  return state[DS.version]
end

local function tell(cell, kind, named, version, by)
  cell:machine_event(kind, named.kind .. ':' .. named.name, { 'kind', named.kind, 'name', named.name, 'version', version, 'by', by })
end

function ns.put_document(cell, named, known, by)
  local version = count_change(cell, known, named.body)
  cell:changed('documents', field_of(named), { version, named.body, by, cell.now })
  tell(cell, 'document.put', named, version, by)
  return version
end

function ns.drop_document(cell, named, known, by)
  local version = count_change(cell, known, '')
  cell:drop('documents', field_of(named))
  tell(cell, 'document.dropped', named, version, by)
end

-- Once the whole call is known: everybody hears that there is something to read.
function ns.tell_of_documents(cell)
  cell:ring('tick', { 'documents' })
  return ns.documents_state(cell)[DS.version]
end
