// SPDX-License-Identifier: MIT

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>
#include <sluice/tls.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/poll_loop.hpp"
#include "support/redis_cluster.hpp"

using namespace std::chrono_literals;
using sluice::Errc;

TEST_CASE("a cluster over TLS") {
    const Certificates files;
    RedisCluster cluster{3, false, {"--user", "limiter", "on", ">secret", "allkeys", "allcommands"}, &files};
    std::string url = cluster.url();
    url.insert(url.find("//") + 2, "limiter:secret@");
    const sluice::RedisStore store{url, {.timeout = 10s, .tls = sluice::Tls{.ca_file = files.ca()}}};
    const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_hour(1)}, store, {.name = "cluster"}};
    std::vector<std::string> keys;
    for (int i = 0; i != 300; ++i) keys.push_back("key" + std::to_string(i));
    std::vector<sluice::Decision> decisions(keys.size());
    limiter.try_consume_many(keys, decisions);
    for (const auto& decision : decisions) {
        CHECK_FALSE(decision.error);
        CHECK(decision.remaining == 9);
    }
    const std::size_t owner = cluster.first_owner(keys[0]);
    cluster.move(sluice::detail::redis::slot_of(keys[0]), owner, (owner + 1) % 3);
    for (const auto& key : keys) CHECK(limiter.try_consume(key).remaining == 8);
    const sluice::AsyncRedis redis{url, {.timeout = 10s, .tls = sluice::Tls{.ca_file = files.ca()}}};
    const sluice::RateLimiter loop{sluice::TokenBucket{10, sluice::per_hour(1)}, redis, {.name = "cluster"}};
    std::size_t answered = 0;
    for (const auto& key : keys) {
        loop.async_try_consume(key, 1, [&](sluice::Decision decision) {
            CHECK(decision.remaining == 7);
            ++answered;
        });
    }
    turn_until(redis, [&] { return answered == keys.size(); });
    CHECK(redis.stats().failures == 0);
    CHECK(redis.stats().connections >= 3);
    CHECK(store.stats().failures == 0);
    CHECK(store.ping(10s) == std::error_code{});

    const sluice::RedisStore careful{cluster.url(), {.timeout = 10s, .tls = sluice::Tls{}}};
    CHECK(careful.ping(10s) == Errc::certificate_untrusted);
    const sluice::RateLimiter other{sluice::TokenBucket{10, sluice::per_hour(1)}, careful};
    CHECK(other.try_consume("key").error == Errc::certificate_untrusted);
}
