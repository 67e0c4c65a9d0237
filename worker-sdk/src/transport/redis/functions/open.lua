-- fleet_open_1: joins or creates a session; or creates one again that a failover lost, under the
-- id it had.
-- KEYS: open, session (of the new id), sessions, feed, rollup
-- ARGV: new session id, repository, ref, commit, run, again 0/1
-- Answers {session, 1 if created else 0}.
local function open(keys, args)
  local existing = redis.call('GET', keys[1])
  if args[6] == '1' then
    if redis.call('EXISTS', keys[2]) == 1 then return {args[1], 0} end
  elseif existing then
    return {existing, 0}
  end
  local ms, us = now()
  -- Somebody who opened it anew meanwhile stays where he is.
  if not existing then redis.call('SET', keys[1], args[1]) end
  redis.call('HSET', keys[2], 'repo', args[2], 'ref', args[3], 'commit', args[4], 'run', args[5],
    'opened', int(ms), 'generation', 1, 'total', 0, 'quarantined', 0, 'executions', 0)
  redis.call('HINCRBY', keys[5], 'sessions', 1)
  touch(keys[2], keys[3], keys[4], args[1], ms, us)
  return {args[1], 1}
end

redis.register_function{function_name = 'fleet_open_1', callback = open}
