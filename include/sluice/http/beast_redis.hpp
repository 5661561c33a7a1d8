// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_BEAST_REDIS_HPP
#define SLUICE_HTTP_BEAST_REDIS_HPP

#include <sluice/detail/cpp20.hpp>

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <sluice/asio/basic_asio_redis.hpp>
#include <sluice/redis.hpp>

// Redis for Boost.Asio. Not in one file with <sluice/asio.hpp>: Boost 1.74 and the standalone Asio of that age do not go together.
namespace sluice {

namespace detail::asio_io {

struct BoostAsio {
    using Executor = ::boost::asio::any_io_executor;
    using Context = ::boost::asio::execution_context;
    using Descriptor = ::boost::asio::posix::stream_descriptor;
    using Timer = ::boost::asio::steady_timer;
    using ErrorCode = ::boost::system::error_code;
    static constexpr auto cancelled = ::boost::asio::error::operation_aborted;

    template <class F>
    static void post(const Executor& executor, F&& function) {
        ::boost::asio::post(executor, std::forward<F>(function));
    }
    template <class F>
    static void dispatch(const Executor& executor, F&& function) {
        ::boost::asio::dispatch(executor, std::forward<F>(function));
    }
};

}  // namespace detail::asio_io

/// For Boost.Asio, and so for Boost.Beast: sluice::http::async_check() of <sluice/http/beast_async.hpp>, or a limiter's calls whose
/// names begin with async_. Components sluice::beast and sluice::redis. See BasicAsioRedis.
using BoostAsioRedis = BasicAsioRedis<detail::asio_io::BoostAsio>;

}  // namespace sluice

#endif
