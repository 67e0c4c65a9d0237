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
redis.register_function{function_name = 'fleet_command_1', callback = command, flags = {'allow-oom'}}
