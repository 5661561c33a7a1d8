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
-- ARGV   unit_1, full_1, denominator_1, whole_1, step_1, life_1, unit_2, full_2, denominator_2, whole_2, step_2, life_2, units (below 0 to give back, behind a 0 only to look) for each decision or once for all
-- reply  for each decision now, debt_1, debt_2, or a single -1 where a key holds something else;
--        then the numbers of decisions for which that was noticed only when the key was to be written
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local unit_1, full_1, denominator_1, whole_1, step_1, life_1 = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0, ARGV[6]
local tick_1
do
  local unit, full, denominator, whole, step = unit_1, full_1, denominator_1, whole_1, step_1
  -- A tick is whole + step / denominator us.
  local periods = math.floor(now / denominator)
  local tick = now * whole + periods * step + math.floor((now - periods * denominator) * step / denominator)
  tick_1 = tick
end
local unit_2, full_2, denominator_2, whole_2, step_2, life_2 = ARGV[7] + 0, ARGV[8] + 0, ARGV[9] + 0, ARGV[10] + 0, ARGV[11] + 0, ARGV[12]
local tick_2
do
  local unit, full, denominator, whole, step = unit_2, full_2, denominator_2, whole_2, step_2
  -- A tick is whole + step / denominator us.
  local periods = math.floor(now / denominator)
  local tick = now * whole + periods * step + math.floor((now - periods * denominator) * step / denominator)
  tick_2 = tick
end

-- By where in KEYS a key comes first: what it holds, or nil for a text that is no number; true once that has to be
-- set, or what it was incremented by; whether it held nothing at first.
local values, changes, born = call('MGET', unpack(KEYS)), {}, {}
local places, tonumber = {}, tonumber
local out, o, a, units, n, writes = {}, 0, 12, nil, nil, nil
for i = 1, #KEYS, 2 do
  a = a + 1
  if ARGV[a] then
    units, n = ARGV[a], ARGV[a] + 0
    writes = units >= '1' or n < 0
  end
  local key_1 = KEYS[i]
  local at_1 = places[key_1]
  if not at_1 then
    at_1 = i
    places[key_1] = at_1
    if not values[at_1] then
      born[at_1] = true
    else
      values[at_1] = tonumber(values[at_1])
    end
  end
  local state_1 = values[at_1]
  local key_2 = KEYS[i + 1]
  local at_2 = places[key_2]
  if not at_2 then
    at_2 = i + 1
    places[key_2] = at_2
    if not values[at_2] then
      born[at_2] = true
    else
      values[at_2] = tonumber(values[at_2])
    end
  end
  local state_2 = values[at_2]
  local debt_1, after_1, repaired_1, debt_2, after_2, repaired_2
  if state_1 ~= nil and state_2 ~= nil then
    debt_1, after_1, repaired_1 =
      bucket_on_any_grid(state_1, n, now, unit_1, full_1, denominator_1, whole_1, step_1, tick_1, skew)
    debt_2, after_2, repaired_2 =
      bucket_on_any_grid(state_2, n, now, unit_2, full_2, denominator_2, whole_2, step_2, tick_2, skew)
  end
  if not debt_1 or not debt_2 then
    out[o + 1] = -1
    o = o + 1
  else
    if writes then
      if n > 0 and not (after_1 and after_2) then
        after_1, after_2 = repaired_1, repaired_2
      end
      if after_1 then
        values[at_1] = after_1
        changes[at_1] = true
      end
      if after_2 then
        values[at_2] = after_2
        changes[at_2] = true
      end
    end
    out[o + 1], out[o + 2], out[o + 3] = now, debt_1, debt_2
    o = o + 3
  end
end

local not_written
for i = 1, #KEYS, 2 do
  local change, after = changes[i], values[i]
  if change and born[i] then
    if not call('SET', KEYS[i], string.format('%d', after), 'PX', life_1, 'NX') then
      not_written = not_written or {}
      not_written[KEYS[i]] = true
    end
  elseif change then
    call('SET', KEYS[i], string.format('%d', after), 'PX', life_1)
  end
end
for i = 2, #KEYS, 2 do
  local change, after = changes[i], values[i]
  if change and born[i] then
    if not call('SET', KEYS[i], string.format('%d', after), 'PX', life_2, 'NX') then
      not_written = not_written or {}
      not_written[KEYS[i]] = true
    end
  elseif change then
    call('SET', KEYS[i], string.format('%d', after), 'PX', life_2)
  end
end
for i = 1, not_written and #KEYS or 0 do
  if not_written[KEYS[i]] then
    o = o + 1
    out[o] = math.ceil(i / 2)
  end
end
return out
