-- fleet_push_1: applies a batch of findings, once.
-- KEYS: session, log, index, counts, rules, sessions, feed, producer, rollup
-- ARGV: session id, bot, sequence, attempt, wire version, findings N, groups G, rules R,
--       repeats (20 bytes each),
--       G x (tally field, bot field, category field or '', rule field or '', other rules' field),
--       R x (rule, texts as JSON),
--       N x (fingerprint, severity rank, number of its group, encoded finding with its length)
-- Answers {'applied' | 'again' | 'old', 'version new total known,known,...'}; refuses with NOTFOUND, GAP,
-- CONFLICT or INVALID.
local HEAD, GROUP, RULE, FINDING = 9, 5, 2, 4
local MAX_FINDINGS = 1000
local MAX_RULES = 4096 -- (class, rule) pairs counted apart, and rules whose texts are kept
local MAX_CATEGORIES = 256
local RANK = 2 ^ 40 -- a session's findings by severity, then by order of arrival

-- Counts in `field`, or in `other` when it would be one field too many.
local function count(counts_key, session_key, kind, limit, field, other, by)
  if redis.call('HINCRBY', counts_key, field, by) ~= by then return end
  if redis.call('HINCRBY', session_key, kind, 1) <= limit then return end
  redis.call('HDEL', counts_key, field)
  redis.call('HINCRBY', session_key, kind, -1)
  redis.call('HINCRBY', counts_key, other, by)
end

-- Splits the batch into what the session lacks and the positions of what it has.
local function sift(index_key, args, base, n, total)
  local fingerprints = {}
  for i = 1, n do fingerprints[i] = args[base + (i - 1) * FINDING + 1] end
  local scores = n > 0 and redis.call('ZMSCORE', index_key, unpack(fingerprints)) or {}
  local members, bodies, known, order, tallies = {}, {}, {}, {}, {}
  for i = 1, n do
    if scores[i] then
      known[#known + 1] = i - 1
    else
      local at = base + (i - 1) * FINDING
      bodies[#bodies + 1] = args[at + 4]
      members[#members + 1] = tonumber(args[at + 2]) * RANK + total + #bodies
      members[#members + 1] = fingerprints[i]
      local group = tonumber(args[at + 3])
      if not tallies[group] then order[#order + 1] = group end
      tallies[group] = (tallies[group] or 0) + 1
    end
  end
  return members, bodies, known, order, tallies
end

-- What is wrong with the batch, or nil.
local function fault(args, n, groups, rules)
  if not (n and groups and rules) or n > MAX_FINDINGS or n < 0 then return 'its sizes are out of bounds' end
  if #args ~= HEAD + groups * GROUP + rules * RULE + n * FINDING then return 'its parts do not add up' end
  if #args[9] % 20 ~= 0 then return 'its repeats are torn' end
  local base, seen = HEAD + groups * GROUP + rules * RULE, {}
  for i = 1, n do
    local at = base + (i - 1) * FINDING
    local rank, group = tonumber(args[at + 2]), tonumber(args[at + 3])
    if #args[at + 1] ~= 16 or seen[args[at + 1]] then return 'fingerprint ' .. i .. ' is torn or there twice' end
    if not rank or rank < 0 or rank > 4 then return 'rank ' .. i .. ' is out of bounds' end
    if not group or group < 1 or group > groups or group % 1 ~= 0 then return 'group ' .. i .. ' is unknown' end
    seen[args[at + 1]] = true
  end
end

local function push(keys, args)
  local session, bot, sequence, attempt = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  local n, groups, rules = tonumber(args[6]), tonumber(args[7]), tonumber(args[8])
  local wrong = fault(args, n, groups, rules)
  if wrong or not sequence or sequence < 1 then return refuse('INVALID', 'batch|' .. (wrong or 'its sequence is below 1')) end
  local stored = redis.call('HMGET', keys[1], 'version', 'x:' .. bot, 'total')
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
  local base = HEAD + groups * GROUP + rules * RULE
  local total = tonumber(stored[3])
  local members, bodies, known, order, tallies = sift(keys[3], args, base, n, total)

  local ms, us = now()
  local new = #bodies
  if new > 0 then redis.call('ZADD', keys[3], unpack(members)) end
  if new > 0 or args[9] ~= '' then
    redis.call('XADD', keys[2], '*', 'v', args[5], 'b', bot, 'n', new, 'f', table.concat(bodies), 'a', args[9])
  end
  for _, group in ipairs(order) do
    local at, by = HEAD + (group - 1) * GROUP, tallies[group]
    redis.call('HINCRBY', keys[1], args[at + 1], by)
    redis.call('HINCRBY', keys[4], args[at + 2], by)
    if args[at + 3] ~= '' then count(keys[4], keys[1], 'categories', MAX_CATEGORIES, args[at + 3], 'c:other', by) end
    if args[at + 4] ~= '' then count(keys[4], keys[1], 'rules', MAX_RULES, args[at + 4], args[at + 5], by) end
  end
  for i = 1, rules do
    local at = HEAD + groups * GROUP + (i - 1) * RULE
    if redis.call('HLEN', keys[5]) < MAX_RULES then redis.call('HSETNX', keys[5], args[at + 1], args[at + 2]) end
  end
  redis.call('HINCRBY', keys[1], 'xp:' .. bot, n)
  redis.call('HINCRBY', keys[1], 'total', new)
  redis.call('HINCRBY', keys[9], 'findings', new)
  local version = next_version(us, stored[1])
  touch(keys[1], keys[6], keys[7], session, ms, version)
  local answer = int(version) .. ' ' .. new .. ' ' .. int(total + new) .. ' ' .. table.concat(known, ',')
  remember(keys[8], sequence, answer)
  return {'applied', answer}
end

redis.register_function{function_name = 'fleet_push_1', callback = push}
