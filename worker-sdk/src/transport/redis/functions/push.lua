-- fleet_push_4: applies a batch of findings, once.
-- KEYS: session, log, index, counts, rules, sessions, feed, producer, rollup, packed
-- ARGV: session id, bot, sequence, attempt, wire version, findings N, fields F, rules R,
--       repeats (20 bytes each),
--       the encoded findings, joined, and how they are packed or '',
--       N x (number of its group: two bytes, big-endian), joined,
--       groups: G x (numbers of the four fields it is counted in, 0 for none: two bytes each), joined,
--       trace as in W3C Trace Context or '',
--       N x fingerprint, joined,
--       N x (its weight class: one byte, 0 for critical to 4 for suggestion), joined,
--       fields of each kind, which follow in this order, t, b, c, w: two bytes each,
--       the class of each w field (one byte), joined,
--       F x (findings: two bytes), joined,
--       F x (field: 't:', 'b:', 'c:' or 'w:CLASS:' and what it counts; each kind as its first finding came),
--       R x (rule, texts as JSON)
-- Answers {'applied' | 'again' | 'old', 'version new total known,known,...'}; refuses with NOTFOUND, GAP,
-- CONFLICT or INVALID.
--
-- fleet_push_3: the same for software of the version before. From the fifteenth on its ARGV are
--       F x (field, findings), R x (rule, texts), N x (score, fingerprint).
--
-- A batch is logged as it came: its findings are one argument, which is not looked into. Of one of
-- which the session has a part, the entry says which findings were known (k), and readers leave
-- these out. What there is once a finding is joined: an argument costs Redis more than what is in it.
local MAX_FINDINGS = 1000
local MAX_TEXTS = 4096 -- rules whose texts are kept
local HEAD, HEAD_BEFORE = 19, 14 -- arguments before the fields
local KINDS = {'t', 'b', 'c', 'w'}
local CLASSES = {'critical', 'error', 'warning', 'info', 'suggestion'}
local PREFIXES = {t = 't:', b = 'b:', c = 'c:', w = 'w:?:', critical = 'w:critical:', error = 'w:error:',
  warning = 'w:warning:', info = 'w:info:', suggestion = 'w:suggestion:'}

-- Keeps the score of a class in the index, nil for no class: worse ones first, and in the order they
-- came. No member has one of these yet, since no version comes twice: what a command has added is told
-- by it.
local function score_at(scores, class, version)
  if class < 0 or class >= #CLASSES then return nil end
  scores[class] = int(class * 1125899906842624 + version - 1700000000000000)
  return scores[class]
end

-- The sizes of a batch, or nil and what is wrong.
local function sizes_of(args)
  local n, fields, rules = tonumber(args[6]), tonumber(args[7]), tonumber(args[8])
  if not (n and fields and rules) or n > MAX_FINDINGS or n < 0 or fields < 0 or rules < 0 then
    return nil, 'its sizes are out of bounds'
  end
  if #args[12] ~= n * 2 or #args[13] % GROUP ~= 0 then return nil, 'its parts do not add up' end
  if #args[9] % 20 ~= 0 then return nil, 'its repeats are torn' end
  return n, fields, rules
end

local function batch_of(args, n, rules, rules_after)
  return {n = n, groups_of = args[12], groups = args[13], rules = rules, rules_after = rules_after,
    fields = {}, added = {}, kinds = {}, classes = {}, words = {}}
end

-- Whether each finding has a severity and a bot, or nil and what is wrong.
local function adds_up(batch)
  local sums = {t = 0, b = 0, c = 0, w = 0}
  for i, by in ipairs(batch.added) do
    if by < 1 then return nil, 'field ' .. i .. ' is empty' end
    local kind = batch.kinds[i]
    sums[kind] = sums[kind] + by
  end
  if sums.t ~= batch.n or sums.b ~= batch.n or sums.c > batch.n or sums.w > batch.n then
    return nil, 'its counts do not add up'
  end
  return true
end

