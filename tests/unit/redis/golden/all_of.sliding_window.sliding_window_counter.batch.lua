-- An entry's time, units before it and units.
local function sliding_window_entry(key, index)
  return struct.unpack('<dI4I3', redis.call('LINDEX', key, index))
end

-- The index, time and units before of the first entry, from index `from` on, that came after `edge` and with which there
-- are `count` units since `base`: by doubling steps, then by halving them.
local function sliding_window_find(key, from, edge, base, count)
  local low, high, last = from, from, redis.call('LLEN', key) - 1
  local function is_before(index)
    local time, before, units = sliding_window_entry(key, index)
    return time <= edge or (before + units - base) % 4294967296 < count
  end
  while high < last and is_before(high) do
    low, high = high + 1, math.min(2 * high - from + 1, last)
  end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(middle) then low = middle + 1 else high = middle end
  end
  return high, sliding_window_entry(key, high)
end

-- A log of so many units of now alone.
local function sliding_window_restarted(now, units)
  return { clear = true, time = now, before = 0, units = units, prolong = true }
end

-- A key is a list of admissions, oldest first: time, units before it (modulo 2^32), units. A newest time that is ahead by
-- up to `skew` us is decided at (now is late); further ahead, the clock was set back: the log is full of now. What has
-- left the window is dropped by an admission alone, whose own time is then the newest.
local function sliding_window(key, n, now, size, limit, skew)
  local entry = redis.pcall('LINDEX', key, '-1')
  if entry and #entry ~= 15 then return end
  if n < -2^52 then return 0, 0, 0, { clear = true, units = 0 } end
  local newest, before, units = now - size, 0, 0
  if entry then newest, before, units = struct.unpack('<dI4I3', entry) end
  if newest > now + skew then
    local after = n < 0 and sliding_window_restarted(now, math.max(0, limit + n))
    return limit, size, size, after, sliding_window_restarted(now, limit)
  elseif newest <= now - size then
    return 0, 0, 0, n >= 0 and n <= limit and sliding_window_restarted(now, n)
  end
  local time, total = math.max(now, newest), before + units
  local edge = time - size
  local gone, oldest, base = 0, sliding_window_entry(key, '0')
  if oldest <= edge then
    gone, oldest, base = 1, sliding_window_entry(key, '1')
    if oldest <= edge then gone, oldest, base = sliding_window_find(key, 2, edge, base, 0) end
  end
  local used, left = (total - base) % 4294967296, newest + size - now
  if n < 0 then
    if used + n <= 0 then return used, left, 0, { clear = gone == 0, gone = 0, last = gone - 1, units = 0 } end
    local index, at, b = sliding_window_find(key, gone, edge, base, used + n)
    return used, left, 0, { gone = 0, last = index, time = at, before = b, units = (base + used + n - b) % 4294967296 }
  elseif used + n <= limit then
    local prolong = newest < now - now % size
    return used, left, 0, { gone = gone, time = time, before = total % 4294967296, units = n, prolong = prolong }
  end
  local _, at = sliding_window_find(key, gone, edge, base, used + n - limit)
  return used, left, at + size - now
end

-- Drops `gone` entries, and those behind `last`; appends one, or puts it in the place of the last.
local function sliding_window_write(key, after, life)
  if after.clear then redis.call('DEL', key) end
  if after.gone and (after.gone > 0 or after.last) then redis.call('LTRIM', key, after.gone, after.last or -1) end
  if after.units == 0 then return end
  local entry = struct.pack('<dI4I3', after.time, after.before, after.units)
  if after.last then redis.call('LSET', key, '-1', entry) else redis.call('RPUSH', key, entry) end
  if after.prolong then redis.call('PEXPIRE', key, life) end
end

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
-- ARGV   size_1, limit_1, life_1, size_2, limit_2, life_2, units (below 0 to give back, behind a 0 only to look) for each decision or once for all
-- reply  for each decision now, used_1, left_1, retry_1, old_2, new_2, left_2, or a single -1 where a key holds something else;
--        then the numbers of decisions for which that was noticed only when the key was to be written
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local size_1, limit_1, life_1 = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
local size_2, limit_2, life_2 = ARGV[4] + 0, ARGV[5] + 0, ARGV[6]
local window_2, lasts_2
do
  local size, limit = size_2, limit_2
  local gone = now % size
  local window, lasts = (now - gone) / size, size - gone
  window_2, lasts_2 = window, lasts
end

-- By where in KEYS a key comes first: what it holds, or nil for a text that is no number; true once that has to be
-- set, or what it was incremented by; whether it held nothing at first.
local values, changes, born = call('MGET', unpack(KEYS)), {}, {}
local places, tonumber = {}, tonumber
local out, o, a, units, n, writes = {}, 0, 6, nil, nil, nil
for i = 1, #KEYS, 2 do
  a = a + 1
  if ARGV[a] then
    units, n = ARGV[a], ARGV[a] + 0
    writes = units >= '1' or n < 0
  end
  local key_1 = KEYS[i]
  local key_2 = KEYS[i + 1]
  local at_2 = places[key_2]
  if not at_2 then
    at_2 = i + 1
    places[key_2] = at_2
    if not values[at_2] then
      born[at_2] = true
    end
  end
  local state_2 = values[at_2]
  local used_1, left_1, retry_1, after_1, repaired_1, old_2, new_2, left_2, after_2, repaired_2
  used_1, left_1, retry_1, after_1, repaired_1 =
    sliding_window(key_1, n, now, size_1, limit_1, skew)
  old_2, new_2, left_2, after_2, repaired_2 =
    sliding_window_counter(state_2, n, now, size_2, limit_2, window_2, lasts_2, skew)
  if not used_1 or not old_2 then
    out[o + 1] = -1
    o = o + 1
  else
    if writes then
      if n > 0 and not (after_1 and after_2) then
        after_1, after_2 = repaired_1, repaired_2
      end
      if after_1 then
        sliding_window_write(key_1, after_1, life_1)
      end
      if after_2 then
        values[at_2] = after_2
        changes[at_2] = true
      end
    end
    out[o + 1], out[o + 2], out[o + 3], out[o + 4], out[o + 5], out[o + 6], out[o + 7] = now, used_1, left_1, retry_1, old_2, new_2, left_2
    o = o + 7
  end
end

local not_written
for i = 2, #KEYS, 2 do
  local change, after = changes[i], values[i]
  if change and born[i] then
    if not call('SET', KEYS[i], after, 'PX', life_2, 'NX') then
      not_written = not_written or {}
      not_written[KEYS[i]] = true
    end
  elseif change then
    call('SET', KEYS[i], after, 'PX', life_2)
  end
end
for i = 1, not_written and #KEYS or 0 do
  if not_written[KEYS[i]] then
    o = o + 1
    out[o] = math.ceil(i / 2)
  end
end
return out
