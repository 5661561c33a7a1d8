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
-- ARGV   unit, full, denominator, whole, step, life, units (below 0 to give back, behind a 0 only to look)
-- reply  debt; -1 where a key holds something else
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local unit, full, denominator, whole, step, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0, ARGV[6]
-- A tick is whole + step / denominator us.
local periods = math.floor(now / denominator)
local tick = now * whole + periods * step + math.floor((now - periods * denominator) * step / denominator)
local units = ARGV[7]
local n = units + 0
local debt, after, repaired =
  bucket_on_any_grid(call('GET', KEYS[1]), n, now, unit, full, denominator, whole, step, tick, skew)

if units >= '1' or n < 0 then
  after = after or repaired
  if after then
    call('SET', KEYS[1], string.format('%d', after), 'PX', life)
  end
end
return debt
