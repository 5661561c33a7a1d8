-- A bucket's key holds the tick at which it is full; its debt is the ticks until then. Above `full` the state is later
-- than now, and nothing fits; by more than the skew, the clock was set back.
local function bucket_on_any_grid(state, n, now, unit, full, denominator, whole, step, tick, skew)
  local debt = (state or 0) - tick
  if n < -2^52 then
    return 0, state and 0
  elseif not (debt > 0) then
    debt = 0
  elseif debt > full and debt > full + math.floor(skew * whole + skew * step / denominator) + 1 then
    local after
    if n < 0 then after = tick + math.max(0, full + n * unit) end
    return full, after, tick + full
  end
  if n < 0 then
    if debt == 0 then return debt end
    return debt, tick + math.max(0, debt + math.max(n * unit, -full))
  elseif debt + n * unit <= full then
    return debt, tick + debt + n * unit
  end
  return debt
end

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
-- ARGV   unit_1, full_1, denominator_1, whole_1, step_1, life_1, size_2, limit_2, life_2, units (below 0 to give back, behind a 0 only to look)
-- reply  now, debt_1, used_2, left_2, retry_2; -1 where a key holds something else
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local unit_1, full_1, denominator_1, whole_1, step_1, life_1 = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0, ARGV[6]
local tick_1
do
  local unit, full, denominator, whole, step = unit_1, full_1, denominator_1, whole_1, step_1
  -- A tick is whole + step / denominator us.
  local periods = math.floor(now / denominator)
  local tick = now * whole + periods * step + math.floor((now - periods * denominator) * step / denominator)
  tick_1 = tick
end
local size_2, limit_2, life_2 = ARGV[7] + 0, ARGV[8] + 0, ARGV[9]
local units = ARGV[10]
local n = units + 0
local debt_1, after_1, repaired_1 =
  bucket_on_any_grid(call('GET', KEYS[1]), n, now, unit_1, full_1, denominator_1, whole_1, step_1, tick_1, skew)
local used_2, left_2, retry_2, after_2, repaired_2 =
  sliding_window(KEYS[2], n, now, size_2, limit_2, skew)
if not used_2 then return -1 end

if units >= '1' or n < 0 then
  if n > 0 and not (after_1 and after_2) then
    after_1, after_2 = repaired_1, repaired_2
  end
  if after_1 then
    call('SET', KEYS[1], string.format('%d', after_1), 'PX', life_1)
  end
  if after_2 then
    sliding_window_write(KEYS[2], after_2, life_2)
  end
end
return string.format('%d %d %d %d %d', now, debt_1, used_2, left_2, retry_2)
