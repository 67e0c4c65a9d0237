-- fleet_keep_1: stores the fleet's health, if the one stored still is that it was computed from.
-- KEYS: health
-- ARGV: version it was computed from, '' for none; health as JSON
-- Answers its version, or 0 when another was stored meanwhile.
local function keep(keys, args)
  local version = redis.call('HGET', keys[1], 'version')
  if (version or '') ~= args[1] then return '0' end
  local _, us = now()
  local next = int(next_version(us, version or '0'))
  redis.call('HSET', keys[1], 'version', next, 'health', args[2])
  return next
end

redis.register_function{function_name = 'fleet_keep_1', callback = keep}
