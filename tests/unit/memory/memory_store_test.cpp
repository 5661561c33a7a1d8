// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include <sluice/memory/detail/pages.hpp>
#include <sluice/memory/memory_store.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::nanoseconds start{1'767'225'600'000'000'000};

template <class P>
using Store = sluice::MemoryStore<P, sluice::ManualClock>;

}  // namespace

TEST_CASE("max_keys is checked") {
    using Bucket = Store<sluice::TokenBucket>;
    CHECK(Bucket{}.max_keys() == 1'048'576);
    CHECK(Bucket{{.max_keys = 1}}.max_keys() == 1);
    constexpr std::size_t most = std::size_t{1} << (sizeof(std::size_t) == 8 ? 32 : 24);
    CHECK_THROWS_WITH((Bucket{{.max_keys = 0}}),
                      contains_text("max_keys must be from 1 to " + std::to_string(most) + ", not 0"));
    CHECK_THROWS_AS((Bucket{{.max_keys = most + 1}}), std::invalid_argument);
    // More bytes than a size can tell.
    CHECK_THROWS_AS(sluice::detail::ZeroedWords{~std::size_t{0} / sizeof(std::uint64_t) + 2}, std::bad_alloc);
}

TEST_CASE("only what is limited now takes a place") {
    const sluice::ManualClock clock{start};
    const sluice::RateLimiter limiter{sluice::TokenBucket{2, sluice::per_second(1)},
                                      Store<sluice::TokenBucket>{{}, clock}};
    const auto keys = [&] { return limiter.store().keys(); };
    CHECK(keys() == 0);
    static_cast<void>(limiter.peek("a"));
    static_cast<void>(limiter.refund("a", 1));
    static_cast<void>(limiter.reset("a"));
    static_cast<void>(limiter.try_consume("a", 0));
    static_cast<void>(limiter.try_consume("a", 3));
    CHECK(keys() == 0);  // nothing was consumed
    CHECK(limiter.try_consume("a"));
    CHECK(limiter.try_consume("a"));
    CHECK(keys() == 1);
    CHECK(limiter.try_consume("b"));
    CHECK(keys() == 2);
}

