local DEAD_LENGTH = 10000 -- dead letters kept in a partition

-- fleet_derive_1: stores what was computed from a session, if it is still the one stored.
-- KEYS: session, repository quality, rollup
-- ARGV: session id, version it was computed from, result as JSON, quality in thousandths or '',
--       updates channel, band of the quality or '', trace or ''
-- Answers 1, or 0 when the session has moved on.
local function derive(keys, args)
  local stored = redis.call('HMGET', keys[1], 'version', 'opened')
  if stored[1] ~= args[2] then return 0 end
  redis.call('HSET', keys[1], 'derived', args[3])
  if args[4] ~= '' then
    local quality = tonumber(args[4])
    local latest = redis.call('HMGET', keys[2], 'session', 'opened', 'milli')
    local opened, before = tonumber(stored[2]), tonumber(latest[2] or '-1')
    if opened > before or (opened == before and args[1] >= latest[1]) then
      redis.call('HSET', keys[2], 'session', args[1], 'opened', stored[2], 'milli', args[4], 'band', args[6])
      redis.call('HINCRBY', keys[3], 'quality', int(quality - tonumber(latest[3] or '0')))
      if not latest[1] then redis.call('HINCRBY', keys[3], 'repositories', 1) end
    end
  end
  local trace = args[7] ~= '' and ',"trace":"' .. args[7] .. '"' or ''
  redis.call('PUBLISH', args[5], '{"kind":"session","session":"' .. args[1] .. '","version":' .. args[2] .. trace .. '}')
  return 1
end

-- fleet_quarantine_1: moves a log entry that cannot be read to the dead letters.
-- KEYS: session, log, dead, sessions, feed
-- ARGV: session id, entry id, reason
-- Answers the number of findings in it, or -1 when it is no longer there.
local function quarantine(keys, args)
  local entries = redis.call('XRANGE', keys[2], args[2], args[2])
  local version = redis.call('HGET', keys[1], 'version')
  if #entries == 0 or not version then return -1 end
  local fields, letter, findings = entries[1][2], {'session', args[1], 'entry', args[2], 'reason', args[3]}, 0
  for i = 1, #fields, 2 do
    if fields[i] == 'n' then findings = tonumber(fields[i + 1]) or 0 end
    letter[#letter + 1] = 'log.' .. fields[i]
    letter[#letter + 1] = fields[i + 1]
  end
  local ms, us = now()
  redis.call('XADD', keys[3], 'MAXLEN', '~', DEAD_LENGTH, '*', unpack(letter))
  redis.call('XDEL', keys[2], args[2])
  redis.call('HINCRBY', keys[1], 'quarantined', findings)
  touch(keys[1], keys[4], keys[5], args[1], ms, next_version(us, version))
  return findings
end

-- fleet_command_1: gives a worker a command, told with its next beat.
-- KEYS: worker
-- ARGV: command, updates channel
-- Answers 1, or 0 when there is no such worker.
local function command(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then return 0 end
  redis.call('HSET', keys[1], 'command', args[1])
  redis.call('PUBLISH', args[2], '{"kind":"workers"}')
  return 1
end

redis.register_function{function_name = 'fleet_derive_1', callback = derive}
redis.register_function{function_name = 'fleet_quarantine_1', callback = quarantine}
redis.register_function{function_name = 'fleet_command_1', callback = command, flags = {'allow-oom'}}
