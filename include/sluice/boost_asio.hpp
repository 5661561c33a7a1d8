// SPDX-License-Identifier: MIT
#ifndef SLUICE_BOOST_ASIO_HPP
#define SLUICE_BOOST_ASIO_HPP

// Limiters in Redis for programs on Boost.Asio, beside <sluice/sluice.hpp>: BoostAsioRedis. Needs Boost 1.74 or later, and
// hiredis: components sluice::beast and sluice::redis.

#include <sluice/detail/cpp20.hpp>

#include <sluice/asio/boost_asio_redis.hpp>
#include <sluice/redis.hpp>

#endif
