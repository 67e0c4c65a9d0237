-- fleet_beat_1: the heartbeat of a worker that is known; runs at maxmemory too.
-- fleet_hail_1: the same for one that is not, which needs memory.
-- KEYS: worker, workers
-- ARGV: worker id, what it says of itself (JSON), state, progress, updates channel
-- Answers the pending command or ''; fleet_beat_1 answers 'unknown' when it must hail.
local RANKS = {starting = 1, running = 2, quiet = 3, terminating = 4, stopped = 5}
local OBEYED = {quiet = 3, terminate = 4}

local function beat(keys, args, create)
  local state, progress = args[3], args[4]
  if not RANKS[state] then return refuse('INVALID', 'worker state|it is not known') end
  local known = redis.call('HMGET', keys[1], 'state', 'progress', 'command')
  if not known[1] and not create then return 'unknown' end
  local ms = now()
  if known[1] and RANKS[known[1]] > RANKS[state] then state = known[1] end
  redis.call('HSET', keys[1], 'beat', args[2], 'state', state, 'progress', progress)
  if known[2] ~= progress then redis.call('HSET', keys[1], 'progressed', int(ms)) end
  redis.call('EXPIRE', keys[1], WORKER_SECONDS)
  redis.call('ZADD', keys[2], int(ms), args[1])
  -- A newcomer sweeps out those whose hash has expired.
  if create then redis.call('ZREMRANGEBYSCORE', keys[2], '-inf', int(ms - WORKER_SECONDS * 1000)) end
  if known[1] ~= state then redis.call('PUBLISH', args[5], '{"kind":"workers"}') end
  local command = known[3] or ''
  if command ~= '' and RANKS[state] >= OBEYED[command] then
    redis.call('HDEL', keys[1], 'command')
    return ''
  end
  return command
end

redis.register_function{
  function_name = 'fleet_beat_1',
  callback = function(keys, args) return beat(keys, args, false) end,
  flags = {'allow-oom'},
}
redis.register_function{
  function_name = 'fleet_hail_1',
  callback = function(keys, args) return beat(keys, args, true) end,
}
