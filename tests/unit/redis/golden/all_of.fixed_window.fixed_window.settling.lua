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

local function fixed_window_give_back(state, units, consumed_at, size, limit)
  local first = (consumed_at - consumed_at % size) / size * (limit + 1)
  local used = (state or 0) - first
  if used > 0 and used <= limit then return first + math.max(0, used - units) end
end

-- KEYS   one for each policy, for each decision
-- ARGV   size_1, limit_1, life_1, size_2, limit_2, life_2, operation, consumed_at, units for each decision or once for all
--        operation: consume, take (what is there, at most `units`), give_back (what was consumed at that time),
--        carry (`units` where the whole limit, in the place of consumed_at, is there); a bound is the largest
--        debt with which something is consumed
-- reply  for each decision now, taken, used_1, left_1, used_2, left_2, or a single -1 where a key holds something else
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local size_1, limit_1, life_1 = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
local first_1, lasts_1
do
  local size, limit = size_1, limit_1
  -- What a key holds at first in the window of now, and how long that window lasts.
  local gone = now % size
  local first, lasts = (now - gone) / size * (limit + 1), size - gone
  first_1, lasts_1 = first, lasts
end
local size_2, limit_2, life_2 = ARGV[4] + 0, ARGV[5] + 0, ARGV[6]
local first_2, lasts_2
do
  local size, limit = size_2, limit_2
  -- What a key holds at first in the window of now, and how long that window lasts.
  local gone = now % size
  local first, lasts = (now - gone) / size * (limit + 1), size - gone
  first_2, lasts_2 = first, lasts
end
local operation, consumed_at = ARGV[7], ARGV[8] + 0
local answers, a, units = {}, 8, 0
for i = 1, #KEYS, 2 do
  a = a + 1
  if ARGV[a] then units = ARGV[a] + 0 end
  local key_1 = KEYS[i]
  local state_1 = call('GET', key_1)
  local key_2 = KEYS[i + 1]
  local state_2 = call('GET', key_2)
  local used_1, left_1, after_1, repaired_1, same_1, used_2, left_2, after_2, repaired_2, same_2

  -- `low` units fit, `high` do not; a take goes on until it knows how many do, or that not one does.
  local n, low, high, fits = operation == 'give_back' and 0 or units, 0, units + 1
  local entire = operation == 'carry' and consumed_at
  n = entire or n
  repeat
    used_1, left_1, after_1, repaired_1, same_1 =
      fixed_window(state_1, n, now, size_1, limit_1, first_1, lasts_1, skew)
    used_2, left_2, after_2, repaired_2, same_2 =
      fixed_window(state_2, n, now, size_2, limit_2, first_2, lasts_2, skew)
    fits = after_1 and after_2
    if entire then
      n, entire = fits and math.min(units, entire) or 0, nil
    else
      if fits then low = n else high = n end
      if operation ~= 'take' or high <= 1 or (fits and high - low == 1) then break end
      if high - low == 1 then n = low else n = math.floor((low + high) / 2) end
    end
  until false
  local taken = fits and n or 0

  if not used_1 or not used_2 then
    answers[#answers + 1] = '-1'
  else
    if operation == 'give_back' and units > 0 then
      n = -units
      after_1 = fixed_window_give_back(state_1, units, consumed_at, size_1, limit_1)
      if after_1 then call('SET', key_1, string.format('%d', after_1), 'PX', life_1) end
      after_2 = fixed_window_give_back(state_2, units, consumed_at, size_2, limit_2)
      if after_2 then call('SET', key_2, string.format('%d', after_2), 'PX', life_2) end
    elseif taken > 0 then
      call('SET', key_1, string.format('%d', after_1), 'PX', life_1)
      call('SET', key_2, string.format('%d', after_2), 'PX', life_2)
    elseif n > 0 then
      if repaired_1 then call('SET', key_1, string.format('%d', repaired_1), 'PX', life_1) end
      if repaired_2 then call('SET', key_2, string.format('%d', repaired_2), 'PX', life_2) end
    end
    answers[#answers + 1] = string.format('%d %d %d %d %d %d', now, taken, used_1, left_1, used_2, left_2)
  end
end
return table.concat(answers, ' ')
