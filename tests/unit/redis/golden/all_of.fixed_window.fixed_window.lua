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
-- ARGV   size_1, limit_1, life_1, size_2, limit_2, life_2, units (below 0 to give back, behind a 0 only to look)
-- reply  now, used_1, left_1, used_2, left_2; -1 where a key holds something else
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
local units = ARGV[7]
local n = units + 0
local used_1, left_1, after_1, repaired_1, same_1 =
  fixed_window(call('GET', KEYS[1]), n, now, size_1, limit_1, first_1, lasts_1, skew)
local used_2, left_2, after_2, repaired_2, same_2 =
  fixed_window(call('GET', KEYS[2]), n, now, size_2, limit_2, first_2, lasts_2, skew)

if units >= '1' or n < 0 then
  if n > 0 and not (after_1 and after_2) then
    after_1, after_2, same_1, same_2 = repaired_1, repaired_2, false, false
  end
  if after_1 then
    if same_1 then
      call('INCRBY', KEYS[1], units)
    else
      call('SET', KEYS[1], string.format('%d', after_1), 'PX', life_1)
    end
  end
  if after_2 then
    if same_2 then
      call('INCRBY', KEYS[2], units)
    else
      call('SET', KEYS[2], string.format('%d', after_2), 'PX', life_2)
    end
  end
end
return string.format('%d %d %d %d %d', now, used_1, left_1, used_2, left_2)
