--[[ forgetting: what is over goes: finished jobs after their retention, lanes without work. Part of `tick`.
  needs: records unit_of_work ordered_index candidates ]]
local J, L, H = ns.J, ns.L, ns.H
ns.STOP = -1 -- nothing more of this kind in this call

-- A finished job goes when its retention is over and its last event is in the history. The first that is not there yet ends the
-- round: the history goes in order, so those after it can wait too.
function ns.purge(cell, id)
  local job = cell:record('jobs', id)
  if job and job[J.last_event] > cell.hot[H.committed_event] then return ns.STOP end
  cell:remove('finished', id)
  cell:remove('dead', id)
  if job and job[J.idempotency_key] ~= '' then cell:drop('idempotency', job[J.tenant] .. '\0' .. job[J.idempotency_key]) end
  cell:drop('jobs', id)
  cell:drop('bodies', id)
  cell:drop('results', id)
  cell:drop('decisions', id)
end

-- Costs one of the budget for each machine that knows the lane; a lane that more know than one call may change goes by parts.
function ns.drop_idle_lane(cell, lane)
  local record, members = cell:record('lanes', lane), cell:range('rankings', lane, 500)
  if not record or record[L.live] > 0 then
    cell:remove('idle_lanes', lane)
    return
  end
  for _, member in ipairs(members) do
    ns.drop_choice(cell, (ns.ranked_machine(member)), lane)
  end
  if #members < 500 then
    cell:remove('idle_lanes', lane)
    cell:drop('lanes', 'k' .. record[L.key])
    cell:drop('lanes', lane)
  end
  return 1 + #members
end
