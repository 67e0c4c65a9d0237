local DEAD_LENGTH = 10000 -- dead letters kept in a partition
local REASON = 1024 -- bytes of a reason
local OPENED = 16 -- letters in hand at once: each may be a batch of 512 KiB

-- Adds fields to a letter under names that say where they come from; answers the findings in them,
-- and the session they name.
local function enclose(letter, from, fields)
  local findings, session = 0, nil
  for i = 1, #fields, 2 do
    if fields[i] == 'n' then findings = tonumber(fields[i + 1]) or 0 end
    if fields[i] == 's' then session = fields[i + 1] end
    letter[#letter + 1] = from .. '.' .. fields[i]
    letter[#letter + 1] = fields[i + 1]
  end
  return findings, session
end

-- A letter's own fields, those of its source, and what is in that.
local function open_letter(fields)
  local letter, source, findings, bytes = {}, {}, 0, 0
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    local enclosed = string.match(name, '^%a+%.(.*)$')
    if enclosed then
      if enclosed == 'n' then findings = tonumber(value) or 0 end
      source[#source + 1], source[#source + 2] = enclosed, value
      bytes = bytes + #value
    else
      letter[name] = value
    end
  end
  return letter, source, findings, bytes
end

-- fleet_quarantine_1: moves a log entry that cannot be read to the dead letters.
-- KEYS: session, log, dead, sessions, feed
-- ARGV: session id, entry id, reason
-- Answers the number of findings in it, or -1 when it is no longer there.
local function quarantine(keys, args)
  local entries = redis.call('XRANGE', keys[2], args[2], args[2])
  local version = redis.call('HGET', keys[1], 'version')
  if #entries == 0 or not version then return -1 end
  local letter = {'kind', 'batch', 'session', args[1], 'entry', args[2], 'reason', string.sub(args[3], 1, REASON)}
  local findings = enclose(letter, 'log', entries[1][2])
  local ms, us = now()
  redis.call('XADD', keys[3], 'MAXLEN', '~', DEAD_LENGTH, '*', unpack(letter))
  redis.call('XDEL', keys[2], args[2])
  redis.call('HINCRBY', keys[1], 'quarantined', findings)
  touch(keys[1], keys[4], keys[5], args[1], ms, next_version(us, version))
  return findings
end

-- fleet_give_up_1: moves changes that nobody can settle from the feed to the dead letters.
-- KEYS: feed, dead
-- ARGV: group, reason, entry ids...
-- Answers how many were moved; those settled or moved by others are not counted.
local function give_up(keys, args)
  local moved = 0
  for i = 3, #args do
    local held = redis.call('XPENDING', keys[1], args[1], args[i], args[i], 1)[1]
    local entry = held and redis.call('XRANGE', keys[1], args[i], args[i])[1]
    if entry then
      local letter = {'kind', 'change', 'entry', args[i], 'reason', string.sub(args[2], 1, REASON), 'delivered', held[4]}
      local _, session = enclose(letter, 'feed', entry[2])
      if session then
        letter[#letter + 1], letter[#letter + 2] = 'session', session
      end
      redis.call('XADD', keys[2], 'MAXLEN', '~', DEAD_LENGTH, '*', unpack(letter))
      moved = moved + 1
    end
    if held then redis.call('XACK', keys[1], args[1], args[i]) end
  end
  return moved
end

-- fleet_letters_1: dead letters without what is in them, latest first.
-- KEYS: dead
-- ARGV: where to begin, '+' for the latest or an id with or without '('; letters at most
-- Answers for each {id, kind, session, entry, reason, deliveries, findings, bytes}.
local function letters(keys, args)
  local found, from, most = {}, args[1], tonumber(args[2])
  while #found < most do
    local entries = redis.call('XREVRANGE', keys[1], from, '-', 'COUNT', math.min(OPENED, most - #found))
    for _, entry in ipairs(entries) do
      local letter, _, findings, bytes = open_letter(entry[2])
      found[#found + 1] = {entry[1], letter.kind or 'batch', letter.session or '', letter.entry or '',
        letter.reason or '', letter.delivered or '0', int(findings), int(bytes)}
      from = '(' .. entry[1]
    end
    if #entries == 0 then break end
  end
  return found
end

-- fleet_requeue_1: puts a letter back where it came from: a batch into the log of its session, as
-- its latest entry, a change on the feed. What still cannot be read comes back.
-- KEYS: dead, feed; for a batch session, log, sessions too
-- ARGV: letter id; for a batch the session id too
-- Answers 1, or 0 when there is no such letter; refuses with NOTFOUND when its session is gone.
local function requeue(keys, args)
  local found = redis.call('XRANGE', keys[1], args[1], args[1])[1]
  if not found then return 0 end
  local letter, source, findings = open_letter(found[2])
  if #source == 0 then return refuse('INVALID', 'letter|nothing is in it; drop it') end
  if keys[3] then
    local version = redis.call('HGET', keys[3], 'version')
    if not version or letter.session ~= args[2] then return refuse('NOTFOUND', 'session|' .. args[2]) end
    local ms, us = now()
    redis.call('XADD', keys[4], '*', unpack(source))
    redis.call('HINCRBY', keys[3], 'quarantined', int(-findings))
    touch(keys[3], keys[5], keys[2], args[2], ms, next_version(us, version))
  else
    redis.call('XADD', keys[2], 'MAXLEN', '~', FEED_LENGTH, '*', unpack(source))
  end
  redis.call('XDEL', keys[1], args[1])
  return 1
end

-- fleet_reap_1: removes consumers of a feed's group that were not heard of for long and hold nothing;
-- looked at and removed in one call, so that none takes an entry in between.
-- KEYS: feed
-- ARGV: group, milliseconds
-- Answers how many were removed.
local function reap(keys, args)
  local consumers = redis.pcall('XINFO', 'CONSUMERS', keys[1], args[1])
  -- Neither feed nor group: nobody has been here.
  if consumers.err then return 0 end
  local removed = 0
  for _, row in ipairs(consumers) do
    local consumer = {}
    for i = 1, #row, 2 do consumer[row[i]] = row[i + 1] end
    if consumer.pending == 0 and consumer.idle >= tonumber(args[2]) then
      redis.call('XGROUP', 'DELCONSUMER', keys[1], args[1], consumer.name)
      removed = removed + 1
    end
  end
  return removed
end

redis.register_function{function_name = 'fleet_quarantine_1', callback = quarantine}
redis.register_function{function_name = 'fleet_give_up_1', callback = give_up}
redis.register_function{function_name = 'fleet_letters_1', callback = letters, flags = {'no-writes'}}
redis.register_function{function_name = 'fleet_requeue_1', callback = requeue}
redis.register_function{function_name = 'fleet_reap_1', callback = reap, flags = {'allow-oom'}}
