-- A bucket's key holds the tick at which it is full; its debt is the ticks until then. More than `most` means that the
-- clock was set back; above `full` the state is later than now, and nothing fits. A tick is whole + step / denominator us.
local function bucket_on_any_grid(state, n, now, unit, full, most, denominator, whole, step)
  local periods = math.floor(now / denominator)
  local rest = now - periods * denominator
  local tick = now * whole + periods * step + math.floor(rest * step / denominator)
  local debt = (state or 0) - tick
  if n < -2^52 then
    return 0, state and 0
  elseif not (debt > 0) then
    debt = 0
  elseif debt > full and debt > most + 0 then
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
-- ARGV   unit, full, most, denominator, whole, step, life, units (below 0 to give back, behind a 0 only to look) for each decision or once for all
-- reply  for each decision debt, or a single -1 where a key holds something else;
--        then the numbers of decisions for which that was noticed only when the key was to be written
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local unit, full, most, denominator, whole, step, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3], ARGV[4] + 0, ARGV[5] + 0, ARGV[6] + 0, ARGV[7]

-- By where in KEYS a key comes first: what it holds; true once that has to be set, or what it was incremented
-- by; whether it held nothing at first, or a text that is no number.
local values, changes, born, foreign = call('MGET', unpack(KEYS)), {}, {}, {}
local first = {}
local out, o, a, units, n = {}, 0, 7, nil, nil
for i = 1, #KEYS do
  a = a + 1
  if ARGV[a] then units, n = ARGV[a], ARGV[a] + 0 end
  local key = KEYS[i]
  local at = first[key]
  if not at then
    at = i
    first[key] = at
    if not values[at] then
      born[at] = true
    elseif not tonumber(values[at]) then
      foreign[at] = true
    end
  end
  local state = values[at]
  local debt, after, repaired
  if not foreign[at] then
    debt, after, repaired =
      bucket_on_any_grid(state, n, now, unit, full, most, denominator, whole, step)
  end
  if not debt then
    out[o + 1] = -1
    o = o + 1
  else
    if units >= '1' or n < 0 then
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
