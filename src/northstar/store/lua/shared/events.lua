--[[ events: one typed event per change of state, in the same call, numbered per job and per cell.
  needs: unit_of_work
  The stream's ids are epoch-sequence, counters of the cell and never clocks. The stream is trimmed only by `events_committed`,
  after the history writer has its rows and offset in SQL; at the limit submit refuses, and nothing is dropped. ]]
local J, H = ns.J, ns.H
local Cell = ns.Cell

local function append(cell, kind, subject, number, data)
  local hot = cell.hot
  hot[H.event] = hot[H.event] + 1
  local payload = cmsgpack.pack({ kind, subject, number, cell.now, data })
  cell.events[#cell.events + 1] =
    { 'XADD', cell:key('events'), cell.identity.epoch .. '-' .. string.format('%.0f', hot[H.event]), 'e', payload }
end

-- `data` is a list of name, value pairs, so that its order is fixed.
function Cell:job_event(kind, id, job, data)
  job[J.events] = job[J.events] + 1
  append(self, kind, id, job[J.events], data or {})
  job[J.last_event] = self.hot[H.event]
end

function Cell:machine_event(kind, machine_id, data) append(self, kind, machine_id, 0, data or {}) end
