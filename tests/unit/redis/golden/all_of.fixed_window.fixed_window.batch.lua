-- A key holds window * (limit + 1) + used, so that in the same window it is only incremented. A window to come that
-- begins within `skew` us is decided on (now is late); later ones mean that the clock was set back: the present one is
-- used up.
local function fixed_window(state, n, now, size, limit, skew)
  local row, gone = limit + 1, now % size
  local first, left = (now - gone) / size * row, size - gone
  local used = (state or 0) - first
  if used >= row then
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

-- KEYS   one for each policy, for each decision
-- ARGV   size_1, limit_1, skew_1, life_1, size_2, limit_2, skew_2, life_2, units (below 0 to give back, behind a 0 only to look) for each decision or once for all
-- reply  for each decision now, used_1, left_1, used_2, left_2, or a single -1 where a key holds something else;
--        then the numbers of decisions for which that was noticed only when the key was to be written
local call, KEYS, ARGV, tonumber = redis.call, KEYS, ARGV, tonumber
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local size_1, limit_1, skew_1, life_1 = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4]
local size_2, limit_2, skew_2, life_2 = ARGV[5] + 0, ARGV[6] + 0, ARGV[7] + 0, ARGV[8]

-- By where in KEYS a key comes first: what it held, and holds now if that has changed.
local loaded, latest, first = call('MGET', unpack(KEYS)), {}, {}
local replaced = {}  -- changed by more than an increment
local out, o, a, units, n = {}, 0, 8, nil, nil
for i = 1, #KEYS, 2 do
  a = a + 1
  if ARGV[a] then units, n = ARGV[a], ARGV[a] + 0 end
  local key_1 = KEYS[i]
  local at_1 = first[key_1]
  if not at_1 then
    at_1 = i
    first[key_1] = at_1
  end
  local state_1 = latest[at_1] or loaded[at_1]
  local key_2 = KEYS[i + 1]
  local at_2 = first[key_2]
  if not at_2 then
    at_2 = i + 1
    first[key_2] = at_2
  end
  local state_2 = latest[at_2] or loaded[at_2]
  local used_1, left_1, after_1, repaired_1, same_1, used_2, left_2, after_2, repaired_2, same_2
  if tonumber(state_1 or 0) and tonumber(state_2 or 0) then
    used_1, left_1, after_1, repaired_1, same_1 =
      fixed_window(state_1, n, now, size_1, limit_1, skew_1)
    used_2, left_2, after_2, repaired_2, same_2 =
      fixed_window(state_2, n, now, size_2, limit_2, skew_2)
  end
  if not used_1 or not used_2 then
    out[o + 1] = -1
    o = o + 1
  else
    if units >= '1' or n < 0 then
      if n > 0 and not (after_1 and after_2) then
        after_1, after_2, same_1, same_2 = repaired_1, repaired_2, false, false
      end
      if after_1 then
        latest[at_1] = after_1
        replaced[at_1] = replaced[at_1] or not same_1
      end
      if after_2 then
        latest[at_2] = after_2
        replaced[at_2] = replaced[at_2] or not same_2
      end
    end
    out[o + 1], out[o + 2], out[o + 3], out[o + 4], out[o + 5] = now, used_1, left_1, used_2, left_2
    o = o + 5
  end
end

local foreign = {}
for i = 1, #KEYS, 2 do
  local after, before = latest[i], loaded[i]
  if not after then
    -- unchanged, or not the first time that the key comes
  elseif not before then
    foreign[KEYS[i]] = not call('SET', KEYS[i], string.format('%d', after), 'PX', life_1, 'NX')
  elseif not replaced[i] then
    call('INCRBY', KEYS[i], string.format('%d', after - before))
  else
    call('SET', KEYS[i], string.format('%d', after), 'PX', life_1)
  end
end
for i = 2, #KEYS, 2 do
  local after, before = latest[i], loaded[i]
  if not after then
    -- unchanged, or not the first time that the key comes
  elseif not before then
    foreign[KEYS[i]] = not call('SET', KEYS[i], string.format('%d', after), 'PX', life_2, 'NX')
  elseif not replaced[i] then
    call('INCRBY', KEYS[i], string.format('%d', after - before))
  else
    call('SET', KEYS[i], string.format('%d', after), 'PX', life_2)
  end
end
for i = 1, #KEYS do
  if foreign[KEYS[i]] then
    o = o + 1
    out[o] = math.ceil(i / 2)
  end
end
return out