TEST_CASE("a flood of keys that expire leaves no more memory than live keys need") {
    const sluice::ManualClock clock{start};
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::Rate{1, 1ms}},
                                      Store<sluice::TokenBucket>{{}, clock}};
    std::size_t most = 0;
    for (int i = 0; i != 200'000; ++i) {
        clock.advance(1us);  // a thousand live ones at any time
        REQUIRE(limiter.try_consume("flood " + std::to_string(i)));
        most = std::max(most, limiter.store().keys());
    }
    CHECK(limiter.store().reclaimed() >= 100'000);
    CHECK(most < 100'000);
    CHECK(limiter.store().overflowed() == 0);
}

TEST_CASE("after a flood of live keys the table shrinks as new keys come") {
    const sluice::ManualClock clock{start};
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_second(1)},
                                      Store<sluice::TokenBucket>{{.max_keys = 100'000}, clock}};
    for (int i = 0; i != 100'000; ++i) REQUIRE(limiter.try_consume("flood " + std::to_string(i)));
    REQUIRE(limiter.store().keys() == 100'000);
    clock.advance(1s);
    for (int i = 0; i != 400'000; ++i) {
        clock.advance(1ms);  // a thousand live ones at any time
        REQUIRE(limiter.try_consume("later " + std::to_string(i)));
    }
    CHECK(limiter.store().keys() < 20'000);
}

TEST_CASE("max_keys holds exactly") {
    for (const std::size_t max_keys : {1U, 2U, 3U, 63U, 64U, 65U, 1'000U, 4'096U, 10'000U}) {
        const sluice::ManualClock clock{start};
        const sluice::RateLimiter limiter{
            sluice::TokenBucket{1, sluice::per_day(1)},
            Store<sluice::TokenBucket>{{.max_keys = max_keys, .on_full = sluice::OnFull::deny}, clock}};
        std::size_t admitted = 0;
        for (std::size_t i = 0; i != 2 * max_keys; ++i)
            admitted += limiter.try_consume(std::to_string(i)).allowed ? 1 : 0;
        CHECK(admitted == max_keys);
        CHECK(limiter.store().keys() == max_keys);
        CHECK(limiter.store().overflowed() == max_keys);
    }
}

TEST_CASE("an overflow state is shared, and a key that moves to a slot gains one capacity at most") {
    const sluice::ManualClock clock{start};
    const sluice::RateLimiter limiter{sluice::TokenBucket{5, sluice::per_day(1)},
                                      Store<sluice::TokenBucket>{{.max_keys = 1}, clock}};
    REQUIRE(limiter.try_consume("first"));
    for (std::uint64_t left = 5; left-- != 0;) {  // one overflow state for so small a store
        const auto decision = limiter.try_consume("new " + std::to_string(left));
        CHECK(decision.allowed);
        CHECK_FALSE(decision.error);
        CHECK(decision.remaining == left);
    }
    CHECK_FALSE(limiter.try_consume("late"));
    CHECK(limiter.try_consume("first").remaining == 3);
    static_cast<void>(limiter.reset("first"));
    CHECK(limiter.try_consume("late").remaining == 4);
}

namespace {

/// A bucket that counts how often somebody asks when a word expires, as whoever looks for expired states does.
struct CountingBucket : sluice::TokenBucket {
    using TokenBucket::TokenBucket;
    static std::chrono::nanoseconds word_expires_at(std::uint64_t word) noexcept {
        ++looks;
        return TokenBucket::word_expires_at(word);
    }
    static inline std::uint64_t looks = 0;
};

}  // namespace

TEST_CASE("a new key at a full store costs a look at a few dozen states, even where none has expired") {
    constexpr std::size_t max_keys = 20'000;
    const sluice::ManualClock clock{start};
    const sluice::RateLimiter limiter{CountingBucket{10, sluice::per_second(1)},
                                      Store<CountingBucket>{{.max_keys = max_keys}, clock}};
    for (std::size_t i = 0; i != max_keys; ++i) REQUIRE(limiter.try_consume(std::to_string(i)));
    clock.advance(900ms);
    for (std::size_t i = 0; i != max_keys; ++i) REQUIRE(limiter.try_consume(std::to_string(i)));
    clock.advance(200ms);  // all would have expired by now, had they not been asked for once more
    std::uint64_t most = 0;
    for (std::size_t i = 0; i != 2 * max_keys; ++i) {
        CountingBucket::looks = 0;
        static_cast<void>(limiter.try_consume("new " + std::to_string(i)));
        most = std::max(most, CountingBucket::looks);
    }
    CHECK(limiter.store().overflowed() == 2 * max_keys);
    CHECK(most < 128 + 3 * 128);  // the sweep, and three probes for a place
}

TEST_CASE("an overflow state's slot is no key's: max_keys holds") {
    const sluice::ManualClock clock{start};
    const sluice::TokenBucket daily{1, sluice::per_day(1)};
    for (const std::size_t max_keys : {1U, 2U, 64U}) {
        const Store<sluice::TokenBucket> store{{.max_keys = max_keys}, clock};
        const sluice::RateLimiter brief{sluice::TokenBucket{1, sluice::per_second(1)}, store, {.name = "brief"}};
        const sluice::RateLimiter limiter{daily, store};
        for (std::size_t i = 0; i != max_keys; ++i) REQUIRE(limiter.try_consume(std::to_string(i)));
        for (int i = 0; i != 100; ++i) static_cast<void>(brief.try_consume(std::to_string(i)));  // overflow states
        clock.advance(2s);
        std::size_t own = 0;  // keys that are used up on their own account
        for (int i = 0; i != 1'000; ++i) static_cast<void>(limiter.try_consume("new " + std::to_string(i)));
        clock.advance(1s);
        for (std::size_t i = 0; i != max_keys; ++i) own += limiter.peek(std::to_string(i)).allowed ? 0U : 1U;
        for (int i = 0; i != 1'000; ++i) own += limiter.peek("new " + std::to_string(i)).allowed ? 0U : 1U;
        CHECK(own == max_keys);
    }
}

TEST_CASE("states of two policies of one type do not mix, whatever form they take") {
    const sluice::ManualClock clock{start};
    const sluice::FixedWindow word{1'000, 1s};
    const sluice::FixedWindow wide{1'000'000'000, 1s};
    REQUIRE(word.fits_word());
    REQUIRE_FALSE(wide.fits_word());
    const sluice::RateLimiter limiter{word, Store<sluice::FixedWindow>{{}, clock}};
    CHECK(limiter.try_consume("key", 400).remaining == 600);
    CHECK(limiter.try_consume("key", 400, wide).remaining == 999'999'600);
    CHECK(limiter.try_consume("key", 400).remaining == 200);
    CHECK(limiter.try_consume("key", 400, wide).remaining == 999'999'200);
    clock.advance(1s);
    CHECK(limiter.try_consume("key", 1'000).remaining == 0);
    CHECK(limiter.peek("key", 1, wide).remaining == 1'000'000'000);
}

TEST_CASE("copies are handles of one store, and a store can be moved") {
    const sluice::ManualClock clock{start};
    const sluice::TokenBucket policy{1, sluice::per_day(1)};
    Store<sluice::TokenBucket> store{{}, clock};
    const Store<sluice::TokenBucket> copy = store;
    const sluice::RateLimiter limiter{policy, std::move(store)};
    CHECK(limiter.try_consume("key"));
    CHECK(copy.keys() == 1);
    CHECK_FALSE(sluice::RateLimiter{policy, copy}.try_consume("key"));
    CHECK(copy.clock().now() == start);
}

TEST_CASE("the time may come from the caller") {
    const sluice::TokenBucket policy{1, sluice::per_second(1)};
    const Store<sluice::TokenBucket> store;
    const sluice::Scope<sluice::TokenBucket> scope{"", policy};
    CHECK(store.decide_at({scope, "key"}, 10s).allowed);
    CHECK_FALSE(store.decide_at({scope, "key"}, 10s + 999ms).allowed);
    CHECK(store.decide_at({scope, "key"}, 11s).allowed);
}
