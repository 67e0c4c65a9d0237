-- fleet_push_3: applies a batch of findings, once.
-- KEYS: session, log, index, counts, rules, sessions, feed, producer, rollup, packed
-- ARGV: session id, bot, sequence, attempt, wire version, findings N, fields F, rules R,
--       repeats (20 bytes each),
--       the encoded findings, joined, and how they are packed or '',
--       N x (number of its group: two bytes, big-endian), joined,
--       groups: G x (numbers of the four fields it is counted in, 0 for none: two bytes each), joined,
--       trace as in W3C Trace Context or '',
--       F x (field: 't:', 'b:', 'c:' or 'w:' and what it counts; findings),
--       R x (rule, texts as JSON),
--       N x (score, fingerprint)
-- Answers {'applied' | 'again' | 'old', 'version new total known,known,...'}; refuses with NOTFOUND, GAP,
-- CONFLICT or INVALID.
--
-- A batch is logged as it came: its findings are one argument, which is not looked into. Of one of
-- which the session has a part, the entry says which findings were known (k), and readers leave
-- these out. Numbers that Lua would have to print, for Redis to read again, come printed.
local HEAD, FIELD, RULE, FINDING = 14, 2, 2, 2
local NUMBER = 2 -- bytes of the number of a finding's group
local GROUP = 8 -- bytes that say where a group is counted
local MAX_FINDINGS = 1000
local LIMITS = { -- fields of a kind counted apart; what counts them, and where the others go
  w = {'rules', 4096, function(field) return string.match(field, '^w:[^:]*:') .. 'other' end},
  c = {'categories', 256, function() return 'c:other' end},
}
local FINGERPRINT = 16 -- bytes of one
local WINDOW = 32 -- packed fingerprints read at once
local GUESSES = 8 -- windows after which a search goes by halves
local MAX_TEXTS = 4096 -- rules whose texts are kept

-- Redis keeps a hash of up to 512 short fields as one list and walks it for each field that is read
-- or set: at 120 fields that costs 1.2 us, in a hash table 0.5. A long value makes it one, for good.
local LIST, WALKED = 512, 64
local LONG = '.................................................................' -- 65 bytes
local function spread(counts_key, fields)
  if fields < 16 then return end
  local length = redis.call('HLEN', counts_key)
  if length > WALKED and length <= LIST then
    redis.call('HSET', counts_key, 'long', LONG)
    redis.call('HDEL', counts_key, 'long')
  end
end

-- What the findings of a session weigh, by class: rules, findings, and the sum over these rules of
-- log2 of their findings, in billionths. Kept, so that health costs the same however many rules
-- there are; as text, `class=rules/findings/logs` with spaces between.
local function read_weights(text)
  local weights = {}
  for class, rules, open, logs in string.gmatch(text or '', '(%w+)=(%d+)/(%d+)/(%d+)') do
    weights[class] = {tonumber(rules), tonumber(open), tonumber(logs)}
  end
  return weights
end

