-- Executions lie in the session's hash: `x:<bot>` is one as JSON, `xp:<bot>` what it received.
local EXECUTIONS = 256

local function load_execution(stored, received)
  if not stored then return nil end
  local execution = cjson.decode(stored)
  execution.pushed = tonumber(received or '0')
  return execution
end

local function answer_of(execution)
  return cjson.encode(execution)
end

local function save(session_key, bot, execution)
  redis.call('HSET', session_key, 'x:' .. bot, cjson.encode(execution), 'xp:' .. bot, int(execution.pushed))
end

-- fleet_expect_1: adds executions as pending where they are missing.
-- KEYS: session, sessions, feed
-- ARGV: session id, bots...
-- Answers how many were added.
local function expect(keys, args)
  local stored = redis.call('HMGET', keys[1], 'version', 'executions')
  if not stored[1] then return refuse('NOTFOUND', 'session|' .. args[1]) end
  local missing = {}
  for i = 2, #args do
    if redis.call('HEXISTS', keys[1], 'x:' .. args[i]) == 0 then missing[#missing + 1] = args[i] end
  end
  if #missing == 0 then return 0 end
  if tonumber(stored[2]) + #missing > EXECUTIONS then
    return refuse('INVALID', 'expect|a session has at most ' .. EXECUTIONS .. ' executions')
  end
  local ms, us = now()
  for _, bot in ipairs(missing) do
    save(keys[1], bot, {bot = bot, state = 'pending', attempt = 0, pushed = 0, partial = false})
  end
  redis.call('HINCRBY', keys[1], 'executions', #missing)
  touch(keys[1], keys[2], keys[3], args[1], ms, next_version(us, stored[1]))
  return #missing
end

-- Each change answers nil when it may happen and has been made to `x`, or a refusal.
local changes = {}

function changes.start(x, a, ms)
  if x.state ~= 'pending' and not a.reopen then
    local holder = x.worker and (' by ' .. x.worker) or ''
    return refuse('CONFLICT', 'the execution of ' .. x.bot .. ' is ' .. x.state .. holder .. ' (attempt '
      .. x.attempt .. '); start it with reopen to take it over')
  end
  x.state, x.attempt, x.worker, x.started = 'running', x.attempt + 1, a.worker, ms
  x.ended, x.pushed, x.partial, x.reason = nil, 0, false, nil
end

local function must_run(x, a)
  if x.state ~= 'running' then
    return refuse('CONFLICT', 'the execution of ' .. x.bot .. ' is ' .. x.state .. ', not running')
  end
  if x.attempt ~= a.attempt then
    return refuse('CONFLICT', 'attempt ' .. a.attempt .. ' of ' .. x.bot .. ' was taken over by attempt ' .. x.attempt)
  end
end

function changes.complete(x, a, ms)
  local refused = must_run(x, a)
  if refused then return refused end
  if x.pushed ~= a.pushed then
    return refuse('CONFLICT', int(a.pushed) .. ' findings were stated for ' .. x.bot .. ', '
      .. int(x.pushed) .. ' were received')
  end
  x.state, x.ended, x.partial = 'completed', ms, a.partial
end

function changes.fail(x, a, ms)
  local refused = x.state ~= 'pending' and must_run(x, a)
  if refused then return refused end
  x.state, x.ended, x.reason = 'failed', ms, a.reason
end

function changes.skip(x, a, ms)
  if x.state ~= 'pending' then
    return refuse('CONFLICT', 'the execution of ' .. x.bot .. ' is ' .. x.state .. ' and cannot be skipped')
  end
  x.state, x.ended, x.reason = 'skipped', ms, a.reason
end

function changes.lost(x, a, ms)
  x.state, x.ended, x.reason = 'failed', ms, 'worker ' .. a.worker .. ' was lost'
end

-- Adds a finished run to the bot's series, and makes a whole one the baseline of its scope.
local function finished(keys, session, repository, ref, x)
  local counted = redis.call('HMGET', keys[7], 'b:error:' .. x.bot, 'b:warning:' .. x.bot, 'b:info:' .. x.bot,
    'b:suggestion:' .. x.bot, 'b:suppressed:' .. x.bot)
  redis.call('XADD', keys[5], 'MAXLEN', '~', RUNS_LENGTH, '*', 's', session, 't', int(x.ended), 'a', x.attempt, 'o', x.state,
    'p', x.partial and 1 or 0, 'd', int(x.ended - (x.started or x.ended)), 'n', int(x.pushed),
    'e', counted[1] or 0, 'w', counted[2] or 0, 'i', counted[3] or 0, 'g', counted[4] or 0, 'u', counted[5] or 0)
  if x.state == 'completed' and not x.partial then
    redis.call('HSET', keys[6], repository .. ' ' .. x.bot .. ' ' .. ref, session)
  end
end

-- fleet_execution_1: changes an execution.
-- KEYS: session, sessions, feed, producer, runs, baselines, counts
-- ARGV: session id, bot, sequence (0: unsequenced), attempt, change (start, complete, fail, skip,
--       lost), worker or '', reopen 0/1, pushed, partial 0/1, reason
-- Answers the execution as JSON; refuses with NOTFOUND, GAP, CONFLICT or INVALID.
local function execution(keys, args)
  local session, bot, sequence = args[1], args[2], tonumber(args[3])
  local a = {attempt = tonumber(args[4]), reopen = args[7] == '1', pushed = tonumber(args[8]),
    partial = args[9] == '1', worker = args[6] ~= '' and args[6] or nil, reason = args[10]}
  local change = args[5]
  if not changes[change] then return refuse('INVALID', 'change|it is not known') end
  if sequence == 0 and change ~= 'lost' then
    return refuse('INVALID', 'sequence|it is 0, which only expect and lost may be')
  end
  local stored = redis.call('HMGET', keys[1], 'version', 'x:' .. bot, 'xp:' .. bot, 'executions', 'repo', 'ref')
  if not stored[1] then return refuse('NOTFOUND', 'session|' .. session) end
  local x = load_execution(stored[2], stored[3])
  local fresh = not x
  if sequence > 0 then
    local outcome, detail = sequence_of(keys[4], sequence)
    if outcome == 'again' then return detail end
    if outcome == 'gap' then return refuse('GAP', detail) end
    if outcome == 'old' then
      if fresh then return refuse('NOTFOUND', 'execution|' .. bot) end
      return answer_of(x)
    end
  end
  if fresh then
    if change ~= 'start' and change ~= 'skip' then return refuse('NOTFOUND', 'execution|' .. bot) end
    if tonumber(stored[4]) >= EXECUTIONS then
      return refuse('INVALID', 'execution|a session has at most ' .. EXECUTIONS)
    end
    x = {bot = bot, state = 'pending', attempt = 0, pushed = 0, partial = false}
  end
  if change == 'lost' and (x.state ~= 'running' or x.worker ~= a.worker) then return answer_of(x) end
  local ms, us = now()
  local refused = changes[change](x, a, ms)
  if refused then return refused end
  save(keys[1], bot, x)
  if fresh then redis.call('HINCRBY', keys[1], 'executions', 1) end
  if x.state == 'completed' or x.state == 'failed' then finished(keys, session, stored[5], stored[6], x) end
  touch(keys[1], keys[2], keys[3], session, ms, next_version(us, stored[1]))
  local answer = answer_of(x)
  if sequence > 0 then remember(keys[4], sequence, answer) end
  return answer
end

redis.register_function{function_name = 'fleet_expect_1', callback = expect}
redis.register_function{function_name = 'fleet_execution_1', callback = execution}
