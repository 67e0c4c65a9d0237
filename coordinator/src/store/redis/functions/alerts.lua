local OUTBOX = 256 -- deliveries of alerts that wait
local UNDELIVERED = 256 -- deliveries given up that are kept
local SILENCES = 256 -- silences kept
local AUDIT = 10000 -- entries of the audit kept
local DAY = 86400000 -- milliseconds a silence is kept after its end, and a delivery waits at most

-- Values of a stream's entry by field.
local function fields(entry)
  local found = {}
  for i = 1, #entry[2], 2 do found[entry[2][i]] = entry[2][i + 1] end
  return found
end

local function bury(dead_key, channel, body, attempts, why)
  redis.call('XADD', dead_key, 'MAXLEN', '=', UNDELIVERED, '*', 'c', channel, 'd', body, 'n', attempts, 'w', why)
end

local function audit(audit_key, author, action, subject)
  redis.call('XADD', audit_key, 'MAXLEN', '~', AUDIT, '*', 'by', author, 'did', action, 'to', subject)
end

-- fleet_alerts_1: what is stored of alerts, at one moment.
-- KEYS: alerts, silences, outbox, deliveries given up
-- Answers {version or '', board or '', {silence}, {channel of each delivery that waits}, given up}.
local function alerts(keys)
  local stored = redis.call('HMGET', keys[1], 'version', 'board')
  local waiting = {}
  for _, entry in ipairs(redis.call('XRANGE', keys[3], '-', '+')) do
    waiting[#waiting + 1] = fields(entry).c
  end
  return {
    stored[1] or '', stored[2] or '', redis.call('HVALS', keys[2]), waiting, redis.call('XLEN', keys[4]),
  }
end

-- fleet_raise_1: stores the board with what is to be delivered because of it, if the version still is
-- the one it was made from.
-- KEYS: alerts, outbox, deliveries given up
-- ARGV: version it was made from ('' for none), board, then channel and JSON of each delivery
-- Answers 1, or 0 when another was stored meanwhile.
local function raise(keys, args)
  local version = redis.call('HGET', keys[1], 'version')
  if (version or '') ~= args[1] then return 0 end
  local _, us = now()
  local room = OUTBOX - redis.call('XLEN', keys[2])
  redis.call('HSET', keys[1], 'version', int(next_version(us, version or '0')), 'board', args[2])
  for i = 3, #args, 2 do
    if room > 0 then
      redis.call('XADD', keys[2], '*', 'c', args[i], 'd', args[i + 1])
    else
      bury(keys[3], args[i], args[i + 1], 0, 'too many deliveries waited')
    end
    room = room - 1
  end
  return 1
end

-- Who has the first delivery of a channel: its id, until when, how often it was claimed, by whom.
local function holder(claims_key, channel)
  local held = redis.call('HGET', claims_key, channel)
  if not held then return nil end
  local id, till, attempts, claimer = string.match(held, '^(%S+) (%d+) (%d+) (.*)$')
  return id, tonumber(till), tonumber(attempts), claimer
end

-- fleet_claim_1: takes the first delivery of each channel that nobody has.
-- KEYS: outbox, claims, deliveries given up
-- ARGV: claimer, lease in milliseconds, channels
-- Answers {{id, attempts, delivery}}.
local function claim(keys, args)
  local ms = now()
  local wanted, taken = {}, {}
  for i = 3, #args do wanted[args[i]] = true end
  for _, entry in ipairs(redis.call('XRANGE', keys[1], '-', '+')) do
    local id, delivery = entry[1], fields(entry)
    local channel = delivery.c
    if ms - tonumber(string.match(id, '^%d+')) > DAY then
      bury(keys[3], channel, delivery.d, 0, 'it could not be delivered within a day')
      redis.call('XDEL', keys[1], id)
    elseif wanted[channel] then
      wanted[channel] = nil
      local held, till, attempts = holder(keys[2], channel)
      if held ~= id then till, attempts = 0, 0 end
      if till <= ms then
        attempts = attempts + 1
        local lease = int(ms + tonumber(args[2]))
        redis.call('HSET', keys[2], channel, id .. ' ' .. lease .. ' ' .. attempts .. ' ' .. args[1])
        taken[#taken + 1] = {id, attempts, delivery.d}
      end
    end
  end
  return taken
end

-- fleet_delivered_1: says what became of a delivery that was claimed.
-- KEYS: outbox, claims, deliveries given up
-- ARGV: claimer, channel, id, 'done', 'again' or 'dead', milliseconds to rest, reason
-- Answers 1, or 0 when the claimer no longer has it.
local function delivered(keys, args)
  local held, _, attempts, claimer = holder(keys[2], args[2])
  if held ~= args[3] or claimer ~= args[1] then return 0 end
  if args[4] == 'again' then
    local ms = now()
    local till = int(ms + tonumber(args[5]))
    redis.call('HSET', keys[2], args[2], args[3] .. ' ' .. till .. ' ' .. attempts .. ' ')
    return 1
  end
  if args[4] == 'dead' then
    local entry = redis.call('XRANGE', keys[1], args[3], args[3])[1]
    if entry then bury(keys[3], args[2], fields(entry).d, attempts, args[6]) end
  end
  redis.call('XDEL', keys[1], args[3])
  redis.call('HDEL', keys[2], args[2])
  return 1
end

-- fleet_revive_1: puts a delivery that was given up last in line again, or forgets it.
-- KEYS: outbox, deliveries given up, audit
-- ARGV: id, author, 'requeue' or 'discard'
-- Answers 1, 0 when there is none, or -1 when too many wait.
local function revive(keys, args)
  local entry = redis.call('XRANGE', keys[2], args[1], args[1])[1]
  if not entry then return 0 end
  if args[3] == 'requeue' then
    if redis.call('XLEN', keys[1]) >= OUTBOX then return -1 end
    local delivery = fields(entry)
    redis.call('XADD', keys[1], '*', 'c', delivery.c, 'd', delivery.d)
  end
  redis.call('XDEL', keys[2], args[1])
  audit(keys[3], args[2], args[3], args[1])
  return 1
end

-- fleet_silence_1: stores a silence, or the end of one. Whatever is made from alerts as they were
-- before is refused.
-- KEYS: silences, alerts, audit
-- ARGV: id, silence as JSON, its end in milliseconds, author, 'silence' or 'unsilence'
-- Answers 1, 0 when there is none in force to end, or -1 when there are too many.
local function silence(keys, args)
  local ms, us = now()
  local known = redis.call('HGET', keys[1], args[1])
  if args[5] == 'unsilence' then
    if not known or tonumber(string.match(known, '^%d+')) <= ms then return 0 end
  elseif not known then
    local kept, over = 0, {}
    local all = redis.call('HGETALL', keys[1])
    for i = 1, #all, 2 do
      if tonumber(string.match(all[i + 1], '^%d+')) + DAY < ms then
        over[#over + 1] = all[i]
      else
        kept = kept + 1
      end
    end
    if kept >= SILENCES then return -1 end
    for _, id in ipairs(over) do redis.call('HDEL', keys[1], id) end
  end
  redis.call('HSET', keys[1], args[1], args[3] .. ' ' .. args[2])
  local version = redis.call('HGET', keys[2], 'version') or '0'
  redis.call('HSET', keys[2], 'version', int(next_version(us, version)))
  audit(keys[3], args[4], args[5], args[2])
  return 1
end

-- What tells of a full store must not be stopped by it; all of it is bounded.
local urgent = {'allow-oom'}
redis.register_function{function_name = 'fleet_alerts_1', callback = alerts, flags = {'no-writes'}}
redis.register_function{function_name = 'fleet_raise_1', callback = raise, flags = urgent}
redis.register_function{function_name = 'fleet_claim_1', callback = claim, flags = urgent}
redis.register_function{function_name = 'fleet_delivered_1', callback = delivered, flags = urgent}
redis.register_function{function_name = 'fleet_revive_1', callback = revive, flags = urgent}
redis.register_function{function_name = 'fleet_silence_1', callback = silence, flags = urgent}
