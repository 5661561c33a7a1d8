// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_HPP
#define SLUICE_REDIS_HPP

// The Redis store, beside <sluice/sluice.hpp>. Needs hiredis 0.14 or later.

#include <sluice/detail/cpp20.hpp>

#include <sluice/redis/async_redis.hpp>
#include <sluice/redis/lua/all_of.hpp>
#include <sluice/redis/lua/bucket.hpp>
#include <sluice/redis/lua/fixed_window.hpp>
#include <sluice/redis/lua/sliding_window.hpp>
#include <sluice/redis/lua/sliding_window_counter.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_store.hpp>
#include <sluice/redis/redis_url.hpp>

#endif
