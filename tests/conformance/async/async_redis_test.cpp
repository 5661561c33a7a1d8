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
#include "support/redis_cluster.hpp"
#include "support/redis_sentinels.hpp"

namespace {

/// An AsyncRedis for each thread, and a small event loop around it, on the test's clock.
struct LoopStore {
    std::string url;
    std::string prefix;
    sluice::ManualClock clock;

    const sluice::AsyncRedis& redis() const {
        struct Mine {
            std::string prefix;
            sluice::AsyncRedis redis;
        };
        thread_local std::unique_ptr<Mine> mine;
        if (mine == nullptr || mine->prefix != prefix) {
            const sluice::RedisOptions patient{
                .timeout = std::chrono::seconds{10}, .prefix = prefix, .max_waiting = 1'000'000};
            mine = std::make_unique<Mine>(Mine{prefix, sluice::AsyncRedis{url, patient}});
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

/// Where the servers are; the suite is compiled once for all.
enum class Where { server, cluster, sentinels };
Where where = Where::server;

struct AsyncRedisKit : conformance::RedisKit {
    static constexpr int sequences = 50;
    static constexpr int requests_per_thread = slow_build ? 500 : 1'000;

    const std::string prefix = "sluice" + std::to_string(++count);

    template <sluice::Policy P>
    auto store() {
        return LoopStore{url(), prefix, clock};
    }

private:
    static inline int count = 0;

    std::string url() {
        if (where == Where::server) return server.url();
        if (where == Where::cluster) {
            static RedisCluster cluster{3};  // takes long to begin
            return cluster.url();
        }
        static RedisSentinels sentinels{0, 1};
        return sentinels.url();
    }
};

}  // namespace

TEST_CASE("the Redis client for event loops conforms") {
    where = GENERATE(Where::server, Where::cluster, Where::sentinels);
    conformance::suite<AsyncRedisKit>();
}
