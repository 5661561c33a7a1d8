// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASIO_HPP
#define SLUICE_ASIO_HPP

// Limiters for programs on Asio, beside <sluice/sluice.hpp>. Needs standalone Asio 1.22 or later, and hiredis.

#include <sluice/detail/cpp20.hpp>

#include <sluice/asio/asio_redis.hpp>
#include <sluice/asio/async_acquire.hpp>
#include <sluice/asio/async_try_consume.hpp>
#include <sluice/redis.hpp>

#endif
