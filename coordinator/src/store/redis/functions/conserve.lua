local MISMATCHES = 256 -- sessions of which a mismatch is kept

-- fleet_account_1: counts the findings of a part of a log without passing them on; with the last
-- part, all that they are compared with, at the same moment.
-- KEYS: session, log, index, counts, packed
-- ARGV: id of the last entry counted, or '-' for none; entries at most
-- Answers {entries counted, findings in them, id of the last}, and if that was the end of the log
-- {..., session, counts, members of the index, entries of the log}; refuses with NOTFOUND.
local function account(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then return refuse('NOTFOUND', 'session|') end
  local from, most = args[1] == '-' and '-' or '(' .. args[1], tonumber(args[2])
  local entries, findings, last = redis.call('XRANGE', keys[2], from, '+', 'COUNT', most), 0, args[1]
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    last = entry[1]
    for i = 1, #fields, 2 do
      if fields[i] == 'n' then findings = findings + (tonumber(fields[i + 1]) or 0) end
    end
  end
  local answer = {#entries, int(findings), last}
  if #entries < most then
    answer[4] = redis.call('HGETALL', keys[1])
    answer[5] = redis.call('HGETALL', keys[4])
    answer[6] = redis.call('ZCARD', keys[3]) + redis.call('STRLEN', keys[5]) / 16
    answer[7] = redis.call('XLEN', keys[2])
  end
  return answer
end

-- Puts `new` in the place of `old`; nothing where there is nothing new.
local function replace(old, new, size)
  redis.call('UNLINK', old)
  if size == 0 then return end
  redis.call('RENAME', new, old)
  redis.call('PERSIST', old)
end

-- fleet_repair_1: puts a new index and new counters in the place of a session's, with the totals that
-- go with them, if the session still is the one they were made from. They may have expired meanwhile.
-- KEYS: session, index, counts, sessions, feed, rollup, new index, new counts, packed
-- ARGV: session id, version, generation, members of the new index, fields of the new counters,
--       findings that the fleet's sums have too few,
--       number of fields to remove from the session, these,
--       then field and value of each that is set
-- Answers 1, or 0 when the session has moved on.
local function repair(keys, args)
  local stored = redis.call('HMGET', keys[1], 'version', 'generation')
  local members, fields = tonumber(args[4]), tonumber(args[5])
  if stored[1] ~= args[2] or stored[2] ~= args[3] or redis.call('ZCARD', keys[7]) ~= members
    or redis.call('HLEN', keys[8]) ~= fields then
    return 0
  end
  replace(keys[2], keys[7], members)
  redis.call('UNLINK', keys[9]) -- all members are in the new index
  replace(keys[3], keys[8], fields)
  local first = 8 + tonumber(args[7])
  if first > 8 then redis.call('HDEL', keys[1], unpack(args, 8, first - 1)) end
  redis.call('HSET', keys[1], unpack(args, first))
  redis.call('HINCRBY', keys[1], 'generation', 1)
  redis.call('HINCRBY', keys[6], 'findings', args[6])
  local ms, us = now()
  touch(keys[1], keys[4], keys[5], args[1], ms, next_version(us, stored[1]))
  return 1
end

-- fleet_mismatch_1: keeps what is wrong with a session.
-- KEYS: conservation
-- ARGV: session id, mismatch as JSON
-- Answers 1 if nothing was known of it before and now is, 0 otherwise.
local function mismatch(keys, args)
  local known = redis.call('HEXISTS', keys[1], args[1]) == 1
  if not known and redis.call('HLEN', keys[1]) >= MISMATCHES then return 0 end
  redis.call('HSET', keys[1], args[1], args[2])
  return known and 0 or 1
end

redis.register_function{function_name = 'fleet_account_1', callback = account, flags = {'no-writes'}}
redis.register_function{function_name = 'fleet_repair_1', callback = repair}
redis.register_function{function_name = 'fleet_mismatch_1', callback = mismatch}
