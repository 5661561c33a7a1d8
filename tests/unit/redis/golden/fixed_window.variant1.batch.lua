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

-- KEYS   one for each policy, for each decision
-- ARGV   size, limit, life, units (below 0 to give back, behind a 0 only to look) for each decision or once for all
-- reply  for each decision left * (limit + 1) + used, or a single -1 where a key holds something else;
--        then the numbers of decisions for which that was noticed only when the key was to be written
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local size, limit, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
-- What a key holds at first in the window of now, and how long that window lasts.
local gone = now % size
local first, lasts = (now - gone) / size * (limit + 1), size - gone

-- By where in KEYS a key comes first: what it holds, or nil for a text that is no number; true once that has to be
-- set, or what it was incremented by; whether it held nothing at first.
local values, changes, born = call('MGET', unpack(KEYS)), {}, {}
local places, tonumber = {}, tonumber
local out, o, a, units, n, writes = {}, 0, 3, nil, nil, nil
for i = 1, #KEYS do
  a = a + 1
  if ARGV[a] then
    units, n = ARGV[a], ARGV[a] + 0
    writes = units >= '1' or n < 0
  end
  local key = KEYS[i]
  local at = places[key]
  if not at then
    at = i
    places[key] = at
    if not values[at] then
      born[at] = true
    else
      values[at] = tonumber(values[at])
    end
  end
  local state = values[at]
  local used, left, after, repaired, same
  if state ~= nil then
    used, left, after, repaired, same =
      fixed_window(state, n, now, size, limit, first, lasts, skew)
  end
  if not used then
    out[o + 1] = -1
    o = o + 1
  else
    if writes then
      after = after or repaired
      if after then
        values[at] = after
        if not same then
          changes[at] = true
        elseif changes[at] ~= true then
          changes[at] = changes[at] and changes[at] + n or units
        end
      end
    end
    out[o + 1] = left * (limit + 1) + used
    o = o + 1
  end
end

local not_written
for i = 1, #KEYS do
  local change, after = changes[i], values[i]
  if change and born[i] then
    if not call('SET', KEYS[i], string.format('%d', after), 'PX', life, 'NX') then
      not_written = not_written or {}
      not_written[KEYS[i]] = true
    end
  elseif change and change ~= true then
    call('INCRBY', KEYS[i], change)
  elseif change then
    call('SET', KEYS[i], string.format('%d', after), 'PX', life)
  end
end
for i = 1, not_written and #KEYS or 0 do
  if not_written[KEYS[i]] then
    o = o + 1
    out[o] = i
  end
end
return out
