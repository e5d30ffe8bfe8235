--[[ shapes: records that several functions take.
  needs: fields records ]]
local J = ns.J

ns.JOB_ID, ns.MACHINE, ns.SESSION = { 'id', ns.NAME, 128 }, { 'machine', ns.NAME, 128 }, { 'session', ns.NAME, 128 }
ns.NONCE, ns.TOKEN = { 'nonce', ns.WORD, 64 }, { 'token', ns.TEXT, 256 }
ns.TRANSFER = { 'transfer', ns.NAME, 128 }
ns.INVITE, ns.TOKEN_ID, ns.SECRET = { 'invite', ns.WORD, 64 }, { 'token', ns.WORD, 64 }, { 'secret', ns.WORD, 64 }
ns.BY = { 'by', ns.TEXT, 128 }
-- Why policy sends a job where it waits, JSON; beside a small body it must not be the larger part.
ns.DECISION = { 'decision', ns.TEXT, 4096, optional = true }
ns.HELD = { ns.JOB_ID, ns.TOKEN }
-- What a run took, JSON as `domain/run_reports.py` writes it; it goes into the event of the run's end and nowhere else. Older agents send none.
ns.REPORT = { 'report', ns.TEXT, 1024, optional = true }
ns.RETURNED = { ns.JOB_ID, ns.TOKEN, ns.REPORT }
ns.DONE = { ns.JOB_ID, ns.TOKEN, { 'result', ns.TEXT, ns.MOST }, ns.REPORT } -- the result's size is judged by the cell's own limit

-- {lane, ready_after_ms, preference}
ns.CANDIDATE = { { 1, ns.NAME, 16 }, { 2, ns.COUNT, ns.LONGEST_MS }, { 3, ns.COUNT, ns.MOST } }
ns.CANDIDATES = { 'candidates', ns.LIST, 500, of = ns.CANDIDATE, optional = true } -- more than allowed is refused by its own name

ns.LANE = {
  { 'key', ns.NAME, 32768 }, { 'class', ns.NAME, 32768 }, { 'pool', ns.NAME, 64 }, { 'vram_mb', ns.COUNT, ns.MOST_MB },
  { 'words', ns.LIST, 500, each = ns.NAME, within = 512 }, { 'anchors', ns.TEXT, 16384, optional = true },
  { 'fits', ns.LIST, 10000, of = { { 1, ns.NAME, 16 }, { 2, ns.FLAG } } },
  { 'placements', ns.LIST, 500, of = { { 1, ns.NAME, 128 }, { 2, ns.COUNT, ns.LONGEST_MS }, { 3, ns.COUNT, ns.MOST } } },
}

-- A waiting job's record, as `transfer_out` gives it: under no lease, not finished.
ns.MOVING = {
  { J.status, ns.NAME, 16 }, { J.lane, ns.NAME, 16 }, { J.order, ns.TEXT, 64 }, { J.tenant, ns.NAME, 128 },
  { J.priority, ns.COUNT, 255 }, { J.sequence, ns.COUNT, ns.MOST }, { J.submitted_ms, ns.COUNT, ns.MOST },
  { J.attempts, ns.COUNT, ns.MOST }, { J.max_attempts, ns.COUNT, ns.MOST }, { J.recoveries, ns.COUNT, ns.MOST },
  { J.max_recoveries, ns.COUNT, ns.MOST }, { J.claims, ns.COUNT, ns.MOST }, { J.token, ns.TEXT, 0 }, { J.machine, ns.TEXT, 0 },
  { J.settled, ns.TEXT, 256 }, { J.events, ns.COUNT, ns.MOST }, { J.last_event, ns.COUNT, ns.MOST },
  { J.start_by_ms, ns.COUNT, ns.MOST }, { J.finish_by_ms, ns.COUNT, ns.MOST }, { J.backoff_base_ms, ns.NUMBER, ns.LONGEST_MS },
  { J.backoff_cap_ms, ns.NUMBER, ns.LONGEST_MS }, { J.due_ms, ns.COUNT, 0 }, { J.started_ms, ns.COUNT, ns.MOST },
  { J.finished_ms, ns.COUNT, 0 }, { J.retention_ms, ns.COUNT, ns.LONGEST_MS }, { J.error_code, ns.TEXT, 2048 },
  { J.error_message, ns.TEXT, 2048 }, { J.idempotency_key, ns.NAME_OR_NONE, 512 }, { J.digest, ns.WORD, 128 },
  { J.tag, ns.NUMBER, ns.MOST },
}
