-- fleet_compact_1: puts a compacted log and packed fingerprints in the place of a session's log and
-- index, if the session still is the one they were made from.
-- KEYS: session, log, index, packed, counts, new log, new packed
-- ARGV: session id, version, generation, entries of the new log, fingerprints packed
-- Answers {1, bytes taken before, bytes taken now}, or {0} when the session has moved on, or what was
-- made is not whole: it may have expired meanwhile. The version stays: nothing that is read changes.
local FIELDS_AT_ONCE = 2000 -- names and values given to one HSET
local LISTED = 512 -- fields that Redis keeps as a list, which takes a third of a hash table

-- Bytes of all keys, 0 where the user may not ask.
local function bytes(keys)
  local sum = 0
  for _, key in ipairs(keys) do
    local taken = redis.pcall('MEMORY', 'USAGE', key)
    if type(taken) == 'number' then sum = sum + taken end
  end
  return sum
end

-- Writes a hash anew: as a list again, if pushes had made it a hash table.
local function rewrite(key)
  if redis.call('HLEN', key) > LISTED then return end
  local fields = redis.call('HGETALL', key)
  redis.call('DEL', key)
  for i = 1, #fields, FIELDS_AT_ONCE do
    redis.call('HSET', key, unpack(fields, i, math.min(i + FIELDS_AT_ONCE - 1, #fields)))
  end
end

local function compact(keys, args)
  local stored = redis.call('HMGET', keys[1], 'version', 'generation')
  if stored[1] ~= args[2] or stored[2] ~= args[3] then return {0} end
  local members = tonumber(args[5])
  if redis.call('XLEN', keys[6]) ~= tonumber(args[4]) or redis.call('STRLEN', keys[7]) ~= 16 * members
    or redis.call('ZCARD', keys[3]) + redis.call('STRLEN', keys[4]) / 16 ~= members then
    return {0}
  end
  local own = {keys[2], keys[3], keys[4], keys[5]}
  local before = bytes(own)
  redis.call('UNLINK', keys[2], keys[3], keys[4])
  redis.call('RENAME', keys[6], keys[2])
  redis.call('RENAME', keys[7], keys[4])
  redis.call('PERSIST', keys[2])
  redis.call('PERSIST', keys[4])
  rewrite(keys[5])
  redis.call('HINCRBY', keys[1], 'generation', 1)
  redis.call('HSET', keys[1], 'compacted', args[2])
  return {1, before, bytes(own)}
end

redis.register_function{function_name = 'fleet_compact_1', callback = compact, flags = {'allow-oom'}}