local function write_weights(weights)
  local words = {}
  for class, weight in pairs(weights) do
    words[#words + 1] = class .. '=' .. int(weight[1]) .. '/' .. int(weight[2]) .. '/' .. int(weight[3])
  end
  return table.concat(words, ' ')
end

-- log2 of `n` in billionths. Small numbers come again and again: theirs are kept.
local LOGS, KEPT = {}, 4096
local function log2(n)
  if n < 2 then return 0 end
  local log = LOGS[n]
  if log then return log end
  log = math.floor(math.log(n) / math.log(2) * 1e9 + 0.5)
  if n <= KEPT then LOGS[n] = log end
  return log
end

-- Adds `by` findings to a rule that had `before`.
local function weigh(weights, field, before, by)
  local class = string.match(field, '^w:([^:]*):')
  local weight = weights[class] or {0, 0, 0}
  weights[class] = weight
  if before == 0 then weight[1] = weight[1] + 1 end
  weight[2] = weight[2] + by
  weight[3] = weight[3] + log2(before + by) - log2(before)
end

-- Where `field`, of which nothing is counted yet, is counted: there, or with the others when it would
-- be one too many. `held` has how many fields of its kind there are.
local function place(held, kind, field)
  if not LIMITS[kind] then return field end
  local name, limit, other = unpack(LIMITS[kind])
  if held[name] >= limit then return other(field) end
  held[name] = held[name] + 1
  return field
end

-- What each of these fields counts with this batch, and what the findings weigh then.
local function sum(keys, fields, added, weights)
  local counted = redis.call('HMGET', keys[4], unpack(fields))
  local numbers = redis.call('HMGET', keys[1], 'rules', 'categories')
  local rules, categories = tonumber(numbers[1] or '0'), tonumber(numbers[2] or '0')
  local held, sums, weighed = {rules = rules, categories = categories}, {}, false
  for i, field in ipairs(fields) do
    local kind, by = string.sub(field, 1, 1), added[i]
    local before = sums[field] or tonumber(counted[i] or '0')
    if before == 0 then
      field = place(held, kind, field)
      if field ~= fields[i] then
        before = sums[field] or tonumber(redis.call('HMGET', keys[4], field)[1] or '0')
      end
    end
    sums[field] = before + by
    if kind == 'w' then
      weigh(weights, field, before, by)
      weighed = true
    end
  end
  if held.rules > rules then redis.call('HINCRBY', keys[1], 'rules', held.rules - rules) end
  if held.categories > categories then
    redis.call('HINCRBY', keys[1], 'categories', held.categories - categories)
  end
  if weighed then redis.call('HSET', keys[1], 'weights', write_weights(weights)) end
  return sums
end

-- Counts what is on the tallies; fields of the counts by two commands, however many they are.
local function count(keys, args, tallies, weights)
  local fields, added = {}, {}
  for i, findings in ipairs(tallies) do
    local field, by = args[HEAD + i * FIELD - 1], tonumber(findings)
    if by < 1 then
      -- All of them were known.
    elseif string.sub(field, 1, 1) == 't' then
      redis.call('HINCRBY', keys[1], field, by)
    else
      fields[#fields + 1], added[#added + 1] = field, by
    end
  end
  if #fields == 0 then return end
  spread(keys[4], #fields)
  local words = {}
  for field, counted in pairs(sum(keys, fields, added, weights)) do
    words[#words + 1], words[#words + 2] = field, int(counted)
  end
  redis.call('HSET', keys[4], unpack(words))
end

-- The findings of each field, or nil and what is wrong. Each finding has a severity and a bot.
local function read_tallies(args, n, fields)
  local tallies, sums = {}, {t = 0, b = 0, c = 0, w = 0}
  for i = 1, fields do
    local field, by = args[HEAD + i * FIELD - 1], tonumber(args[HEAD + i * FIELD])
    local kind = string.match(field, '^(.):')
    if not sums[kind or ''] or (kind == 'w' and not string.find(field, '^w:[^:]*:')) then
      return nil, 'field ' .. i .. ' counts nothing known'
    end
    if not by or by < 1 or by % 1 ~= 0 then return nil, 'field ' .. i .. ' is empty' end
    sums[kind] = sums[kind] + by
    tallies[i] = args[HEAD + i * FIELD]
  end
  if sums.t ~= n or sums.b ~= n or sums.c > n or sums.w > n then return nil, 'its counts do not add up' end
  return tallies
end

-- The batch's fingerprints and its tallies, or nil and what is wrong.
local function read(args, n, fields, rules)
  if not (n and fields and rules) or n > MAX_FINDINGS or n < 0 or fields < 0 or rules < 0 then
    return nil, 'its sizes are out of bounds'
  end
  local base = HEAD + fields * FIELD + rules * RULE
  if #args ~= base + n * FINDING or #args[12] ~= n * NUMBER or #args[13] % GROUP ~= 0 then
    return nil, 'its parts do not add up'
  end
  if #args[9] % 20 ~= 0 then return nil, 'its repeats are torn' end
  local tallies, wrong = read_tallies(args, n, fields)
  if not tallies then return nil, wrong end
  local fingerprints, seen = {}, {}
  for i = 1, n do
    local fingerprint = args[base + i * FINDING]
    if #fingerprint ~= 16 or seen[fingerprint] then
      return nil, 'fingerprint ' .. i .. ' is torn or there twice'
    end
    seen[fingerprint] = true
    fingerprints[i] = fingerprint
  end
  return fingerprints, tallies
end

-- Takes one finding of a group off the tallies; whether it was on them.
local function take_off(args, group, tallies)
  if group < 1 or group * GROUP > #args[13] then return false end
  local counted = {struct.unpack('>I2I2I2I2', args[13], (group - 1) * GROUP + 1)}
  for i = 1, 4 do
    local field = counted[i]
    if field > 0 then
      if not tallies[field] or tonumber(tallies[field]) < 1 then return false end
      tallies[field] = tallies[field] - 1
    end
  end
  return true
end

-- Which of two comes first, -1, 0 or 1: as numbers, since Lua compares strings by the locale.
local function compare(a, at, b)
  local one, other = {struct.unpack('>I4I4I4I4', a, at)}, {struct.unpack('>I4I4I4I4', b, 1)}
  for i = 1, 4 do
    if one[i] ~= other[i] then return one[i] < other[i] and -1 or 1 end
  end
  return 0
end

-- How far up a fingerprint stands among all there can be, 0 to 1.
local function height(s, at)
  local high, low = struct.unpack('>I4I4', s, at)
  return (high + low / 4294967296) / 4294967296
end

-- Whether one of `packed` fingerprints, ascending, is this. They are hashes, so its place can be
-- guessed: of 100,000 two or three windows are read. Where guessing does not help, halving does.
local function is_packed(packed_key, packed, fingerprint)
  local wanted, first, last, below, above, guesses = height(fingerprint, 1), 0, packed, 0, 1, 0
  while first < last do
    local share = (wanted - below) / (above - below)
    if guesses >= GUESSES or not (share >= 0 and share <= 1) then share = 0.5 end
    guesses = guesses + 1
    local middle = first + math.floor((last - first) * share)
    local from = math.max(first, math.min(middle - WINDOW / 2, last - WINDOW))
    local to = math.min(from + WINDOW, last)
    local window = redis.call('GETRANGE', packed_key, int(from * FINGERPRINT), int(to * FINGERPRINT - 1))
    local top = #window - FINGERPRINT + 1
    if compare(window, 1, fingerprint) > 0 then
      last, above = from, height(window, 1)
    elseif compare(window, top, fingerprint) < 0 then
      first, below = to, height(window, top)
    else
      local at = string.find(window, fingerprint, 1, true)
      while at and at % FINGERPRINT ~= 1 do at = string.find(window, fingerprint, at + 1, true) end
      return at and true or false
    end
  end
  return false
end

-- What the index shall get of a batch of which the session has some; nil and what is wrong
-- otherwise. Takes what is known off the tallies.
local function sift(args, base, n, scores, tallies)
  local members = {}
  for i = 1, n do
    if not scores[i] then
      members[#members + 1] = args[base + i * FINDING - 1]
      members[#members + 1] = args[base + i * FINDING]
    elseif not take_off(args, struct.unpack('>I2', args[12], (i - 1) * NUMBER + 1), tallies) then
      return nil, 'finding ' .. i .. ' is not counted'
    end
  end
  return members
end

-- Marks those of the fingerprints that a compacted session has packed.
local function recall(packed_key, fingerprints, scores)
  local packed = redis.call('STRLEN', packed_key) / FINGERPRINT
  for i, fingerprint in ipairs(fingerprints) do
    scores[i] = scores[i] or is_packed(packed_key, packed, fingerprint)
  end
end

-- Logs a batch of which so many findings are new, unless it says nothing.
local function log(log_key, args, bot, new, known)
  if new > 0 or args[9] ~= '' then
    local entry = {'v', args[5], 'b', bot, 'n', new, 'f', new > 0 and args[10] or '', 'a', args[9]}
    if new > 0 and args[11] ~= '' then entry[#entry + 1], entry[#entry + 2] = 'p', args[11] end
    if new > 0 and known ~= '' then entry[#entry + 1], entry[#entry + 2] = 'k', known end
    redis.call('XADD', log_key, '*', unpack(entry))
  end
end

local function push(keys, args)
  local session, bot, sequence, attempt = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  local n, fields, rules = tonumber(args[6]), tonumber(args[7]), tonumber(args[8])
  local fingerprints, tallies = read(args, n, fields, rules)
  if not fingerprints then return refuse('INVALID', 'batch|' .. tallies) end
  if not sequence or sequence < 1 then return refuse('INVALID', 'batch|its sequence is below 1') end
  local stored = redis.call('HMGET', keys[1], 'version', 'x:' .. bot, 'total', 'compacted',
    'weights')
  if not stored[1] then return refuse('NOTFOUND', 'session|' .. session) end
  local outcome, detail = sequence_of(keys[8], sequence)
  if outcome == 'again' then return {'again', detail} end
  if outcome == 'old' then return {'old', stored[1] .. ' 0 ' .. stored[3] .. ' '} end
  if outcome == 'gap' then return refuse('GAP', detail) end
  local x = load_execution(stored[2])
  if not x then return refuse('CONFLICT', bot .. ' has no execution in this session; start it first') end
  if x.state ~= 'running' then
    return refuse('CONFLICT', 'the execution of ' .. bot .. ' is ' .. x.state .. '; reopen it to push more')
  end
  if x.attempt ~= attempt then
    return refuse('CONFLICT', 'attempt ' .. attempt .. ' of ' .. bot .. ' was taken over by attempt ' .. x.attempt)
  end
  if stored[4] and not keys[10] then
    return refuse('COMPACTED', 'the session was compacted; push with a client that knows of it')
  end
  local scores = n > 0 and redis.call('ZMSCORE', keys[3], unpack(fingerprints)) or {}
  if stored[4] then recall(keys[10], fingerprints, scores) end
  local known = {} -- numbers from 0
  for i = 1, n do
    if scores[i] then known[#known + 1] = i - 1 end
  end
  local base = HEAD + fields * FIELD + rules * RULE
  local members, wrong
  if #known > 0 then
    members, wrong = sift(args, base, n, scores, tallies)
    if not members then return refuse('INVALID', 'batch|' .. wrong) end
  end

  local ms, us = now()
  local new, total = n - #known, tonumber(stored[3])
  if members and new > 0 then
    redis.call('ZADD', keys[3], unpack(members))
  elseif new > 0 then
    redis.call('ZADD', keys[3], unpack(args, base + 1, base + n * FINDING))
  end
  known = table.concat(known, ',')
  log(keys[2], args, bot, new, known)
  count(keys, args, tallies, read_weights(stored[5]))
  for i = 1, rules do
    local at = HEAD + fields * FIELD + (i - 1) * RULE
    if redis.call('HLEN', keys[5]) < MAX_TEXTS then redis.call('HSETNX', keys[5], args[at + 1], args[at + 2]) end
  end
  redis.call('HINCRBY', keys[1], 'xp:' .. bot, n)
  redis.call('HINCRBY', keys[1], 'total', new)
  redis.call('HINCRBY', keys[9], 'findings', new)
  local version = next_version(us, stored[1])
  touch(keys[1], keys[6], keys[7], session, ms, version, args[14])
  local answer = int(version) .. ' ' .. new .. ' ' .. int(total + new) .. ' ' .. known
  remember(keys[8], sequence, answer)
  return {'applied', answer}
end

redis.register_function{function_name = 'fleet_push_3', callback = push}
