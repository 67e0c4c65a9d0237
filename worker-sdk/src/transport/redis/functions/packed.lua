-- The fingerprints of a compacted session: one string of them, ascending.

local FINGERPRINT = 16 -- bytes of one
local WINDOW = 32 -- packed fingerprints read at once
local GUESSES = 8 -- windows after which a search goes by halves

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
