local ANOMALIES = 256 -- anomalies kept of the fleet
local POINTS = 512 -- points kept of a score's history
local BUCKET = 60000 -- milliseconds in which changes of a score leave one point
local CALM = 3600000 -- milliseconds after which an unchanged score leaves a point

-- Adds anomalies, each identity once, from triples of id, milliseconds and JSON that begin at
-- `first`; the oldest go. Answers how many were not there and now are.
local function keep(times_key, bodies_key, args, first)
  local fresh, count = {}, 0
  for i = first, #args, 3 do
    if redis.call('ZADD', times_key, 'NX', args[i + 1], args[i]) == 1 then
      redis.call('HSET', bodies_key, args[i], args[i + 2])
      fresh[args[i]], count = true, count + 1
    end
  end
  for _, id in ipairs(redis.call('ZRANGE', times_key, 0, -ANOMALIES - 1)) do
    redis.call('ZREM', times_key, id)
    redis.call('HDEL', bodies_key, id)
    if fresh[id] then count = count - 1 end
  end
  return count
end

-- fleet_advance_1: stores a bot's series and the anomalies found, if the last run applied still is
-- the one it was advanced from.
-- KEYS: series, anomalies, anomaly bodies
-- ARGV: bot, last run applied before ('' for none), last run applied now, series,
--       then id, milliseconds and JSON of each anomaly
-- Answers 1, or 0 when another has advanced it.
local function advance(keys, args)
  local last = args[1] .. ':last'
  if (redis.call('HGET', keys[1], last) or '') ~= args[2] then return 0 end
  redis.call('HSET', keys[1], args[1], args[4], last, args[3])
  keep(keys[2], keys[3], args, 5)
  return 1
end

-- fleet_note_1: stores anomalies, each identity once.
-- KEYS: anomalies, anomaly bodies
-- ARGV: id, milliseconds and JSON of each
-- Answers how many were not there and now are.
local function note(keys, args)
  return keep(keys[1], keys[2], args, 1)
end

-- fleet_amend_1: stores anomalies in the place of those with their identities, where these are kept.
-- KEYS: anomalies, anomaly bodies
-- ARGV: id, milliseconds and JSON of each
-- Answers how many are not as they were.
local function amend(keys, args)
  local count = 0
  for i = 1, #args, 3 do
    local stored = redis.call('HGET', keys[2], args[i])
    if stored and stored ~= args[i + 2] then
      redis.call('ZADD', keys[1], args[i + 1], args[i])
      redis.call('HSET', keys[2], args[i], args[i + 2])
      count = count + 1
    end
  end
  return count
end

-- fleet_anomalies_1: the anomalies stored, at one moment.
-- KEYS: anomalies, anomaly bodies
-- Answers the JSON of each, latest first.
local function anomalies(keys)
  local ids = redis.call('ZREVRANGE', keys[1], 0, -1)
  if #ids == 0 then return {} end
  return redis.call('HMGET', keys[2], unpack(ids))
end

-- fleet_point_1: takes a point into a score's history: if it shows something else than the last or
-- that is an hour old; in its place if that is of the same minute.
-- KEYS: history, then for a repository the hash of its quality
-- ARGV: milliseconds, score to a tenth or '-', status, the session that must speak for the repository
-- Answers 1, or 0 when it was not taken.
local function point(keys, args)
  if keys[2] and redis.call('HGET', keys[2], 'session') ~= args[4] then return 0 end
  local value, at = args[1] .. ' ' .. args[2] .. ' ' .. args[3], tonumber(args[1])
  local last = redis.call('LINDEX', keys[1], -1)
  if last then
    local before, shown = string.match(last, '^(%d+) (.*)$')
    before = tonumber(before)
    if at < before or (shown == args[2] .. ' ' .. args[3] and at - before < CALM) then return 0 end
    if math.floor(at / BUCKET) == math.floor(before / BUCKET) then
      redis.call('LSET', keys[1], -1, value)
      return 1
    end
  end
  redis.call('RPUSH', keys[1], value)
  redis.call('LTRIM', keys[1], -POINTS, -1)
  return 1
end

redis.register_function{function_name = 'fleet_advance_1', callback = advance}
redis.register_function{function_name = 'fleet_note_1', callback = note}
redis.register_function{function_name = 'fleet_amend_1', callback = amend}
redis.register_function{function_name = 'fleet_anomalies_1', callback = anomalies, flags = {'no-writes'}}
redis.register_function{function_name = 'fleet_point_1', callback = point}
