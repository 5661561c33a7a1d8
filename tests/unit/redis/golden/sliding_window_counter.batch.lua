-- A key holds a window's number since the epoch, the previous window's count and its own. A window to come that begins
-- within `skew` us is decided on (now is late); later ones mean that the clock was set back: the present one is used up.
local function sliding_window_counter(state, n, now, size, limit, window, left, skew)
  local old, new = 0, 0
  if state then
    local at, was_old, was_new = string.match(state, '^(%d+) (%d+) (%d+)$')
    if not at then return end
    if n < -2^52 then return old, new, left, '0 0 0' end
    local ahead = at - window
    if ahead == 0 then
      old, new = was_old + 0, was_new + 0
    elseif ahead == -1 then
      old = was_new + 0
    elseif ahead > 0 and left + (ahead - 1) * size > skew then
      local after
      if n < 0 then after = string.format('%d 0 %d', window, math.max(0, limit + n)) end
      return 0, limit, left, after, string.format('%d 0 %d', window, limit)
    elseif ahead > 0 then
      window, left, old, new = at, left + ahead * size, was_old + 0, was_new + 0
    end
  end
  if n < 0 then
    if old + new == 0 then return old, new, left end
    local from_old = math.max(0, -n - new)
    return old, new, left, string.format('%d %d %d', window, math.max(0, old - from_old), math.max(0, new + n))
  end
  -- The previous count weighs old * rest of the window / size, rounded up; where the product exceeds a double's 53 bits,
  -- it is multiplied bit by bit, reduced after each.
  local rest = math.min(left, size)
  local weight = old * rest
  if weight <= 9007199254740992 then
    weight = math.ceil(weight / size)
  else
    local count, over, bit = old, 0, 9007199254740992
    weight = 0
    while bit >= 1 do
      weight, over = weight * 2, over * 2
      if count >= bit then count, over = count - bit, over + rest end
      while over >= size do weight, over = weight + 1, over - size end
      bit = bit / 2
    end
    if over > 0 then weight = weight + 1 end
  end
  if new + n + weight <= limit then
    return old, new, left, string.format('%d %d %d', window, old, new + n)
  end
  return old, new, left
end

-- KEYS   one for each policy, for each decision
-- ARGV   size, limit, life, units (below 0 to give back, behind a 0 only to look) for each decision or once for all
-- reply  for each decision old, new, left, or a single -1 where a key holds something else;
--        then the numbers of decisions for which that was noticed only when the key was to be written
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local size, limit, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
local gone = now % size
local window, lasts = (now - gone) / size, size - gone

-- By where in KEYS a key comes first: what it holds, or nil for a text that is no number; true once that has to be
-- set, or what it was incremented by; whether it held nothing at first.
local values, changes, born = call('MGET', unpack(KEYS)), {}, {}
local places, tonumber = {}, tonumber
local out, o, a, units, n, writes = {}, 0, 3, nil, nil, nil
for i = 1, #KEYS do
  a = a + 1
  if ARGV[a] then
    units, n = ARGV[a], ARGV[a] + 0
    writes = units >= '1' or n < 0
  end
  local key = KEYS[i]
  local at = places[key]
  if not at then
    at = i
    places[key] = at
    if not values[at] then
      born[at] = true
    end
  end
  local state = values[at]
  local old, new, left, after, repaired
  old, new, left, after, repaired =
    sliding_window_counter(state, n, now, size, limit, window, lasts, skew)
  if not old then
    out[o + 1] = -1
    o = o + 1
  else
    if writes then
      after = after or repaired
      if after then
        values[at] = after
        changes[at] = true
      end
    end
    out[o + 1], out[o + 2], out[o + 3] = old, new, left
    o = o + 3
  end
end

local not_written
for i = 1, #KEYS do
  local change, after = changes[i], values[i]
  if change and born[i] then
    if not call('SET', KEYS[i], after, 'PX', life, 'NX') then
      not_written = not_written or {}
      not_written[KEYS[i]] = true
    end
  elseif change then
    call('SET', KEYS[i], after, 'PX', life)
  end
end
for i = 1, not_written and #KEYS or 0 do
  if not_written[KEYS[i]] then
    o = o + 1
    out[o] = i
  end
end
return out
