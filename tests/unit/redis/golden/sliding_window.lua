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

-- KEYS   one for each policy
-- ARGV   size, limit, life, units (below 0 to give back, behind a 0 only to look)
-- reply  used, left, retry; -1 where a key holds something else
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local size, limit, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
local units = ARGV[4]
local n = units + 0
local used, left, retry, after, repaired =
  sliding_window(KEYS[1], n, now, size, limit, skew)
if not used then return -1 end

if units >= '1' or n < 0 then
  after = after or repaired
  if after then
    sliding_window_write(KEYS[1], after, life)
  end
end
return string.format('%d %d %d', used, left, retry)
