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

-- From the entries of exactly that time. Those behind count fewer units before them; where one has none left, the others
-- move up.
local function sliding_window_give_back(key, units, consumed_at)
  local length, given = redis.call('LLEN', key), 0
  if length == 0 then return end
  local place = sliding_window_find(key, 0, consumed_at - 1, 0, 0)
  for index = place, length - 1 do
    local time, before, own = sliding_window_entry(key, index)
    before = (before - given) % 4294967296
    if time == consumed_at then
      local some = math.min(own, units - given)
      own, given = own - some, given + some
    end
    if given == 0 then return end
    if own > 0 then
      redis.call('LSET', key, place, struct.pack('<dI4I3', time, before, own))
      place = place + 1
    end
  end
  if place == 0 then redis.call('DEL', key) else redis.call('LTRIM', key, 0, place - 1) end
end

-- KEYS   one for each policy, for each decision
-- ARGV   unit_1, full_1, denominator_1, whole_1, step_1, life_1, size_2, limit_2, life_2, operation, consumed_at, bound_1, units for each decision or once for all
--        operation: consume, take (what is there, at most `units`), give_back (what was consumed at that time),
--        carry (`units` where the whole limit, in the place of consumed_at, is there); a bound is the largest
--        debt with which something is consumed
-- reply  for each decision now, taken, debt_1, used_2, left_2, retry_2, or a single -1 where a key holds something else
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
local operation, consumed_at = ARGV[10], ARGV[11] + 0
local bound_1 = ARGV[12] + 0
local answers, a, units = {}, 12, 0
for i = 1, #KEYS, 2 do
  a = a + 1
  if ARGV[a] then units = ARGV[a] + 0 end
  local key_1 = KEYS[i]
  local state_1 = call('GET', key_1)
  local key_2 = KEYS[i + 1]
  local debt_1, after_1, repaired_1, used_2, left_2, retry_2, after_2, repaired_2

  -- `low` units fit, `high` do not; a take goes on until it knows how many do, or that not one does.
  local n, low, high, fits = operation == 'give_back' and 0 or units, 0, units + 1
  local entire = operation == 'carry' and consumed_at
  n = entire or n
  repeat
    debt_1, after_1, repaired_1 =
      bucket_on_any_grid(state_1, n, now, unit_1, full_1, denominator_1, whole_1, step_1, tick_1, skew)
    used_2, left_2, retry_2, after_2, repaired_2 =
      sliding_window(key_2, n, now, size_2, limit_2, skew)
    fits = after_1 and (n == 0 or debt_1 <= bound_1) and after_2
    if entire then
      n, entire = fits and math.min(units, entire) or 0, nil
    else
      if fits then low = n else high = n end
      if operation ~= 'take' or high <= 1 or (fits and high - low == 1) then break end
      if high - low == 1 then n = low else n = math.floor((low + high) / 2) end
    end
  until false
  local taken = fits and n or 0

  if not debt_1 or not used_2 then
    answers[#answers + 1] = '-1'
  else
    if operation == 'give_back' and units > 0 then
      n = -units
      debt_1, after_1 = bucket_on_any_grid(state_1, n, now, unit_1, full_1, denominator_1, whole_1, step_1, tick_1, skew)
      if after_1 then call('SET', key_1, string.format('%d', after_1), 'PX', life_1) end
      sliding_window_give_back(key_2, units, consumed_at, size_2, limit_2)
    elseif taken > 0 then
      call('SET', key_1, string.format('%d', after_1), 'PX', life_1)
      sliding_window_write(key_2, after_2, life_2)
    elseif n > 0 then
      if repaired_1 then call('SET', key_1, string.format('%d', repaired_1), 'PX', life_1) end
      if repaired_2 then sliding_window_write(key_2, repaired_2, life_2) end
    end
    answers[#answers + 1] = string.format('%d %d %d %d %d %d', now, taken, debt_1, used_2, left_2, retry_2)
  end
end
return table.concat(answers, ' ')
