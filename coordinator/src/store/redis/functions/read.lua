-- fleet_tail_1: what was logged after an entry, with what a fold is checked against.
-- KEYS: session, log, rules
-- ARGV: id of the last entry folded, or '-' for none; entries at most
-- Answers {generation, total, quarantined, rules with texts, entries}; refuses with NOTFOUND.
local function tail(keys, args)
  local session = redis.call('HMGET', keys[1], 'generation', 'total', 'quarantined')
  if not session[1] then return refuse('NOTFOUND', 'session|') end
  local from = args[1] == '-' and '-' or '(' .. args[1]
  local entries = redis.call('XRANGE', keys[2], from, '+', 'COUNT', args[2])
  return {session[1], session[2], session[3], redis.call('HLEN', keys[3]), entries}
end

-- fleet_now_1: the clock of the server that hears heartbeats; in a cluster each has its own.
-- KEYS: meta
-- Answers {seconds, microseconds}.
local function clock()
  return redis.call('TIME')
end

redis.register_function{function_name = 'fleet_now_1', callback = clock, flags = {'no-writes'}}
redis.register_function{function_name = 'fleet_tail_1', callback = tail, flags = {'no-writes'}}
