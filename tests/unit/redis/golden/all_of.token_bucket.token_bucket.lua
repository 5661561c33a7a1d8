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

-- KEYS   one for each policy
-- ARGV   unit_1, full_1, denominator_1, whole_1, step_1, life_1, unit_2, full_2, denominator_2, whole_2, step_2, life_2, units (below 0 to give back, behind a 0 only to look)
-- reply  now, debt_1, debt_2; -1 where a key holds something else
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
local units = ARGV[13]
local n = units + 0
local debt_1, after_1, repaired_1 =
  bucket_on_any_grid(call('GET', KEYS[1]), n, now, unit_1, full_1, denominator_1, whole_1, step_1, tick_1, skew)
local debt_2, after_2, repaired_2 =
  bucket_on_any_grid(call('GET', KEYS[2]), n, now, unit_2, full_2, denominator_2, whole_2, step_2, tick_2, skew)

if units >= '1' or n < 0 then
  if n > 0 and not (after_1 and after_2) then
    after_1, after_2 = repaired_1, repaired_2
  end
  if after_1 then
    call('SET', KEYS[1], string.format('%d', after_1), 'PX', life_1)
  end
  if after_2 then
    call('SET', KEYS[2], string.format('%d', after_2), 'PX', life_2)
  end
end
return string.format('%d %d %d', now, debt_1, debt_2)
