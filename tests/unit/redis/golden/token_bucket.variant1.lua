-- A bucket's key holds the time at which it is full; its debt is the us until then. Above `full` the state is later than
-- now, and nothing fits; by more than the skew, the clock was set back.
local function bucket(state, n, now, unit, full, skew)
  local debt = (state or 0) - now
  if n < -2^52 then
    return 0, state and 0
  elseif not (debt > 0) then
    debt = 0
  elseif debt > full and debt > full + skew then
    local after
    if n < 0 then after = now + math.max(0, full + n * unit) end
    return full, after, now + full
  end
  if n < 0 then
    if debt == 0 then return debt end
    return debt, now + math.max(0, debt + math.max(n * unit, -full))
  elseif debt + n * unit <= full then
    return debt, now + debt + n * unit
  end
  return debt
end

-- KEYS   one for each policy
-- ARGV   unit, full, life, units (below 0 to give back, behind a 0 only to look)
-- reply  debt; -1 where a key holds something else
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local skew = 5000000
local unit, full, life = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
local units = ARGV[4]
local n = units + 0
local debt, after, repaired =
  bucket(call('GET', KEYS[1]), n, now, unit, full, skew)

if units >= '1' or n < 0 then
  after = after or repaired
  if after then
    call('SET', KEYS[1], string.format('%d', after), 'PX', life)
  end
end
return debt
