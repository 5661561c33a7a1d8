// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASIO_ASIO_REDIS_HPP
#define SLUICE_ASIO_ASIO_REDIS_HPP

#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/execution_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <sluice/asio/basic_asio_redis.hpp>

namespace sluice {

namespace detail::asio_io {

struct StandaloneAsio {
    using Executor = ::asio::any_io_executor;
    using Context = ::asio::execution_context;
    using Descriptor = ::asio::posix::stream_descriptor;
    using Timer = ::asio::steady_timer;
    using ErrorCode = ::asio::error_code;
    static constexpr auto cancelled = ::asio::error::operation_aborted;

    template <class F>
    static void post(const Executor& executor, F&& function) {
        ::asio::post(executor, std::forward<F>(function));
    }
    template <class F>
    static void dispatch(const Executor& executor, F&& function) {
        ::asio::dispatch(executor, std::forward<F>(function));
    }
};

}  // namespace detail::asio_io

/// For standalone Asio. See BasicAsioRedis.
using AsioRedis = BasicAsioRedis<detail::asio_io::StandaloneAsio>;

}  // namespace sluice

#endif
