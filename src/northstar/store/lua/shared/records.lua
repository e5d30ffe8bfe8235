--[[ records: the positions of fields in packed records.
  A record is a msgpack array, so a name costs nothing per job. A field is only ever appended: an older library keeps
  what it does not know, because it writes back the whole array. The domain types in `store/messages.py` read the same positions. ]]

local function positions(names)
  local at = {}
  for position = 1, #names do at[names[position]] = position end -- no globals such as ipairs exist while a library loads
  return at
end

-- One job. '' and 0 stand for "none". Times are ms since epoch by the cell's clock.
ns.J = positions {
  'status', 'lane', 'order', 'tenant', 'priority', 'sequence', 'submitted_ms',
  'attempts', 'max_attempts', 'recoveries', 'max_recoveries', 'claims',
  'token', 'machine', 'settled', 'events', 'last_event',
  'start_by_ms', 'finish_by_ms', 'backoff_base_ms', 'backoff_cap_ms', 'due_ms',
  'started_ms', 'finished_ms', 'retention_ms', 'error_code', 'error_message',
  'idempotency_key', 'digest', 'tag',
}

-- One machine. `offers` lists the ids of jobs handed to it and not yet accepted, `accepted` those that its latest claim accepted;
-- `wants` is its credit while parked; `work` lists {lane, count} of the jobs under a lease here (missing from older records).
ns.M = positions {
  'number', 'profile', 'session', 'slots', 'used', 'vram_mb', 'vram_used_mb', 'status', 'holder', 'offers', 'wants',
  'nonce', 'registered_ms', 'accepted', 'work',
}

-- One lane: its canonical text, its requirement class, its pool, the VRAM one of its jobs needs and how many of its jobs are unfinished;
-- and the running mean of the seconds that its submitters expected of its jobs (missing from older records).
ns.L = positions { 'key', 'class', 'pool', 'vram_mb', 'live', 'anchors', 'run_s' }

-- One requirement class: the hard part of a lane; `served` is 1 once some profile can serve it.
ns.C = positions { 'key', 'pool', 'vram_mb', 'served' }

-- One machine profile: its canonical text, and how many machines have it; no number in records from before it was counted, which stay;
-- and the digest of the list of node classes that it names, if it names one.
ns.P = positions { 'key', 'machines', 'node_set' }

-- One tenant: finish tag of its latest job (virtual time) and how many of its jobs are unfinished.
ns.T = positions { 'finish_tag', 'live' }

-- One invite: digest of its secret; what a machine that joins by it may say of itself; how often it may be used, and was; until when;
-- `revoked` is 1 once it was taken back.
ns.I = positions {
  'secret', 'pools', 'region', 'tags', 'dedicated_to', 'approval', 'uses', 'used', 'made_ms', 'ends_ms', 'by', 'revoked',
}

-- One machine's token: digest of its secret, its machine, 'waiting' | 'approved' | 'revoked', the grants of its invite, who decided last,
-- what was known of who asked; the secret before this one, which still counts until `previous_ends_ms`; and how many words, profiles
-- and lists of node classes the cell had not known before its machine brought them (missing from older tokens).
ns.K = positions {
  'secret', 'machine', 'status', 'pools', 'region', 'tags', 'dedicated_to', 'invite', 'joined_ms', 'seen_ms', 'by', 'about',
  'previous', 'previous_ends_ms', 'words', 'profiles', 'node_sets',
}

-- One open order to a machine about a model: its id, 'fetch' | 'evict', the model, what the agent reads, and since when it stands.
ns.O = positions { 'id', 'what', 'model', 'body', 'given_ms' }

-- One document: the cell's version of documents when it was last changed, its JSON text, who changed it and when. And of all documents
-- of the cell: that version, how many there are, their bytes in all, and when the version last moved.
ns.D = positions { 'version', 'body', 'by', 'at_ms' }
ns.DS = positions { 'version', 'count', 'bytes', 'at_ms' }

-- Counters of the cell that nearly every call changes; kept in one field so that a call writes them once.
ns.H = positions {
  'last_ms', 'skipped_ms', 'sequence', 'event', 'committed_event', 'virtual_time', 'next_due_ms',
  'lanes', 'classes', 'profiles', 'machines', 'live', 'submitted', 'succeeded', 'failed', 'canceled', 'expired',
  'window_ms', 'window_finished', 'window_before',
}
ns.HOT_FIELDS, ns.JOB_FIELDS, ns.MAX_CANDIDATES = 20, 30, 64

local function blank(count, texts)
  local record = {}
  for position = 1, count do record[position] = 0 end
  for position = 1, #texts do record[texts[position]] = '' end
  return record
end

local J = ns.J
local BLANK_HOT = blank(ns.HOT_FIELDS, {})
local BLANK_JOB = blank(ns.JOB_FIELDS, { J.token, J.machine, J.settled, J.error_code, J.error_message })

function ns.blank_hot() return { unpack(BLANK_HOT) } end

function ns.blank_job() return { unpack(BLANK_JOB) } end

-- The first bytes of a text, without half a letter at the end: what is not UTF-8 could not be read back.
function ns.cut(text, bytes)
  if #text <= bytes then return text end
  while bytes > 0 and math.floor(string.byte(text, bytes + 1) / 64) == 2 do bytes = bytes - 1 end
  return string.sub(text, 1, bytes)
end

-- Ids of lanes, classes, profiles and machines: six digits to the base 36, never used twice. 2,176,782,336 of each.
local DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'

function ns.numeral(number)
  local text = ''
  for _ = 1, 6 do
    local digit = number % 36
    text = string.sub(DIGITS, digit + 1, digit + 1) .. text
    number = (number - digit) / 36
  end
  if number > 0 then error('ids of six digits are used up') end
  return text
end

-- Fixed-width lower-case hex, so that text order is number order.
function ns.hex(number, width) return string.format('%0' .. width .. 'x', number) end
