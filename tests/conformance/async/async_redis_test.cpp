// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "conformance/redis_kit.hpp"
#include "conformance/suite.hpp"
#include "support/poll_loop.hpp"

namespace {

/// An AsyncRedis for each thread, and a small event loop around it, on the test's clock.
struct LoopStore {
    std::string url;
    sluice::ManualClock clock;

    const sluice::AsyncRedis& redis() const {
        struct Mine {
            std::string url;
            sluice::AsyncRedis redis;
        };
        thread_local std::unique_ptr<Mine> mine;
        if (mine == nullptr || mine->url != url) {
            const sluice::RedisOptions patient{.timeout = std::chrono::seconds{10}, .max_waiting = 1'000'000};
            mine = std::make_unique<Mine>(Mine{url, sluice::AsyncRedis{url, patient}});
        }
        return mine->redis;
    }

    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        return answer_to(redis(), [&](auto done) { redis().decide_async_at(request, clock.now(), done); });
    }
    /// All at once.
    template <sluice::Policy P>
    void decide_many(const sluice::Request<P>& request, std::span<const std::string_view> keys,
                     std::span<sluice::Decision> out) const noexcept {
        std::size_t left = keys.size();
        for (std::size_t i = 0; i != keys.size(); ++i) {
            redis().decide_async_at(with_scope(request, request.scope, keys[i]), clock.now(),
                                    [&left, &decision = out[i]](sluice::Decision answer) {
                                        decision = answer;
                                        --left;
                                    });
        }
        turn_until(redis(), [&] { return left == 0; });
    }
    template <sluice::Policy P>
    void check(const sluice::Scope<P>& scope) const {
        redis().check(scope);
    }
};

struct AsyncRedisKit : conformance::RedisKit {
    static constexpr int sequences = 100;
    static constexpr int requests_per_thread = slow_build ? 500 : 2'000;

    template <sluice::Policy P>
    auto store() {
        return LoopStore{server.url(), clock};
    }
};

}  // namespace

TEST_CASE("the Redis client for event loops conforms") { conformance::suite<AsyncRedisKit>(); }
