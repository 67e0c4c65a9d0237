-- What every function shares. Each function checks everything before its first write, since Lua
-- does not roll back, and reads the time once.

local FEED_LENGTH = '100000' -- entries of a feed kept; a coordinator that is further behind resyncs
local PRODUCER_SECONDS = '604800' -- a producer that comes back after more than 7 days starts anew
local WORKER_SECONDS = 86400 -- a worker not heard of for a day is forgotten
local RUNS_LENGTH = 256 -- finished executions kept of a bot in a partition

-- Whole numbers reach Redis as text: over 2^31 Lua's own format is 1.7e+15, and below it Redis writes
-- them as it does fractions, which costs as much as another command.
local function int(number)
  return string.format('%d', number)
end

-- Refusals carry a code of their own, which clients map to one error each.
local function refuse(code, why)
  return redis.error_reply('FLEET_' .. code .. ' ' .. why)
end

-- Milliseconds and microseconds since 1970.
local function now()
  local time = redis.call('TIME')
  local us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  return math.floor(us / 1000), us
end

-- The version after `previous`: microseconds, so that a version lost with a replication tail is
-- not given again to another state.
local function next_version(us, previous)
  return math.max(us, tonumber(previous) + 1)
end

-- Records a change of a session, with these fields and values of it, and announces it to coordinators,
-- with the trace it is part of, if it is of one.
local function touch(session_key, sessions_key, feed_key, session, ms, version, trace, ...)
  redis.call('HSET', session_key, 'version', int(version), 'changed', int(ms), ...)
  redis.call('ZADD', sessions_key, int(ms), session)
  redis.call('XADD', feed_key, 'MAXLEN', '~', FEED_LENGTH, '*', 's', session, 'v', int(version),
    't', trace or '')
end

-- Where `sequence` stands: 'next', 'again' with the stored answer, 'old', or 'gap' with the last.
local function sequence_of(producer_key, sequence)
  local stored = redis.call('HMGET', producer_key, 'last', 'answer')
  local last = tonumber(stored[1] or '0')
  if sequence == last then return 'again', stored[2] end
  if sequence < last then return 'old' end
  if sequence > last + 1 then return 'gap', int(last) end
  return 'next'
end

local function remember(producer_key, sequence, answer)
  redis.call('HSET', producer_key, 'last', int(sequence), 'answer', answer)
  redis.call('EXPIRE', producer_key, PRODUCER_SECONDS)
end
