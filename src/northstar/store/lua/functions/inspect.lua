--[[ inspect: jobs as they are.
  KEYS   meta jobs bodies results decisions lanes
  FLAGS  no-writes
  TAKES  jobs list (≤ 500) of ids · bodies, results, decisions: whether to give them
  GIVES  jobs list of {id, record, body, result, lane key, decision}, unknown ones left out
  EVENTS none
  COST   O(jobs) ]]
local J, L = ns.J, ns.L
ns.takes.inspect = { { 'jobs', ns.LIST, 500, each = ns.NAME, within = 128 }, { 'bodies', ns.FLAG, optional = true },
  { 'results', ns.FLAG, optional = true }, { 'decisions', ns.FLAG, optional = true } }

function ns.handlers.inspect(cell, request)
  local found, ids = {}, request.jobs
  cell:load('jobs', ids)
  if request.bodies then cell:load('bodies', ids) end
  if request.results then cell:load('results', ids) end
  if request.decisions then cell:load('decisions', ids) end
  for _, id in ipairs(ids) do
    local job = cell:record('jobs', id)
    if job then
      local lane = cell:record('lanes', job[J.lane])
      found[#found + 1] = { id, job, request.bodies and cell:get('bodies', id) or '', request.results and cell:get('results', id) or '',
        lane and lane[L.key] or '', request.decisions and cell:get('decisions', id) or '' }
    end
  end
  return { jobs = found, now_ms = cell.now }
end
