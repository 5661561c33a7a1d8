// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_BEAST_HPP
#define SLUICE_HTTP_BEAST_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/http/adapter.hpp>
#include <sluice/http/detail/beast_messages.hpp>

// Rate limiting for Boost.Beast. Templates over its members; Beast's headers are not included here.
namespace sluice::http {

/// Checks the requests of a Beast server, which does its own reading and writing:
///
///     sluice::http::BeastGuard limiter{guard};
///     const Answer answer = limiter.check(request, peer);              // peer: remote_endpoint().address().to_string()
///     if (!answer.allowed) response = limiter.denial<Response>(answer, request);
///     if (answer.delay.count() > 0) ...                                // wait on a timer, which holds no thread
///     limiter.finish(answer, response);                                // into the handler's response
///
/// `identify` maps a request to a Caller. Thread-safe and noexcept where it says so. A call to a slow store holds the thread:
/// async_check() of beast_async.hpp holds none, where the limits are on BoostAsioRedis. Stores that block are asked on a pool
/// (asio::thread_pool), as long as they may take:
///
///     const auto ask = [&]() -> asio::awaitable<Answer> { co_return limiter.check(request, peer); };
///     const Answer answer = limiter.may_wait(request, peer) ? co_await asio::co_spawn(pool, ask, asio::use_awaitable)
///                                                           : limiter.check(request, peer);
template <class Identify = Anonymous>
class BeastGuard {
public:
    explicit BeastGuard(Guard guard, Identify identify = {})
        : guard_(std::move(guard)), identify_(std::move(identify)) {}

    /// Of a request, or of its header alone, by the raw path.
    template <class Request>
    Answer check(const Request& request, std::string_view peer) const noexcept {
        const detail::BeastHeaders headers{request};
        Asked asked = detail::asked_on_beast(request, peer, headers);
        asked.caller = identified(identify_, request);
        return guard_.handle(std::move(asked));
    }
    /// check() without waiting, see Guard::handle_async; `request` and `peer` must live until done(Answer) is called. Needs
    /// async_guard.hpp; for coroutines there is async_check() in beast_async.hpp.
    template <class Request, class F>
    void check_async(const Request& request, std::string_view peer, F done) const noexcept {
        const detail::BeastHeaders headers{request};
        Asked asked = detail::asked_on_beast(request, peer, headers);
        asked.caller = identified(identify_, request);
        guard_.handle_async(std::move(asked), std::move(done));
    }
    /// Whether check() may wait for a store outside of this process; without a call to it.
    template <class Request>
    bool may_wait(const Request& request, std::string_view peer) const noexcept {
        const detail::BeastHeaders headers{request};
        return guard_.may_wait(detail::asked_on_beast(request, peer, headers));
    }

    /// The answer to a denied request; Response has a string as its body. Where the body of the request has not been read
    /// (`is_read` false), the connection ends with it. May throw std::bad_alloc.
    template <class Response, class Request>
    static Response denial(const Answer& answer, const Request& request, bool is_read = true) {
        Response response;
        response.version(request.version());
        response.result(static_cast<unsigned>(answer.denial.status));
        response.set("Content-Type", answer.denial.content_type);
        response.keep_alive(is_read && request.keep_alive());
        const std::size_t size = answer.denial.content.size();
        if (detail::beast_view(request.method_string()) != "HEAD") response.body() = answer.denial.content;
        response.content_length(size);
        finish(answer, response);
        return response;
    }

    /// Puts the rate limit fields into a response, in the place of its own, and settles what counts by outcome.
    template <class Response>
    static void finish(const Answer& answer, Response& response) noexcept {
        answer.verdict.settle(static_cast<int>(response.result_int()));
        put_fields(answer, [&](const char* name, std::string_view value) {
            response.set(name, {value.data(), value.size()});
        });
    }

    const Guard& guard() const noexcept { return guard_; }

private:
    Guard guard_;
    Identify identify_;
};

}  // namespace sluice::http

#endif
