// SPDX-License-Identifier: MIT

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/layers/share.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

using namespace std::chrono_literals;
using sluice::share_of;

TEST_CASE("a share is the limit and the rate divided, exactly where they can be") {
    const auto bucket = share_of(sluice::TokenBucket{10, sluice::per_second(7)}, 4);
    CHECK(bucket.capacity() == 2);
    CHECK(bucket.refill() == sluice::Rate{7, 4s});
    const auto queue = share_of(sluice::LeakyBucket{20, sluice::per_second(5)}, 4);
    CHECK(queue.queue() == 5);
    CHECK(queue.drain() == sluice::Rate{5, 4s});
    CHECK(share_of(sluice::FixedWindow{1000, 24h}, 3).quota() == sluice::Quota{333, 24h});
    CHECK(share_of(sluice::SlidingWindow{5, 15min}, 2).quota() == sluice::Quota{2, 15min});
    CHECK(share_of(sluice::SlidingWindowCounter{100, 60s}, 1).quota() == sluice::Quota{100, 60s});
}

TEST_CASE("a share is never nothing") {
    CHECK(share_of(sluice::FixedWindow{3, 1s}, 100).limit() == 1);
    CHECK(share_of(sluice::TokenBucket{3, sluice::per_second(1)}, 100).capacity() == 1);
}

TEST_CASE("a share of several limits is several shares") {
    const auto all =
        share_of(sluice::AllOf{sluice::TokenBucket{10, sluice::per_second(1)}, sluice::FixedWindow{100, 1h}}, 5);
    CHECK(std::get<0>(all.policies()).capacity() == 2);
    CHECK(std::get<1>(all.policies()).limit() == 20);
}

TEST_CASE("every policy has a share, however extreme") {
    Random random{"shares"};
    const std::int64_t longest = std::int64_t{36525} * 24 * 3600 * 1'000'000'000;
    const int count = cases(100'000);
    for (int i = 0; i != count; ++i) {
        const auto period = random.magnitude<std::int64_t>(1, longest);
        const auto most = std::min(period, (std::int64_t{1} << 53) - 1);
        const sluice::Rate rate{random.magnitude<std::int64_t>(1, most), std::chrono::nanoseconds{period}};
        const auto capacity = random.magnitude<std::uint64_t>(1, (std::uint64_t{1} << 53) - 1);
        const auto instances = random.magnitude<std::uint32_t>(1, 1U << 20);
        const auto share = share_of(rate, instances);
        // Not less than the share, and more only by the rounding of the longest period.
        const auto given = static_cast<long double>(share.count()) / static_cast<long double>(share.period().count());
        const auto fair = static_cast<long double>(rate.count()) / static_cast<long double>(period) / instances;
        REQUIRE(given >= fair * (1 - 1e-15L));
        if (share.period().count() < longest) REQUIRE(given <= fair * (1 + 1e-15L));
        try {
            const sluice::TokenBucket bucket{capacity, rate};
            static_cast<void>(share_of(bucket, instances));  // would terminate if it threw
        } catch (const std::invalid_argument&) {             // no such bucket
        }
    }
}

TEST_CASE("processes with a share each admit the limit together") {
    using Bucket = sluice::TokenBucket;
    const sluice::ManualClock clock;
    std::vector<sluice::RateLimiter<Bucket, sluice::Share<sluice::MemoryStore<Bucket, sluice::ManualClock>>>> processes;
    for (int i = 0; i != 4; ++i) {
        processes.push_back({Bucket{8, sluice::per_second(2)},
                             sluice::Share{sluice::MemoryStore<Bucket, sluice::ManualClock>{{}, clock}, 4}});
    }
    const auto admitted = [&] {
        int count = 0;
        for (const auto& limiter : processes) {
            while (limiter.try_consume("key")) ++count;
        }
        return count;
    };
    CHECK(admitted() == 8);
    clock.advance(2s);
    CHECK(admitted() == 4);

    std::array<sluice::Decision, 2> decisions;
    clock.advance(1h);
    processes[0].try_consume_many(std::array<std::string_view, 2>{"key", "key"}, decisions);
    CHECK(decisions[1].allowed);
    CHECK(decisions[1].limit == 2);
    CHECK(decisions[1].remaining == 0);
    CHECK(processes[0].try_consume_at(2h, "key"));
}

TEST_CASE("a cost that only the whole limit holds is denied for a while, a larger one for ever") {
    const sluice::RateLimiter limiter{sluice::TokenBucket{8, sluice::per_second(2)},
                                      sluice::Share{sluice::MemoryStore<sluice::TokenBucket>{}, 4}};
    CHECK(limiter.try_consume("key", 2));
    CHECK(limiter.try_consume("key", 8).retry_after == 4s);  // two tokens at one in two seconds
    CHECK(limiter.try_consume("key", 9).retry_after == sluice::Decision::never);
}

TEST_CASE("units are taken from a share, and given back to it") {
    const sluice::ManualClock clock;
    using Memory = sluice::MemoryStore<sluice::LeakyBucket, sluice::ManualClock>;
    const sluice::Share share{Memory{{}, clock}, 4};
    const sluice::LeakyBucket policy{8, sluice::per_second(8), 4};
    CHECK(share_of(policy, 4).burst() == 1);
    CHECK(share_of(policy, 2).burst() == 2);
    STATIC_REQUIRE(sluice::SettlingStore<sluice::Share<Memory>, sluice::LeakyBucket>);
    sluice::Request<sluice::LeakyBucket> request{{"", policy}, "key", 5, sluice::Operation::take};
    const auto taken = share.consume(request);
    CHECK(taken.units == 2);
    request.operation = sluice::Operation::give_back;
    request.units = 1;
    request.consumed_at = taken.at;
    CHECK_FALSE(share.decide(request).error);
    request.operation = sluice::Operation::consume;
    request.max_delay = 499ms;
    CHECK(share.consume(request).decision.retry_after == 1ms);
    share.consume_async(request, [](const sluice::Consumption& told) { CHECK(told.decision.retry_after == 1ms); });
    request.max_delay = 500ms;
    CHECK(share.decide(request).delay == 500ms);
}

TEST_CASE("a number of instances is checked") {
    using Memory = sluice::MemoryStore<sluice::TokenBucket>;
    CHECK_THROWS_AS((sluice::Share{Memory{}, 0}), std::invalid_argument);
    CHECK_THROWS_AS((sluice::Share{Memory{}, -1}), std::invalid_argument);
    CHECK_THROWS_AS((sluice::Share{Memory{}, (1 << 20) + 1}), std::invalid_argument);
}
