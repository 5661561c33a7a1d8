// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

#include <sluice/asio.hpp>

#include "conformance/redis_kit.hpp"
#include "conformance/suite.hpp"

namespace {

/// An io_context for each thread, and coroutines in it, on the test's clock.
struct CoroutineStore {
    std::string url;
    sluice::ManualClock clock;

    struct Loop {
        explicit Loop(const std::string& of_server)
            : url(of_server), redis(io, url, {.timeout = std::chrono::seconds{10}, .max_waiting = 1'000'000}) {}
        std::string url;
        asio::io_context io{1};
        sluice::AsioRedis redis;
    };
    Loop& loop() const {
        thread_local std::unique_ptr<Loop> mine;
        if (mine == nullptr || mine->url != url) mine = std::make_unique<Loop>(url);
        return *mine;
    }

    template <sluice::Policy P>
    asio::awaitable<sluice::Decision> ask(const sluice::Request<P>& request) const {
        return asio::async_initiate<const asio::use_awaitable_t<>&, void(sluice::Decision)>(
            [this, &request](auto handler) { loop().redis.decide_async_at(request, clock.now(), std::move(handler)); },
            asio::use_awaitable);
    }

    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        sluice::Decision decision;
        decide_many(request, {&request.key, 1}, {&decision, 1});
        return decision;
    }
    template <sluice::Policy P>
    void decide_many(const sluice::Request<P>& request, std::span<const std::string_view> keys,
                     std::span<sluice::Decision> out) const noexcept {
        for (std::size_t i = 0; i != keys.size(); ++i) {
            asio::co_spawn(
                loop().io,
                [this, &request, key = keys[i], &decision = out[i]]() -> asio::awaitable<void> {
                    const auto own = with_scope(request, request.scope, key);
                    decision = co_await ask(own);
                },
                asio::detached);
        }
        loop().io.restart();
        loop().io.run();
    }
    template <sluice::Policy P>
    void check(const sluice::Scope<P>& scope) const {
        loop().redis.check(scope);
    }
};

struct AsioRedisKit : conformance::RedisKit {
    static constexpr int sequences = 100;
    static constexpr int requests_per_thread = slow_build ? 500 : 2'000;

    template <sluice::Policy P>
    auto store() {
        return CoroutineStore{server.url(), clock};
    }
};

}  // namespace

TEST_CASE("coroutines of Asio conform") { conformance::suite<AsioRedisKit>(); }
