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

-- KEYS   one for each policy
-- ARGV   size_1, limit_1, life_1, size_2, limit_2, life_2, units (below 0 to give back, behind a 0 only to look)
-- reply  now, old_1, new_1, left_1, old_2, new_2, left_2; -1 where a key holds something else
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local size_1, limit_1, life_1 = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
local window_1, lasts_1
do
  local size, limit = size_1, limit_1
  local gone = now % size
  local window, lasts = (now - gone) / size, size - gone
  window_1, lasts_1 = window, lasts
end
local size_2, limit_2, life_2 = ARGV[4] + 0, ARGV[5] + 0, ARGV[6]
local window_2, lasts_2
do
  local size, limit = size_2, limit_2
  local gone = now % size
  local window, lasts = (now - gone) / size, size - gone
  window_2, lasts_2 = window, lasts
end
local units = ARGV[7]
local n = units + 0
local old_1, new_1, left_1, after_1, repaired_1 =
  sliding_window_counter(call('GET', KEYS[1]), n, now, size_1, limit_1, window_1, lasts_1, skew)
local old_2, new_2, left_2, after_2, repaired_2 =
  sliding_window_counter(call('GET', KEYS[2]), n, now, size_2, limit_2, window_2, lasts_2, skew)
if not old_1 or not old_2 then return -1 end

if units >= '1' or n < 0 then
  if n > 0 and not (after_1 and after_2) then
    after_1, after_2 = repaired_1, repaired_2
  end
  if after_1 then
    call('SET', KEYS[1], after_1, 'PX', life_1)
  end
  if after_2 then
    call('SET', KEYS[2], after_2, 'PX', life_2)
  end
end
return string.format('%d %d %d %d %d %d %d', now, old_1, new_1, left_1, old_2, new_2, left_2)
