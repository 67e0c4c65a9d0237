-- fleet_hello_1: what a client checks before its first call.
-- KEYS: meta
-- ARGV: for each probe the number of its words, then the words: a command with arguments that the
--       caller must be allowed to run
-- Answers {schema, partitions}, or refuses with NOFLEET or RIGHTS. Writes nothing.
local function hello(keys, args)
  local at = 1
  while at <= #args do
    local words = tonumber(args[at])
    local probe = {unpack(args, at + 1, at + words)}
    if not redis.acl_check_cmd(unpack(probe)) then
      return refuse('RIGHTS', 'the Redis user may not run ' .. probe[1] .. ' on ' .. (probe[2] or ''))
    end
    at = at + words + 1
  end
  local meta = redis.call('HMGET', keys[1], 'schema', 'partitions')
  if not meta[1] or not meta[2] then
    return refuse('NOFLEET', 'no fleet has been created here')
  end
  return {meta[1], meta[2]}
end

redis.register_function{function_name = 'fleet_hello_1', callback = hello, flags = {'no-writes'}}