-- Reads the fields of a batch, which stand by kind.
local function read_fields(args, batch, many)
  local of_kind, after = {struct.unpack('>I2I2I2I2', args[17])}, 0
  if #args[18] ~= of_kind[4] then return nil, 'its parts do not add up' end
  local fields, kinds, classes = batch.fields, batch.kinds, batch.classes
  local class_numbers = {string.byte(args[18], 1, -1)}
  for number, kind in ipairs(KINDS) do
    local prefix, class = PREFIXES[kind], nil
    for i = after + 1, after + of_kind[number] do
      if kind == 'w' then
        class = CLASSES[class_numbers[i - after] + 1]
        prefix = PREFIXES[class or kind]
      end
      local field = args[HEAD + i]
      if not field or string.sub(field, 1, #prefix) ~= prefix then
        return nil, 'field ' .. i .. ' is not of its kind'
      end
      fields[i], kinds[i], classes[i] = field, kind, class
    end
    after = after + of_kind[number]
  end
  if after ~= many then return nil, 'its parts do not add up' end
  batch.added = {struct.unpack('>' .. string.rep('I2', many), args[19])}
  batch.added[many + 1] = nil -- where it ended
  return adds_up(batch)
end

-- Takes scores and fingerprints out of their strings, as arguments of ZADD.
local function read_words(args, batch, version)
  local words, last, scores = batch.words, 0, {}
  local fingerprints = {struct.unpack(string.rep('c16', batch.n), args[15])}
  local classes = {string.byte(args[16], 1, -1)}
  for i = 1, batch.n do
    local score = scores[classes[i]] or score_at(scores, classes[i], version)
    if not score then return nil, 'finding ' .. i .. ' has no weight class' end
    words[last + 1], words[last + 2] = score, fingerprints[i]
    last = last + 2
  end
  return batch
end

-- A batch as fleet_push_4 is given it, or nil and what is wrong.
local function read(args, version)
  local n, fields, rules = sizes_of(args)
  if not n then return nil, fields end
  if #args ~= HEAD + fields + rules * 2 or #args[15] ~= n * FINGERPRINT or #args[16] ~= n
    or #args[17] ~= #KINDS * 2 or #args[19] ~= fields * 2 then
    return nil, 'its parts do not add up'
  end
  local batch = batch_of(args, n, rules, HEAD + fields)
  local right, wrong = read_fields(args, batch, fields)
  if not right then return nil, wrong end
  return read_words(args, batch, version)
end

-- A batch as fleet_push_3 is given it, or nil and what is wrong.
local function read_before(args, version)
  local n, fields, rules = sizes_of(args)
  if not n then return nil, fields end
  local batch = batch_of(args, n, rules, HEAD_BEFORE + fields * 2)
  local after = batch.rules_after + rules * 2
  if #args ~= after + n * 2 then return nil, 'its parts do not add up' end
  for i = 1, fields do
    local field = args[HEAD_BEFORE + i * 2 - 1]
    local kind, class = string.match(field, '^([tbc]):'), string.match(field, '^w:([^:]*):')
    if not kind and not class then return nil, 'field ' .. i .. ' counts nothing known' end
    batch.fields[i], batch.kinds[i], batch.classes[i] = field, kind or 'w', class
    batch.added[i] = math.floor(tonumber(args[HEAD_BEFORE + i * 2]) or 0)
  end
  local right, wrong = adds_up(batch)
  if not right then return nil, wrong end
  local scores = {}
  for i = 1, n do
    local class = math.floor((tonumber(args[after + i * 2 - 1]) or -1) / 1099511627776)
    local score = scores[class] or score_at(scores, class, version)
    batch.words[i * 2 - 1], batch.words[i * 2] = score, args[after + i * 2]
    if not score or #args[after + i * 2] ~= FINGERPRINT then
      return nil, 'finding ' .. i .. ' has no score or fingerprint'
    end
  end
  return batch
end

-- Every second of some words.
local function second(words)
  local others = {}
  for i = 2, #words, 2 do others[i / 2] = words[i] end
  return others
end

-- Those of a batch that a compacted session has not packed, as arguments of ZADD.
local function not_packed(packed_key, words)
  local packed, rest, last = redis.call('STRLEN', packed_key) / FINGERPRINT, {}, 0
  for i = 2, #words, 2 do
    if not is_packed(packed_key, packed, words[i]) then
      rest[last + 1], rest[last + 2] = words[i - 1], words[i]
      last = last + 2
    end
  end
  return rest
end

-- Which findings of a batch the index had, as numbers from 0, and which it was given: those have this
-- batch's score. Nil and what is wrong where one is there twice.
local function tell_apart(index_key, words)
  local had, given, seen = {}, {}, {}
  local fingerprints = second(words)
  local scores = redis.call('ZMSCORE', index_key, unpack(fingerprints))
  for i, fingerprint in ipairs(fingerprints) do
    if not scores[i] or tonumber(scores[i]) ~= tonumber(words[i * 2 - 1]) then
      had[#had + 1] = i - 1
    elseif seen[fingerprint] then
      return nil, given, 'fingerprint ' .. i .. ' is there twice'
    else
      seen[fingerprint] = true
      given[#given + 1] = fingerprint
    end
  end
  return had, given
end

-- Gives the index what is new of a batch, and takes the rest off what is counted; the numbers of the
-- rest, from 0. Most batches are new, or known, as a whole: then one command says so. Nil and what is
-- wrong otherwise, with the index as it was.
local function index(keys, batch, compacted)
  local words, known = batch.words, {}
  if compacted then words = not_packed(keys[10], words) end
  local given = #words > 0 and redis.call('ZADD', keys[3], 'NX', unpack(words)) or 0
  if given == batch.n then return known end
  if given == 0 then
    for i = 1, batch.n do known[i] = i - 1 end
    for i in ipairs(batch.added) do batch.added[i] = 0 end
    return known
  end
  local had, added, wrong = tell_apart(keys[3], batch.words)
  for _, number in ipairs(had or {}) do
    if not take_off(batch, number + 1) then wrong = 'finding ' .. (number + 1) .. ' is not counted' end
  end
  if not wrong then return had end
  redis.call('ZREM', keys[3], unpack(added))
  return nil, wrong
end

-- Logs a batch of which so many findings are new, unless it says nothing.
local function log(log_key, args, bot, new, known)
  if new > 0 or args[9] ~= '' then
    local entry = {'v', args[5], 'b', bot, 'n', text(new), 'f', new > 0 and args[10] or '', 'a', args[9]}
    if new > 0 and args[11] ~= '' then entry[#entry + 1], entry[#entry + 2] = 'p', args[11] end
    if new > 0 and known ~= '' then entry[#entry + 1], entry[#entry + 2] = 'k', known end
    redis.call('XADD', log_key, '*', unpack(entry))
  end
end

local function describe(rules_key, args, batch)
  for i = 1, batch.rules do
    local at = batch.rules_after + i * 2 - 1
    if redis.call('HLEN', rules_key) < MAX_TEXTS then
      redis.call('HSETNX', rules_key, args[at], args[at + 1])
    end
  end
end

-- Why an execution takes no findings of this attempt, or nothing.
local function objection(x, bot, attempt)
  if not x then return bot .. ' has no execution in this session; start it first' end
  if x.state ~= 'running' then return 'the execution of ' .. bot .. ' is ' .. x.state .. '; reopen it to push more' end
  if x.attempt ~= attempt then
    return 'attempt ' .. attempt .. ' of ' .. bot .. ' was taken over by attempt ' .. x.attempt
  end
end

local function push(keys, args, reader)
  local session, bot, sequence, attempt = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  if not sequence or sequence < 1 then return refuse('INVALID', 'batch|its sequence is below 1') end
  local stored = redis.call('HMGET', keys[1], 'version', 'x:' .. bot, 'total', 'compacted',
    'weights', 'rules', 'categories', 'xp:' .. bot)
  if not stored[1] then return refuse('NOTFOUND', 'session|' .. session) end
  local outcome, detail = sequence_of(keys[8], sequence)
  if outcome == 'again' then return {'again', detail} end
  if outcome == 'old' then return {'old', stored[1] .. ' 0 ' .. stored[3] .. ' '} end
  if outcome == 'gap' then return refuse('GAP', detail) end
  local against = objection(load_execution(stored[2]), bot, attempt)
  if against then return refuse('CONFLICT', against) end
  local ms, us = now()
  local version = next_version(us, stored[1])
  local batch, wrong = reader(args, version)
  if not batch then return refuse('INVALID', 'batch|' .. wrong) end
  local known, unknown = index(keys, batch, stored[4])
  if not known then return refuse('INVALID', 'batch|' .. unknown) end

  local new, received = batch.n - #known, tonumber(stored[8] or '0') + batch.n
  local total = text(tonumber(stored[3]) + new)
  known = table.concat(known, ',')
  log(keys[2], args, bot, new, known)
  local rules, categories, weights = count(keys, batch, stored[6], stored[7], stored[5])
  describe(keys[5], args, batch)
  redis.call('HINCRBY', keys[9], 'findings', text(new))
  touch(keys[1], keys[6], keys[7], session, ms, version, args[14], 'xp:' .. bot, text(received),
    'total', total, 'rules', rules, 'categories', categories, 'weights', weights)
  local answer = int(version) .. ' ' .. new .. ' ' .. total .. ' ' .. known
  remember(keys[8], sequence, answer)
  return {'applied', answer}
end

redis.register_function{function_name = 'fleet_push_3', callback = function(keys, args) return push(keys, args, read_before) end}
redis.register_function{function_name = 'fleet_push_4', callback = function(keys, args) return push(keys, args, read) end}
