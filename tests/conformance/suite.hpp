// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_SUITE_HPP
#define SLUICE_TESTS_CONFORMANCE_SUITE_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/sluice.hpp>

#include "conformance/settling.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

// What every store must do, with every policy. A store's test file makes a kit (see memory_kit.hpp) and calls
// conformance::suite<Kit>() in a TEST_CASE. Times are whole microseconds, so that stores counting those are exact too.
namespace conformance {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

inline constexpr nanoseconds start = std::chrono::seconds{1'767'225'600};  // 2026-01-01, an edge of every window below

/// A limiter under test. Its type is erased, so that the checks are compiled once and not for every policy and store.
struct Subject {
    sluice::AnyLimiter limiter;
    std::function<void(nanoseconds)> set_time;
    nanoseconds resolution;
    std::size_t longest_key;
    bool clock_stands = true;  ///< between two calls, unless the test sets it

    /// Whether two decisions are equal, but for what the time in between changes.
    bool agree(const sluice::Decision& a, const sluice::Decision& b) const {
        return clock_stands ? a == b : a.allowed == b.allowed && a.remaining == b.remaining && a.error == b.error;
    }
};

/// Calls f(policy, limiter name) with one policy of each kind, all of limit 5 and idle again after twenty seconds.
template <class F>
void for_each_policy(const std::string& test, F f) {
    const auto call = [&](const auto& policy) {
        const std::string name = test + "/" + std::string{policy.kind};
        INFO(name);
        f(policy, name);
    };
    call(sluice::TokenBucket{5, sluice::per_second(2)});
    call(sluice::LeakyBucket{5, sluice::per_second(2)});
    call(sluice::FixedWindow{5, 10s});
    call(sluice::SlidingWindow{5, 10s});
    call(sluice::SlidingWindowCounter{5, 10s});
    call(sluice::AllOf{sluice::TokenBucket{5, sluice::per_second(2)}, sluice::FixedWindow{7, 10s}});
}

/// The same with policies of limit 5 to which a minute is nothing, and whose windows have no edge near.
template <class F>
void for_each_slow_policy(const std::string& test, F f) {
    constexpr auto century = std::chrono::hours{24} * 36'500;  // the current one ends in 2069
    constexpr auto decades = std::chrono::hours{24} * 12'000;  // in 2035, and fits a word
    const auto call = [&](const auto& policy, const char* what) { f(policy, test + "/" + what); };
    call(sluice::TokenBucket{5, sluice::per_day(1)}, "token_bucket");
    call(sluice::LeakyBucket{5, sluice::per_day(1)}, "leaky_bucket");
    call(sluice::FixedWindow{5, decades}, "fixed_window");
    call(sluice::FixedWindow{5, century}, "fixed_window of two words");
    call(sluice::SlidingWindow{5, century}, "sliding_window");
    call(sluice::SlidingWindowCounter{5, decades}, "sliding_window_counter");
    call(sluice::SlidingWindowCounter{5, century}, "sliding_window_counter of three words");
    call(sluice::AllOf{sluice::TokenBucket{5, sluice::per_day(1)}, sluice::FixedWindow{7, century}}, "all_of");
}

/// Calls check(subject) with a limiter of each policy; the clock stands at `start`.
template <class Kit>
void check_each(Kit& kit, const std::string& test, void (*check)(const Subject&)) {
    for_each_policy(test, [&](const auto& policy, const std::string& name) {
        kit.clock.set(start);
        auto store = kit.template store<std::decay_t<decltype(policy)>>();
        check({sluice::RateLimiter{policy, std::move(store), {.name = name}},
               [clock = kit.clock](nanoseconds now) { clock.set(now); }, Kit::resolution, Kit::longest_key});
    });
}

inline void decides_as_announced(const Subject& subject) {
    const auto& limiter = subject.limiter;
    for (std::uint64_t left = 5; left-- > 0;) {
        const auto decision = limiter.try_consume("key");
        REQUIRE(decision);
        REQUIRE_FALSE(decision.error);
        REQUIRE(decision.limit == 5);
        REQUIRE(decision.remaining == left);
        REQUIRE(decision.retry_after == 0ns);
        REQUIRE(decision.reset_after > 0ns);
    }
    const auto denied = limiter.try_consume("key", 3);
    REQUIRE_FALSE(denied);
    REQUIRE_FALSE(denied.error);
    REQUIRE(denied.remaining == 0);
    REQUIRE(denied.retry_after > 0ns);
    REQUIRE(limiter.try_consume("other key").remaining == 4);

    subject.set_time(start + denied.retry_after - subject.resolution);
    REQUIRE_FALSE(limiter.try_consume("key", 3));
    subject.set_time(start + denied.retry_after);
    REQUIRE(limiter.try_consume("key", 3));

    const auto busy = limiter.peek("key");
    subject.set_time(start + denied.retry_after + busy.reset_after);
    REQUIRE(limiter.peek("key").remaining == 5);
    REQUIRE(limiter.peek("key").reset_after == 0ns);
    REQUIRE(limiter.try_consume("key", 5));
}

inline void knows_never_and_nothing(const Subject& subject) {
    const auto& limiter = subject.limiter;
    REQUIRE(limiter.try_consume("key", 0));
    REQUIRE(limiter.try_consume("key", 2).remaining == 3);
    for (const std::uint64_t cost : {std::uint64_t{6}, std::uint64_t{1} << 53, ~std::uint64_t{0}}) {
        const auto decision = limiter.try_consume("key", cost);
        REQUIRE_FALSE(decision);
        REQUIRE(decision.retry_after == sluice::Decision::never);
        REQUIRE(decision.remaining == 3);
    }
    REQUIRE(limiter.try_consume("key", 0).remaining == 3);
    REQUIRE_FALSE(limiter.try_consume("key", 4));
    REQUIRE(limiter.try_consume("key", 3).remaining == 0);
    REQUIRE(limiter.try_consume("key", 0).allowed);
}

inline void peeks_refunds_and_resets(const Subject& subject) {
    const auto& limiter = subject.limiter;
    REQUIRE(limiter.peek("key").remaining == 5);
    REQUIRE(limiter.peek("key").reset_after == 0ns);
    REQUIRE(limiter.peek("key", 6).retry_after == sluice::Decision::never);
    REQUIRE_FALSE(limiter.refund("key", 3));  // of a key never seen
    REQUIRE(limiter.try_consume("key", 4).remaining == 1);

    const auto peeked = limiter.peek("key", 2);
    REQUIRE_FALSE(peeked);
    REQUIRE(peeked.remaining == 1);
    REQUIRE(subject.agree(limiter.peek("key", 2), peeked));
    REQUIRE(subject.agree(limiter.try_consume("key", 2), peeked));

    REQUIRE_FALSE(limiter.refund("key", 2));
    REQUIRE(limiter.peek("key").remaining == 3);
    REQUIRE_FALSE(limiter.refund("key", 1000));
    REQUIRE(limiter.peek("key").remaining == 5);
    REQUIRE_FALSE(limiter.refund("key", ~std::uint64_t{0}));
    REQUIRE(limiter.try_consume("key", 5).remaining == 0);

    REQUIRE_FALSE(limiter.reset("key"));
    REQUIRE(limiter.peek("key").remaining == 5);
    REQUIRE_FALSE(limiter.reset("key never seen"));
    REQUIRE(limiter.try_consume("key", 5));
}

inline void takes_any_key(const Subject& subject) {
    using namespace std::string_view_literals;
    const std::string longest(subject.longest_key, 'x');
    std::string nearly = longest;
    nearly.back() = 'y';
    const std::vector<std::string_view> keys = {
        "",
        "\0"sv,
        "\0\0"sv,
        "a",
        "a\0"sv,
        "a\0b"sv,
        " a",
        "a ",
        "{a}",
        "{a}b",
        "\r\n",
        "\xff\xfe",
        "%s%n",
        "key:1",
        "key",
        "1234567",
        "12345678",
        "123456789",
        "0123456789abcdef",
        longest,
        nearly,
    };
    for (const auto key : keys) {
        const auto decision = subject.limiter.try_consume(key, 2);
        REQUIRE_FALSE(decision.error);
        REQUIRE(decision.remaining == 3);
    }
    for (const auto key : keys) REQUIRE(subject.limiter.try_consume(key, 3).remaining == 0);
}

inline void decides_many_in_order(const Subject& subject) {
    std::vector<std::string> names;
    for (int i = 0; i != 100; ++i)
        names.push_back("key" + std::to_string(i % 20 == 0 ? 0 : i));  // one comes five times
    const std::vector<std::string_view> keys{names.begin(), names.end()};
    std::vector<sluice::Decision> decisions(keys.size());
    subject.limiter.try_consume_many(keys, decisions);
    for (std::size_t i = 0; i != keys.size(); ++i) {
        REQUIRE(decisions[i]);
        REQUIRE(decisions[i].remaining == (i % 20 == 0 ? 4 - i / 20 : 4));
    }
    subject.limiter.try_consume_many(keys, decisions);
    for (std::size_t i = 0; i != keys.size(); ++i) {
        REQUIRE(decisions[i].allowed == (i % 20 != 0));
        REQUIRE((decisions[i].retry_after > 0ns) == (i % 20 == 0));
    }
    subject.limiter.try_consume_many({}, {});

    decisions.resize(3);
    subject.limiter.try_consume_many(keys, decisions);
    for (const auto& decision : decisions) REQUIRE(decision.error == sluice::Errc::invalid_argument);
    REQUIRE(subject.limiter.peek("key1").remaining == 3);
}

inline void survives_a_clock_that_goes_back(const Subject& subject) {
    const auto& limiter = subject.limiter;
    subject.set_time(start + 1h);
    REQUIRE(limiter.try_consume("key", 5));
    subject.set_time(start);
    const auto denied = limiter.try_consume("key");
    REQUIRE_FALSE(denied);
    REQUIRE(denied.retry_after <= 20s);
    subject.set_time(start + denied.retry_after);
    REQUIRE(limiter.try_consume("key"));
    subject.set_time(start + 2h);
    REQUIRE(limiter.try_consume("key", 5));
    REQUIRE_FALSE(limiter.try_consume("key"));
}

template <class Kit>
void keeps_states_apart(Kit& kit) {
    kit.clock.set(start);
    using Bucket = sluice::TokenBucket;
    const auto store = kit.template store<Bucket>();
    const Bucket basic{5, sluice::per_second(2)};
    const Bucket more{50, sluice::per_second(20)};
    const sluice::RateLimiter limiter{basic, store, {.name = "apart"}};
    const sluice::RateLimiter same_name{basic, store, {.name = "apart"}};
    const sluice::RateLimiter other_name{basic, store, {.name = "apart too"}};
    const sluice::RateLimiter other_rules{more, store, {.name = "apart"}};
    REQUIRE(limiter.try_consume("key", 5));
    REQUIRE_FALSE(same_name.try_consume("key"));  // copies of a store share it
    REQUIRE(other_name.try_consume("key").remaining == 4);
    REQUIRE(other_rules.try_consume("key").remaining == 49);

    REQUIRE(limiter.try_consume("key", 1, more).remaining == 48);  // a tier
    REQUIRE(limiter.peek("key", 1, more).remaining == 48);
    REQUIRE_FALSE(limiter.refund("key", 1, more));
    REQUIRE(limiter.peek("key", 1, more).remaining == 49);
    REQUIRE_FALSE(limiter.reset("key", more));
    REQUIRE(limiter.peek("key", 1, more).remaining == 50);
    REQUIRE_FALSE(limiter.try_consume("key"));

    sluice::AnyLimiter erased{sluice::RateLimiter{basic, store, {.name = "apart"}}};
    REQUIRE_FALSE(erased.try_consume("key"));
    REQUIRE(erased.quota() == basic.quota());
}

/// Random operations on a few keys: the store answers as the bare policy does on a state kept here.
template <class Kit>
void equals_the_bare_policy(Kit& kit) {
    Random random{"conformance"};
    const int sequences = cases(Kit::sequences);
    for_each_policy("bare", [&](const auto& policy, const std::string& name) {
        using P = std::decay_t<decltype(policy)>;
        const auto store = kit.template store<P>();
        const std::string run = name + std::to_string(random.bits());
        for (int i = 0; i != sequences; ++i) {
            const sluice::AnyLimiter limiter =
                sluice::RateLimiter{policy, store, {.name = run + "/" + std::to_string(i)}};
            std::map<std::string, typename P::State> states;
            nanoseconds now = start + std::chrono::microseconds{random.between(0, 20'000'000)};
            nanoseconds latest = now;
            for (int operation = 0; operation != 50; ++operation) {
                now += std::chrono::microseconds{random.one_in(2) ? 0 : random.magnitude(1, 5'000'000)};
                latest = std::max(latest, now);
                if (random.one_in(8)) now = latest - std::chrono::microseconds{random.magnitude(1, 5'000'000)};  // late
                kit.clock.set(now);
                const std::string key = random.pick("a", "b", "c");
                const std::uint64_t units = random.between<std::uint64_t>(0, 6);
                auto& state = states[key];
                switch (random.between(0, 9)) {
                    case 0:
                        if (limiter.refund(key, units)) FAIL("refund");
                        policy.refund(state, now, units);
                        break;
                    case 1:
                        if (limiter.reset(key)) FAIL("reset");
                        state = {};
                        break;
                    case 2: {
                        const auto expected = sluice::peek(policy, state, now, units);
                        const auto peeked = limiter.peek(key, units);
                        if (peeked != expected)
                            FAIL("peek differs in sequence " << i << ": " << peeked << "; " << expected);
                        break;
                    }
                    default: {
                        if constexpr (sluice::GrowingPolicy<P>) policy.reserve(state, now, units);
                        const auto expected = policy.step(state, now, units);
                        const auto decision = limiter.try_consume(key, units);
                        if (decision != expected)
                            FAIL("a decision differs in sequence "
                                 << i << ", operation " << operation << ", " << (latest - now).count()
                                 << " ns late, cost " << units << ": " << decision << "; the policy: " << expected);
                    }
                }
            }
        }
    });
}

/// Threads on one key at a clock that stands still: exactly the capacity is admitted.
template <class Kit>
void admits_exactly_the_capacity(Kit& kit) {
    constexpr int threads = 8;
    const auto run = [&](const auto& policy, const char* name) {
        INFO(name);
        kit.clock.set(start);
        const sluice::RateLimiter limiter{policy, kit.template store<std::decay_t<decltype(policy)>>(), {.name = name}};
        std::atomic<std::uint64_t> admitted{0};
        std::vector<std::thread> all;
        for (int t = 0; t != threads; ++t) {
            all.emplace_back([&] {
                std::uint64_t mine = 0;
                for (int i = 0; i != Kit::requests_per_thread; ++i) mine += limiter.try_consume("key").allowed ? 1 : 0;
                admitted += mine;
            });
        }
        for (auto& thread : all) thread.join();
        REQUIRE(admitted == limiter.quota().limit);
    };
    const auto limit = Kit::requests_per_thread * threads / 3;
    run(sluice::TokenBucket{limit, sluice::per_second(2)}, "threads/token_bucket");
    run(sluice::LeakyBucket{limit, sluice::per_second(2)}, "threads/leaky_bucket");
    run(sluice::FixedWindow{limit, 10s}, "threads/fixed_window");
    run(sluice::SlidingWindow{limit, 10s}, "threads/sliding_window");
    run(sluice::SlidingWindowCounter{limit, 1h}, "threads/sliding_window_counter");
    run(sluice::AllOf{sluice::TokenBucket{limit, sluice::per_second(2)}, sluice::FixedWindow{limit + 1, 10s}},
        "threads/all_of");
}

/// Keys that occur twice in a batch are decided one after the other, whatever the clock did meanwhile.
inline void decides_new_keys_twice_in_a_batch(const Subject& subject) {
    const std::vector<std::string> keys{"a", "b", "a", "a", "a", "a", "a", "b"};
    std::vector<sluice::Decision> decisions(keys.size());
    subject.limiter.try_consume_many(keys, decisions);
    const std::vector<std::uint64_t> left{4, 4, 3, 2, 1, 0, 0, 3};
    for (std::size_t i = 0; i != keys.size(); ++i) {
        INFO(i << ": " << decisions[i]);
        REQUIRE(decisions[i].allowed == (i != 6));
        REQUIRE(decisions[i].remaining == left[i]);
    }
}

/// What holds while the clock goes on. `make_store(policy)` makes stores on a clock of their own, not the test's.
template <class MakeStore>
void default_clock_suite(std::size_t longest_key, MakeStore make_store) {
    const auto check_each_slow = [&](const std::string& test, void (*check)(const Subject&)) {
        for_each_slow_policy(test, [&](const auto& policy, const std::string& name) {
            INFO(name);
            check({sluice::RateLimiter{policy, make_store(policy), {.name = name}}, nullptr, nanoseconds{1},
                   longest_key, false});
        });
    };
    SECTION("knows never and nothing") { check_each_slow("never", knows_never_and_nothing); }
    SECTION("peeks, refunds and resets") { check_each_slow("refund", peeks_refunds_and_resets); }
    SECTION("takes any key") { check_each_slow("keys", takes_any_key); }
    SECTION("decides many in order") { check_each_slow("many", decides_many_in_order); }
    SECTION("decides new keys twice in a batch") { check_each_slow("twice", decides_new_keys_twice_in_a_batch); }
}

template <class Kit>
void suite() {
    Kit kit;
    SECTION("decides as announced") { check_each(kit, "announced", decides_as_announced); }
    SECTION("knows never and nothing") { check_each(kit, "never", knows_never_and_nothing); }
    SECTION("peeks, refunds and resets") { check_each(kit, "refund", peeks_refunds_and_resets); }
    SECTION("takes any key") { check_each(kit, "keys", takes_any_key); }
    SECTION("decides many in order") { check_each(kit, "many", decides_many_in_order); }
    SECTION("decides new keys twice in a batch") { check_each(kit, "twice", decides_new_keys_twice_in_a_batch); }
    SECTION("survives a clock that goes back") { check_each(kit, "clock", survives_a_clock_that_goes_back); }
    SECTION("keeps states apart") { keeps_states_apart(kit); }
    SECTION("equals the bare policy") { equals_the_bare_policy(kit); }
    SECTION("admits exactly the capacity") { admits_exactly_the_capacity(kit); }
    SECTION("settles as the bare policy") { settles_as_the_bare_policy(kit); }
    SECTION("takes and gives back") { takes_and_gives_back(kit); }
    SECTION("minds the greatest delay") { minds_the_greatest_delay(kit); }
    SECTION("settles exactly with threads") { settles_exactly_with_threads(kit); }
}

}  // namespace conformance

#endif
