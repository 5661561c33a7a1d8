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
-- ARGV   unit_1, full_1, denominator_1, whole_1, step_1, life_1, unit_2, full_2, denominator_2, whole_2, step_2, life_2, operation, consumed_at, bound_1, bound_2, units for each decision or once for all
--        operation: consume, take (what is there, at most `units`), give_back (what was consumed at that time),
--        carry (`units` where the whole limit, in the place of consumed_at, is there); a bound is the largest
--        debt with which something is consumed
-- reply  for each decision now, taken, debt_1, debt_2, or a single -1 where a key holds something else
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
local operation, consumed_at = ARGV[13], ARGV[14] + 0
local bound_1 = ARGV[15] + 0
local bound_2 = ARGV[16] + 0
local answers, a, units = {}, 16, 0
for i = 1, #KEYS, 2 do
  a = a + 1
  if ARGV[a] then units = ARGV[a] + 0 end
  local key_1 = KEYS[i]
  local state_1 = call('GET', key_1)
  local key_2 = KEYS[i + 1]
  local state_2 = call('GET', key_2)
  local debt_1, after_1, repaired_1, debt_2, after_2, repaired_2

  -- `low` units fit, `high` do not; a take goes on until it knows how many do, or that not one does.
  local n, low, high, fits = operation == 'give_back' and 0 or units, 0, units + 1
  local entire = operation == 'carry' and consumed_at
  n = entire or n
  repeat
    debt_1, after_1, repaired_1 =
      bucket_on_any_grid(state_1, n, now, unit_1, full_1, denominator_1, whole_1, step_1, tick_1, skew)
    debt_2, after_2, repaired_2 =
      bucket_on_any_grid(state_2, n, now, unit_2, full_2, denominator_2, whole_2, step_2, tick_2, skew)
    fits = after_1 and (n == 0 or debt_1 <= bound_1) and after_2 and (n == 0 or debt_2 <= bound_2)
    if entire then
      n, entire = fits and math.min(units, entire) or 0, nil
    else
      if fits then low = n else high = n end
      if operation ~= 'take' or high <= 1 or (fits and high - low == 1) then break end
      if high - low == 1 then n = low else n = math.floor((low + high) / 2) end
    end
  until false
  local taken = fits and n or 0

  if not debt_1 or not debt_2 then
    answers[#answers + 1] = '-1'
  else
    if operation == 'give_back' and units > 0 then
      n = -units
      debt_1, after_1 = bucket_on_any_grid(state_1, n, now, unit_1, full_1, denominator_1, whole_1, step_1, tick_1, skew)
      if after_1 then call('SET', key_1, string.format('%d', after_1), 'PX', life_1) end
      debt_2, after_2 = bucket_on_any_grid(state_2, n, now, unit_2, full_2, denominator_2, whole_2, step_2, tick_2, skew)
      if after_2 then call('SET', key_2, string.format('%d', after_2), 'PX', life_2) end
    elseif taken > 0 then
      call('SET', key_1, string.format('%d', after_1), 'PX', life_1)
      call('SET', key_2, string.format('%d', after_2), 'PX', life_2)
    elseif n > 0 then
      if repaired_1 then call('SET', key_1, string.format('%d', repaired_1), 'PX', life_1) end
      if repaired_2 then call('SET', key_2, string.format('%d', repaired_2), 'PX', life_2) end
    end
    answers[#answers + 1] = string.format('%d %d %d %d', now, taken, debt_1, debt_2)
  end
end
return table.concat(answers, ' ')
