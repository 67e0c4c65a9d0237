-- What a batch adds to the counts of its session. A batch names each field it is counted in once, and
-- how many of its findings are: `fields`, `added`, and of each its kind (t, b, c or w) and class.

local LIMITS = { -- fields of a kind counted apart; what counts them, and where the others go
  w = {'rules', 4096, function(field) return string.match(field, '^w:[^:]*:') .. 'other' end},
  c = {'categories', 256, function() return 'c:other' end},
}
local KEPT = 4096 -- numbers whose texts and logarithms are kept: small ones come again and again
local GROUP = 8 -- bytes that say where a group is counted

-- Redis keeps a hash of up to 512 short fields as one list and walks it for each field that is read
-- or set: at 120 fields that costs 1.2 us, in a hash table 0.5. A long value makes it one, for good.
local LIST, WALKED, MANY = 512, 64, 16
local LONG = '.................................................................' -- 65 bytes
local function spread(counts_key)
  local length = redis.call('HLEN', counts_key)
  if length > WALKED and length <= LIST then
    redis.call('HSET', counts_key, 'long', LONG)
    redis.call('HDEL', counts_key, 'long')
  end
end

-- What the findings of a session weigh, by class: rules, findings, and the sum over these rules of
-- log2 of their findings, in billionths. Kept, so that health costs the same however many rules
-- there are; as text, `class=rules/findings/logs` with spaces between. Only the classes that a batch
-- has are read and written anew.
local function weights_in(text)
  return {text = text or '', read = {}}
end

local function weight_of(weights, class)
  local weight = weights.read[class]
  if not weight then
    local rules, open, logs = string.match(weights.text, class .. '=(%d+)/(%d+)/(%d+)')
    weight = {tonumber(rules or 0), tonumber(open or 0), tonumber(logs or 0)}
    weights.read[class] = weight
  end
  return weight
end

local function write_weights(weights)
  local all = weights.text
  for class, weight in pairs(weights.read) do
    local written = class .. '=' .. int(weight[1]) .. '/' .. int(weight[2]) .. '/' .. int(weight[3])
    local from, to = string.find(all, class .. '=%S+')
    if from then
      all = string.sub(all, 1, from - 1) .. written .. string.sub(all, to + 1)
    else
      all = all == '' and written or all .. ' ' .. written
    end
  end
  return all
end

-- log2 of `n` in billionths.
local LOGS = {}
local function log2(n)
  if n < 2 then return 0 end
  local log = LOGS[n]
  if log then return log end
  log = math.floor(math.log(n) / math.log(2) * 1e9 + 0.5)
  if n <= KEPT then LOGS[n] = log end
  return log
end

local TEXTS = {}
local function text(n)
  local written = TEXTS[n]
  if written then return written end
  written = int(n)
  if n <= KEPT then TEXTS[n] = written end
  return written
end

-- Adds `by` findings to a rule that had `before`.
local function weigh(weights, class, before, by)
  local weight, after = weights.read[class] or weight_of(weights, class), before + by
  if before == 0 then weight[1] = weight[1] + 1 end
  weight[2] = weight[2] + by
  weight[3] = weight[3] + (LOGS[after] or log2(after)) - (LOGS[before] or log2(before))
end

-- Whether a field of which nothing is counted yet gets a place of its own. `held` has how many fields
-- of its kind there are.
local function has_place(held, kind)
  if not LIMITS[kind] then return true end
  local name, limit = unpack(LIMITS[kind])
  if held[name] >= limit then return false end
  held[name] = held[name] + 1
  return true
end

-- What each of these fields counts with this batch, as arguments of HSET. `held` has how many rules and
-- categories are counted apart, and then how many are with this batch.
local function sum(counts_key, batch, held, weights)
  local counted = redis.call('HMGET', counts_key, unpack(batch.fields))
  local others, words, last = {}, {}, 0
  for i, field in ipairs(batch.fields) do
    local by, kind, class = batch.added[i], batch.kinds[i], batch.classes[i]
    local before = tonumber(counted[i] or '0')
    if before == 0 and not has_place(held, kind) then
      field = LIMITS[kind][3](field)
      before = others[field] or tonumber(redis.call('HMGET', counts_key, field)[1] or '0')
      others[field] = before + by
    else
      words[last + 1], words[last + 2] = field, TEXTS[before + by] or text(before + by)
      last = last + 2
    end
    if class then weigh(weights, class, before, by) end
  end
  for field, findings in pairs(others) do
    words[last + 1], words[last + 2] = field, text(findings)
    last = last + 2
  end
  return words
end

-- Counts what is new of a batch; fields of the counts by two commands, however many they are. What the
-- session's hash says then of its rules, categories and weights, given how they were.
local function count(keys, batch, rules, categories, weighed)
  local rest, last = {fields = {}, added = {}, kinds = {}, classes = {}}, 0
  for i, field in ipairs(batch.fields) do
    local by = batch.added[i]
    if by < 1 then
      -- All of them were known.
    elseif batch.kinds[i] == 't' then
      redis.call('HINCRBY', keys[1], field, text(by))
    else
      last = last + 1
      rest.fields[last], rest.added[last] = field, by
      rest.kinds[last], rest.classes[last] = batch.kinds[i], batch.classes[i]
    end
  end
  local before, weights = tonumber(rules or '0'), weights_in(weighed)
  local held = {rules = before, categories = tonumber(categories or '0')}
  if last > 0 then
    if last >= MANY then spread(keys[4]) end
    redis.call('HSET', keys[4], unpack(sum(keys[4], rest, held, weights)))
    -- Pushes of a few findings fill the list too.
    if last < MANY and held.rules > before then spread(keys[4]) end
  end
  return text(held.rules), text(held.categories), write_weights(weights)
end

-- Takes a finding that was known, with this number from 1, off what its batch counts; whether it was
-- counted.
local function take_off(batch, finding)
  local group = struct.unpack('>I2', batch.groups_of, finding * 2 - 1)
  if group < 1 or group * GROUP > #batch.groups then return false end
  local counted = {struct.unpack('>I2I2I2I2', batch.groups, (group - 1) * GROUP + 1)}
  for i = 1, 4 do
    local field = counted[i]
    if field > 0 then
      if not batch.added[field] or batch.added[field] < 1 then return false end
      batch.added[field] = batch.added[field] - 1
    end
  end
  return true
end
