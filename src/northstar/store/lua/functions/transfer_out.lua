--[[ transfer_out: first of the steps that move waiting jobs to another cell. The job stays here, taken out of its lane, until `transfer_done`.
  KEYS   meta jobs bodies decisions waiting ages heads backlog class_ages lanes classes transfers events
  FLAGS  allow-oom
  TAKES  jobs list (≤ 500) of {id, transfer (an id of the caller's)} · target the other cell
  GIVES  jobs list of {id, 'ok' | refusal, transfer, record, body, decision}; a job leaving already answers with the transfer it leaves under
  REFUSES per job: NS_NO_SUCH_JOB, NS_JOB_STARTED, NS_JOB_FINISHED, NS_JOB_IN_TRANSFER (to another target)
  EVENTS job.leaving each
  COST   O(jobs · log waiting) ]]
local J = ns.J
ns.takes.transfer_out = { { 'jobs', ns.LIST, 500, of = { ns.JOB_ID, ns.TRANSFER } }, { 'target', ns.NAME, 128 } }

local function leave(cell, wanted, target)
  local id = wanted.id
  local job = cell:record('jobs', id)
  if not job then return { id, 'NS_NO_SUCH_JOB' } end
  if job[J.finished_ms] > 0 then return { id, 'NS_JOB_FINISHED' } end
  local transfer = wanted.transfer
  if job[J.status] == 'leaving' then
    local known = cell:record('transfers', id)
    if known[2] ~= target then return { id, 'NS_JOB_IN_TRANSFER' } end
    transfer = known[1]
  elseif job[J.status] == 'queued' then
    ns.detach(cell, id, job)
    job[J.status] = 'leaving'
    cell:changed('transfers', id, { transfer, target, cell.now })
    cell:job_event('job.leaving', id, job, { 'target', target, 'transfer', transfer })
    cell:changed('jobs', id, job)
  else
    return { id, 'NS_JOB_STARTED' }
  end
  return { id, 'ok', transfer, job, cell:get('bodies', id) or '', cell:get('decisions', id) or '' }
end

function ns.handlers.transfer_out(cell, request)
  local outcomes, target = {}, request.target
  for position, wanted in ipairs(request.jobs) do outcomes[position] = leave(cell, wanted, target) end
  return { jobs = outcomes }
end
