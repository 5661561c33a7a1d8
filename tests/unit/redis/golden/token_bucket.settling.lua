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
-- ARGV   unit, full, denominator, whole, step, life, operation, consumed_at, bound, units for each decision or once for all
--        operation: consume, take (what is there, at most `units`), give_back (what was consumed at that time),
--        carry (`units` where the whole limit, in the place of consumed_at, is there); a bound is the largest
--        debt with which something is consumed
-- reply  for each decision now, taken, debt, or a single -1 where a key holds something else
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local unit, full, denominator, whole, step, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0, ARGV[6]
-- A tick is whole + step / denominator us.
local periods = math.floor(now / denominator)
local tick = now * whole + periods * step + math.floor((now - periods * denominator) * step / denominator)
local operation, consumed_at = ARGV[7], ARGV[8] + 0
local bound = ARGV[9] + 0
local answers, a, units = {}, 9, 0
for i = 1, #KEYS do
  a = a + 1
  if ARGV[a] then units = ARGV[a] + 0 end
  local key = KEYS[i]
  local state = call('GET', key)
  local debt, after, repaired

  -- `low` units fit, `high` do not; a take goes on until it knows how many do, or that not one does.
  local n, low, high, fits = operation == 'give_back' and 0 or units, 0, units + 1
  local entire = operation == 'carry' and consumed_at
  n = entire or n
  repeat
    debt, after, repaired =
      bucket_on_any_grid(state, n, now, unit, full, denominator, whole, step, tick, skew)
    fits = after and (n == 0 or debt <= bound)
    if entire then
      n, entire = fits and math.min(units, entire) or 0, nil
    else
      if fits then low = n else high = n end
      if operation ~= 'take' or high <= 1 or (fits and high - low == 1) then break end
      if high - low == 1 then n = low else n = math.floor((low + high) / 2) end
    end
  until false
  local taken = fits and n or 0

  if not debt then
    answers[#answers + 1] = '-1'
  else
    if operation == 'give_back' and units > 0 then
      n = -units
      debt, after = bucket_on_any_grid(state, n, now, unit, full, denominator, whole, step, tick, skew)
      if after then call('SET', key, string.format('%d', after), 'PX', life) end
    elseif taken > 0 then
      call('SET', key, string.format('%d', after), 'PX', life)
    elseif n > 0 then
      if repaired then call('SET', key, string.format('%d', repaired), 'PX', life) end
    end
    answers[#answers + 1] = string.format('%d %d %d', now, taken, debt)
  end
end
return table.concat(answers, ' ')
