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

-- KEYS   one for each policy, for each decision
-- ARGV   unit, full, denominator, whole, step, life, units (below 0 to give back, behind a 0 only to look) for each decision or once for all
-- reply  for each decision debt, or a single -1 where a key holds something else;
--        then the numbers of decisions for which that was noticed only when the key was to be written
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local unit, full, denominator, whole, step, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0, ARGV[6]
-- A tick is whole + step / denominator us.
local periods = math.floor(now / denominator)
local tick = now * whole + periods * step + math.floor((now - periods * denominator) * step / denominator)

-- By where in KEYS a key comes first: what it holds, or nil for a text that is no number; true once that has to be
-- set, or what it was incremented by; whether it held nothing at first.
local values, changes, born = call('MGET', unpack(KEYS)), {}, {}
local places, tonumber = {}, tonumber
local out, o, a, units, n, writes = {}, 0, 6, nil, nil, nil
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
  local debt, after, repaired
  if state ~= nil then
    debt, after, repaired =
      bucket_on_any_grid(state, n, now, unit, full, denominator, whole, step, tick, skew)
  end
  if not debt then
    out[o + 1] = -1
    o = o + 1
  else
    if writes then
      after = after or repaired
      if after then
        values[at] = after
        changes[at] = true
      end
    end
    out[o + 1] = debt
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
