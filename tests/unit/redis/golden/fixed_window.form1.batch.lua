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
-- ARGV   size, limit, skew, life, units (below 0 to give back, behind a 0 only to look) for each decision or once for all
-- reply  for each decision left * (limit + 1) + used, or a single -1 where a key holds something else;
--        then the numbers of decisions for which that was noticed only when the key was to be written
local call, KEYS, ARGV, tonumber = redis.call, KEYS, ARGV, tonumber
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local size, limit, skew, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4]

-- By where in KEYS a key comes first: what it held, and holds now if that has changed.
local loaded, latest, first = call('MGET', unpack(KEYS)), {}, {}
local replaced = {}  -- changed by more than an increment
local out, o, a, units, n = {}, 0, 4, nil, nil
for i = 1, #KEYS do
  a = a + 1
  if ARGV[a] then units, n = ARGV[a], ARGV[a] + 0 end
  local key = KEYS[i]
  local at = first[key]
  if not at then
    at = i
    first[key] = at
  end
  local state = latest[at] or loaded[at]
  local used, left, after, repaired, same
  if tonumber(state or 0) then
    used, left, after, repaired, same =
      fixed_window(state, n, now, size, limit, skew)
  end
  if not used then
    out[o + 1] = -1
    o = o + 1
  else
    if units >= '1' or n < 0 then
      after = after or repaired
      if after then
        latest[at] = after
        replaced[at] = replaced[at] or not same
      end
    end
    out[o + 1] = left * (limit + 1) + used
    o = o + 1
  end
end

local foreign = {}
for i = 1, #KEYS do
  local after, before = latest[i], loaded[i]
  if not after then
    -- unchanged, or not the first time that the key comes
  elseif not before then
    foreign[KEYS[i]] = not call('SET', KEYS[i], string.format('%d', after), 'PX', life, 'NX')
  elseif not replaced[i] then
    call('INCRBY', KEYS[i], string.format('%d', after - before))
  else
    call('SET', KEYS[i], string.format('%d', after), 'PX', life)
  end
end
for i = 1, #KEYS do
  if foreign[KEYS[i]] then
    o = o + 1
    out[o] = i
  end
end
return out
