// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_BEAST_ASYNC_HPP
#define SLUICE_HTTP_BEAST_ASYNC_HPP

#include <sluice/detail/cpp20.hpp>

#include <string_view>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <sluice/http/adapter.hpp>
#include <sluice/http/async_guard.hpp>
#include <sluice/http/beast.hpp>

namespace sluice::http {

/// BeastGuard::check() for a completion token, with limits on BoostAsioRedis: no thread waits for the store. Completes with the
/// Answer, posted to the handler's executor. `limiter`, `request` and `peer` must live until then.
///
///     sluice::BoostAsioRedis redis{context, "redis://127.0.0.1:6379"};
///     sluice::http::BeastGuard<> limiter{sluice::http::Guard{load_rules("rules.json", limiters_in(redis))}};
///     const Answer answer = co_await async_check(limiter, request, peer, boost::asio::use_awaitable);
///
/// What comes then is as after check(); finish() does not wait either. Limits on stores that block hold the thread, as there. It
/// cannot be cancelled: the store's timeout ends it. Two allocations beside those of the store.
template <class Identify, class Request, class Token>
auto async_check(const BeastGuard<Identify>& limiter, const Request& request, std::string_view peer, Token&& token) {
    const auto begin = [](auto&& handler, const BeastGuard<Identify>* guard, const Request* asked,
                          std::string_view address) {
        const auto executor = ::boost::asio::get_associated_executor(handler);
        auto complete = [handler = std::forward<decltype(handler)>(handler),
                         work = ::boost::asio::make_work_guard(executor)](Answer answer) mutable {
            auto call = [handler = std::move(handler), answer = std::move(answer)]() mutable {
                std::move(handler)(std::move(answer));
            };
            ::boost::asio::post(work.get_executor(), std::move(call));
        };
        guard->check_async(*asked, address, std::move(complete));
    };
    return ::boost::asio::async_initiate<Token, void(Answer)>(begin, token, &limiter, &request, peer);
}

}  // namespace sluice::http

#endif
