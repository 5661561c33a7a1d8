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

-- A key holds window * (limit + 1) + used, so that in the same window it is only incremented. A window to come that
-- begins within `skew` us is decided on (now is late); later ones mean that the clock was set back: the present one is
-- used up.
local function fixed_window(state, n, now, size, limit, first, left, skew)
  local used = (state or 0) - first
  if n < -2^52 then
    return 0, left, state and 0
  elseif used > limit then
    local row = limit + 1
    local ahead = math.floor(used / row)
    if left + (ahead - 1) * size > skew then
      local after
      if n < 0 then after = first + math.max(0, limit + n) end
      return limit, left, after, first + limit
    end
    first, left, used = first + ahead * row, left + ahead * size, used - ahead * row
  elseif not (used >= 0) then
    used, state = 0, nil
  end
  if n < 0 then
    if used == 0 then return used, left end
    return used, left, first + math.max(0, used + n)
  elseif used + n <= limit then
    return used, left, first + used + n, nil, state
  end
  return used, left
end

-- KEYS   one for each policy
-- ARGV   unit_1, full_1, denominator_1, whole_1, step_1, life_1, size_2, limit_2, life_2, units (below 0 to give back, behind a 0 only to look)
-- reply  now, debt_1, used_2, left_2; -1 where a key holds something else
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
local first_2, lasts_2
do
  local size, limit = size_2, limit_2
  -- What a key holds at first in the window of now, and how long that window lasts.
  local gone = now % size
  local first, lasts = (now - gone) / size * (limit + 1), size - gone
  first_2, lasts_2 = first, lasts
end
local units = ARGV[10]
local n = units + 0
local debt_1, after_1, repaired_1 =
  bucket_on_any_grid(call('GET', KEYS[1]), n, now, unit_1, full_1, denominator_1, whole_1, step_1, tick_1, skew)
local used_2, left_2, after_2, repaired_2, same_2 =
  fixed_window(call('GET', KEYS[2]), n, now, size_2, limit_2, first_2, lasts_2, skew)

if units >= '1' or n < 0 then
  if n > 0 and not (after_1 and after_2) then
    after_1, after_2, same_2 = repaired_1, repaired_2, false
  end
  if after_1 then
    call('SET', KEYS[1], string.format('%d', after_1), 'PX', life_1)
  end
  if after_2 then
    if same_2 then
      call('INCRBY', KEYS[2], units)
    else
      call('SET', KEYS[2], string.format('%d', after_2), 'PX', life_2)
    end
  end
end
return string.format('%d %d %d %d', now, debt_1, used_2, left_2)
