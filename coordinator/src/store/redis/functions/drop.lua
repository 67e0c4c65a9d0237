-- fleet_drop_1: removes a session with everything that is its own, if it is still at a version.
-- KEYS: session, log, index, counts, rules, sessions, rollup, repository quality, open, baselines,
--       packed
-- ARGV: session id, version, updates channel, baseline fields it may stand in...
-- Answers 1, or 0 when it has moved on or is not there.
local function drop(keys, args)
  local stored = redis.call('HMGET', keys[1], 'version', 'total')
  if stored[1] ~= args[2] then return 0 end
  redis.call('UNLINK', keys[1], keys[2], keys[3], keys[4], keys[5])
  if keys[11] then redis.call('UNLINK', keys[11]) end
  redis.call('ZREM', keys[6], args[1])
  redis.call('HINCRBY', keys[7], 'sessions', -1)
  redis.call('HINCRBY', keys[7], 'dropped', int(tonumber(stored[2])))
  local spoke = redis.call('HMGET', keys[8], 'session', 'milli')
  if spoke[1] == args[1] then
    redis.call('HINCRBY', keys[7], 'quality', int(-tonumber(spoke[2])))
    redis.call('HINCRBY', keys[7], 'repositories', -1)
    redis.call('DEL', keys[8])
  end
  if redis.call('GET', keys[9]) == args[1] then redis.call('DEL', keys[9]) end
  for i = 4, #args do
    if redis.call('HGET', keys[10], args[i]) == args[1] then redis.call('HDEL', keys[10], args[i]) end
  end
  redis.call('PUBLISH', args[3], '{"kind":"session","session":"' .. args[1] .. '","version":' .. args[2] .. '}')
  return 1
end

redis.register_function{function_name = 'fleet_drop_1', callback = drop, flags = {'allow-oom'}}
