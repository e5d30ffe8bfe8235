--[[ finishing: a job's last state, and how many reached theirs lately.
  needs: records unit_of_work lanes leases ]]
local J, H, T = ns.J, ns.H, ns.T

-- A job's last state. It stays readable until its retention ends.
function ns.finish(cell, id, job, status, code, message)
  ns.detach(cell, id, job)
  job[J.status], job[J.finished_ms] = status, cell.now
  job[J.error_code], job[J.error_message] = code or '', ns.cut(message or '', 2048)
  if job[J.start_by_ms] > 0 then cell:remove('deadlines', 's' .. id) end
  if job[J.finish_by_ms] > 0 then cell:remove('deadlines', 'f' .. id) end
  if status == 'failed' then cell:set_score('dead', id, cell.now) end
  local keep = status == 'failed' and cell.limits.dead_retention_ms or job[J.retention_ms]
  cell:set_score('finished', id, cell.now + keep)
  local tenant = cell:record('tenants', job[J.tenant])
  tenant[T.live] = tenant[T.live] - 1
  -- A tenant without work is forgotten; what it was ahead of the others is at most what its last jobs cost.
  if tenant[T.live] > 0 then cell:changed('tenants', job[J.tenant], tenant) else cell:drop('tenants', job[J.tenant]) end
  ns.lane_loses(cell, job[J.lane])
  local hot = cell.hot
  hot[H.live] = hot[H.live] - 1
  hot[H[status]] = hot[H[status]] + 1
  ns.count_finish(cell)
  cell:changed('jobs', id, job)
end

-- Finishes in the running 10 s and the 10 s before: what a refused submitter is told to wait is drawn from it.
function ns.count_finish(cell)
  local hot, WINDOW = cell.hot, 10000
  if cell.now - hot[H.window_ms] >= WINDOW then
    hot[H.window_before] = cell.now - hot[H.window_ms] < 2 * WINDOW and hot[H.window_finished] or 0
    hot[H.window_ms], hot[H.window_finished] = cell.now, 0
  end
  hot[H.window_finished] = hot[H.window_finished] + 1
end

-- Milliseconds until about `excess` jobs will have finished at the recent rate; between 1 s and 5 min.
function ns.retry_after_ms(cell, excess)
  local hot = cell.hot
  local recent, span = hot[H.window_finished] + hot[H.window_before], 10000 + math.min(cell.now - hot[H.window_ms], 10000)
  if recent == 0 then return 300000 end
  return math.max(1000, math.min(300000, math.ceil(excess * span / recent)))
end
