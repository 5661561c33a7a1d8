-- A bucket's key holds the time at which it is full; its debt is the us until then. More than `most` means that the
-- clock was set back; above `full` the state is later than now, and nothing fits.
local function bucket(state, n, now, unit, full, most)
  local debt = (state or 0) - now
  if not (debt > 0) then
    debt = 0
  elseif debt > most then
    local after
    if n < 0 then after = now + math.max(0, full + n * unit) end
    return full, after, now + full
  end
  local after = debt + n * unit
  if n < 0 then
    if debt == 0 then return debt end
    return debt, now + math.max(0, after)
  elseif after <= full then
    return debt, now + after
  end
  return debt
end

-- KEYS   one for each policy, for each decision
-- ARGV   unit, full, most, life, units (below 0 to give back, behind a 0 only to look) for each decision or once for all
-- reply  for each decision debt, or a single -1 where a key holds something else;
--        then the numbers of decisions for which that was noticed only when the key was to be written
local call, KEYS, ARGV, tonumber = redis.call, KEYS, ARGV, tonumber
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local unit, full, most, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4]

-- By where in KEYS a key comes first: what it held, and holds now if that has changed.
local loaded, latest, first = call('MGET', unpack(KEYS)), {}, {}
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
  local debt, after, repaired
  if tonumber(state or 0) then
    debt, after, repaired =
      bucket(state, n, now, unit, full, most)
  end
  if not debt then
    out[o + 1] = -1
    o = o + 1
  else
    if units >= '1' or n < 0 then
      after = after or repaired
      if after then
        latest[at] = after
      end
    end
    out[o + 1] = debt
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
