// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_REDIS_RECIPES_HPP
#define SLUICE_BENCHMARKS_REDIS_RECIPES_HPP

#include <string_view>

// The scripts that one finds in every tutorial, written plainly: the client's time, a hash for a bucket, a sorted set for
// a log.
namespace recipes {

// KEYS: bucket. ARGV: capacity, tokens per second, now in seconds, cost.
inline constexpr std::string_view token_bucket = R"(local capacity = tonumber(ARGV[1])
local rate = tonumber(ARGV[2])
local now = tonumber(ARGV[3])
local cost = tonumber(ARGV[4])
local data = redis.call('HMGET', KEYS[1], 'tokens', 'last')
local tokens = tonumber(data[1])
local last = tonumber(data[2])
if tokens == nil then
  tokens = capacity
  last = now
end
tokens = math.min(capacity, tokens + math.max(0, now - last) * rate)
local allowed = 0
if tokens >= cost then
  tokens = tokens - cost
  allowed = 1
end
redis.call('HMSET', KEYS[1], 'tokens', tokens, 'last', now)
redis.call('EXPIRE', KEYS[1], math.ceil(capacity / rate) * 2)
return {allowed, tostring(tokens)}
)";

// KEYS: log. ARGV: window in seconds, limit, now in seconds, a member that no other request has.
inline constexpr std::string_view log = R"(local window = tonumber(ARGV[1])
local limit = tonumber(ARGV[2])
local now = tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - window)
local count = redis.call('ZCARD', KEYS[1])
local allowed = 0
if count < limit then
  redis.call('ZADD', KEYS[1], now, ARGV[4])
  count = count + 1
  allowed = 1
end
redis.call('EXPIRE', KEYS[1], math.ceil(window))
return {allowed, limit - count}
)";

}  // namespace recipes

#endif
