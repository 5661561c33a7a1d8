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
-- ARGV   size, limit, life, operation, consumed_at, units for each decision or once for all
--        operation: consume, take (what is there, at most `units`), give_back (what was consumed at that time),
--        carry (`units` where the whole limit, in the place of consumed_at, is there); a bound is the largest
--        debt with which something is consumed
-- reply  for each decision now, taken, used, left, or a single -1 where a key holds something else
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local size, limit, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
-- What a key holds at first in the window of now, and how long that window lasts.
local gone = now % size
local first, lasts = (now - gone) / size * (limit + 1), size - gone
local operation, consumed_at = ARGV[4], ARGV[5] + 0
local answers, a, units = {}, 5, 0
for i = 1, #KEYS do
  a = a + 1
  if ARGV[a] then units = ARGV[a] + 0 end
  local key = KEYS[i]
  local state = call('GET', key)
  local used, left, after, repaired, same

  -- `low` units fit, `high` do not; a take goes on until it knows how many do, or that not one does.
  local n, low, high, fits = operation == 'give_back' and 0 or units, 0, units + 1
  local entire = operation == 'carry' and consumed_at
  n = entire or n
  repeat
    used, left, after, repaired, same =
      fixed_window(state, n, now, size, limit, first, lasts, skew)
    fits = after
    if entire then
      n, entire = fits and math.min(units, entire) or 0, nil
    else
      if fits then low = n else high = n end
      if operation ~= 'take' or high <= 1 or (fits and high - low == 1) then break end
      if high - low == 1 then n = low else n = math.floor((low + high) / 2) end
    end
  until false
  local taken = fits and n or 0

  if not used then
    answers[#answers + 1] = '-1'
  else
    if operation == 'give_back' and units > 0 then
      n = -units
      after = fixed_window_give_back(state, units, consumed_at, size, limit)
      if after then call('SET', key, string.format('%d', after), 'PX', life) end
    elseif taken > 0 then
      call('SET', key, string.format('%d', after), 'PX', life)
    elseif n > 0 then
      if repaired then call('SET', key, string.format('%d', repaired), 'PX', life) end
    end
    answers[#answers + 1] = string.format('%d %d %d %d', now, taken, used, left)
  end
end
return table.concat(answers, ' ')
