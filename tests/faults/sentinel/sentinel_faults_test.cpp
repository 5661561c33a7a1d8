// SPDX-License-Identifier: MIT

#include <atomic>
#include <iostream>
#include <string>

#include "faults/redis/faults.hpp"
#include "support/redis_sentinels.hpp"
#include "support/threads.hpp"

namespace {

sluice::RedisStore store_on(const RedisSentinels& sentinels, std::chrono::milliseconds limit = patience) {
    return sluice::RedisStore{sentinels.url(), {.timeout = limit}};
}
Limiter limiter_on(const sluice::RedisStore& store) {
    return Limiter{sluice::FixedWindow{1'000'000, 24h}, store, {.name = "sentinel"}};
}

void open_all_connections(const Limiter& limiter) {
    while (limiter.store().stats().connections != 3)
        run_threads(8, [&](int) { static_cast<void>(limiter.try_consume("warm up")); });
}

struct Count {
    std::uint64_t decided, failed;
};

/// Decides for a while with many threads.
Count decide_for(const Limiter& limiter, const std::string& key, std::chrono::milliseconds time) {
    std::atomic<std::uint64_t> decided{0}, failed{0};
    const auto end = std::chrono::steady_clock::now() + time;
    run_threads(8, [&](int) {
        while (std::chrono::steady_clock::now() < end) {
            ++(limiter.try_consume(key).error ? failed : decided);
            std::this_thread::sleep_for(2ms);
        }
    });
    return {decided, failed};
}
std::uint64_t used(const Limiter& limiter, const std::string& key) {
    const auto decision = limiter.peek(key);
    REQUIRE_FALSE(decision.error);
    return 1'000'000 - decision.remaining;
}

/// Once the sentinels have named another master, and it is asked: what is decided then is counted there, all of it. Whatever
/// the old one counted on its own would be missing.
void counts_on_the_new_master(const Limiter& limiter, const std::string& key, std::chrono::milliseconds time) {
    const auto [decided, failed] = decide_for(limiter, key, time);
    CHECK(decided > 0);
    CHECK(used(limiter, key) >= decided);
    CHECK(used(limiter, key) <= decided + failed);  // those that were answered too late
}

}  // namespace

TEST_CASE("a master that is killed under load, and comes back empty") {
    RedisSentinels sentinels;
    const auto store = store_on(sentinels, timeout);
    const Limiter limiter = limiter_on(store);
    open_all_connections(limiter);
    const auto before = decide_for(limiter, "count", 300ms);
    CHECK(used(limiter, "count") >= before.decided);
    std::size_t next = 0;
    std::uint64_t failed = 0;
    const LoadReport report = run_load(limiter, FailureMode::allow, [&] {
        pause_for(200ms);
        sentinels.node(0).kill();
        const auto killed = std::chrono::steady_clock::now();
        next = sentinels.wait_for_verdict(0);
        const auto verdict = std::chrono::steady_clock::now();
        Recovery recovery{limiter};
        CHECK(recovery.is_quick());
        const auto now = std::chrono::steady_clock::now();
        std::cout << "verdict " << (verdict - killed) / 1ms << " ms after the kill, first decision "
                  << (now - verdict) / 1ms << " ms after the verdict\n";
        failed = recovery.failed();
    });
    INFO(report.text());
    CHECK(report.mismatched == 0);
    CHECK(report.is_in_time(timeout));

    // Replication does not wait, so that what the last acknowledged decisions counted may be lost; nothing is counted twice.
    CHECK(used(limiter, "count") <= before.decided + before.failed);

    sentinels.node(0).restart();
    CHECK(sentinels.node(0).command({"ROLE"}).rfind("master", 0) == 0);  // as it believes
    counts_on_the_new_master(limiter, "after the restart", 1'500ms);
    CHECK(sentinels.node(0).command({"INFO", "commandstats"}).find("cmdstat_eval") == std::string::npos);
    CHECK(sentinels.named() == next);
}

TEST_CASE("a master that is frozen under load, replaced, and wakes") {
    RedisSentinels sentinels;
    const auto store = store_on(sentinels, timeout);
    const Limiter limiter = limiter_on(store);
    open_all_connections(limiter);
    const LoadReport report = run_load(limiter, FailureMode::allow, [&] {
        pause_for(200ms);
        sentinels.node(0).freeze();
        sentinels.wait_for_verdict(0);
        Recovery recovery{limiter};
        CHECK(recovery.is_quick());
        sentinels.node(0).thaw();
        pause_for(200ms);
    });
    INFO(report.text());
    CHECK(report.mismatched == 0);
    CHECK(report.of(Errc::timeout) > 0);
    counts_on_the_new_master(limiter, "after", 1s);
}

TEST_CASE("a master that is frozen, replaced and wakes while nobody asks") {
    RedisSentinels sentinels;
    const auto store = store_on(sentinels);
    const Limiter limiter = limiter_on(store);
    open_all_connections(limiter);
    sentinels.node(0).freeze();
    sentinels.wait_for_verdict(0);
    sentinels.node(0).thaw();
    CHECK(sentinels.node(0).command({"ROLE"}).rfind("master", 0) == 0);  // as it believes
    // The connections are as they were, and idle: nothing has failed.
    CHECK(limiter.store().stats().connections == 3);
    counts_on_the_new_master(limiter, "after", 1s);
    CHECK(limiter.store().stats().failures == 0);
}

TEST_CASE("a failover that an operator orders") {
    RedisSentinels sentinels;
    const auto store = store_on(sentinels);
    const Limiter limiter = limiter_on(store);
    open_all_connections(limiter);
    const LoadReport report = run_load(limiter, FailureMode::allow, [&] {
        pause_for(200ms);
        CHECK(sentinels.sentinel(0).command({"SENTINEL", "FAILOVER", RedisSentinels::name}) == "OK");
        sentinels.wait_for_verdict(0);
        Recovery recovery{limiter};
        CHECK(recovery.is_quick());
        pause_for(1'100ms);  // nothing fails, so that the sentinels have to be asked anew
    });
    INFO(report.text());
    CHECK(report.mismatched == 0);
    counts_on_the_new_master(limiter, "after", 500ms);
}

TEST_CASE("sentinels that are away are not missed while the master is well") {
    RedisSentinels sentinels{1};
    const auto store = store_on(sentinels);
    const Limiter limiter = limiter_on(store);
    open_all_connections(limiter);
    sentinels.sentinel(0).kill();
    sentinels.sentinel(1).freeze();
    pause_for(1'100ms);
    counts_on_the_new_master(limiter, "one is left", 1'200ms);
    sentinels.sentinel(2).kill();
    pause_for(1'100ms);
    counts_on_the_new_master(limiter, "none is left", 2'200ms);
    CHECK(limiter.store().stats().failures == 0);
    CHECK(store_on(sentinels).ping(timeout));
    sentinels.sentinel(1).thaw();
    CHECK_FALSE(store_on(sentinels).ping(1s));
}
