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
-- ARGV   size, limit, life, units (below 0 to give back, behind a 0 only to look)
-- reply  used, left; -1 where a key holds something else
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local size, limit, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
-- What a key holds at first in the window of now, and how long that window lasts.
local gone = now % size
local first, lasts = (now - gone) / size * (limit + 1), size - gone
local units = ARGV[4]
local n = units + 0
local used, left, after, repaired, same =
  fixed_window(call('GET', KEYS[1]), n, now, size, limit, first, lasts, skew)

if units >= '1' or n < 0 then
  after = after or repaired
  if after then
    if same then
      call('INCRBY', KEYS[1], units)
    else
      call('SET', KEYS[1], string.format('%d', after), 'PX', life)
    end
  end
end
return string.format('%d %d', used, left)
