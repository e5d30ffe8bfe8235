--[[ news: words, profiles and lists of node classes that the cell keeps because a machine said them.
  needs: admission unit_of_work refusal
  One that says something else every minute must not use up what all share. A machine that came without a token is trusted. ]]
local K = ns.K
local MOST_WORDS, MOST_PROFILES, MOST_NODE_SETS = 10000, 256, 32

function ns.note_news(cell, machine_id, words, profiles, node_sets)
  if words + profiles + node_sets == 0 then return end
  local id, token = ns.token_of_machine(cell, machine_id)
  if not token then return end
  token[K.words], token[K.profiles] = (token[K.words] or 0) + words, (token[K.profiles] or 0) + profiles
  token[K.node_sets] = (token[K.node_sets] or 0) + node_sets
  if token[K.words] > MOST_WORDS or token[K.profiles] > MOST_PROFILES or token[K.node_sets] > MOST_NODE_SETS then
    ns.refuse('NS_TOO_MUCH_NEWS', { 'machine', machine_id, 'words', MOST_WORDS, 'profiles', MOST_PROFILES, 'node_sets', MOST_NODE_SETS })
  end
  cell:changed('tokens', id, token)
end
