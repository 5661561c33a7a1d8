// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_DETAIL_DECIDING_HPP
#define SLUICE_TESTING_DETAIL_DECIDING_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/any_limiter.hpp>
#include <sluice/policies/builtin.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/testing/detail/policies.hpp>
#include <sluice/testing/detail/run.hpp>

// Cases about single decisions, whose order and times are written down.
namespace sluice::detail::conformance {

using namespace std::chrono_literals;

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

/// Calls body(subject, run) with a limiter of each policy; the clock stands at `start`.
template <class Kit>
void with_each_policy(Kit& kit, Run& run, void (*body)(const Subject&, Run&)) {
    for_each_policy([&](const auto& policy, const char* what) {
        kit.clock.set(start);
        auto store = kit.template store<std::decay_t<decltype(policy)>>();
        run.about(what);
        body({sluice::RateLimiter{policy, std::move(store), {.name = run.name(what)}},
              [clock = kit.clock](nanoseconds now) { clock.set(now); }, Kit::resolution, Kit::longest_key},
             run);
    });
}

inline void decides_as_announced(const Subject& subject, Run& check) {
    const auto& limiter = subject.limiter;
    for (std::uint64_t left = 5; left-- > 0;) {
        const auto decision = limiter.try_consume("key");
        check(decision);
        check(!decision.error);
        check(decision.limit == 5);
        check(decision.remaining == left);
        check(decision.retry_after == 0ns);
        check(decision.reset_after > 0ns);
    }
    const auto denied = limiter.try_consume("key", 3);
    check(!denied);
    check(!denied.error);
    check(denied.remaining == 0);
    check(denied.retry_after > 0ns);
    check(limiter.try_consume("other key").remaining == 4);

    subject.set_time(start + denied.retry_after - subject.resolution);
    check(!limiter.try_consume("key", 3));
    subject.set_time(start + denied.retry_after);
    check(limiter.try_consume("key", 3));

    const auto busy = limiter.peek("key");
    subject.set_time(start + denied.retry_after + busy.reset_after);
    check(limiter.peek("key").remaining == 5);
    check(limiter.peek("key").reset_after == 0ns);
    check(limiter.try_consume("key", 5));
}

inline void knows_never_and_nothing(const Subject& subject, Run& check) {
    const auto& limiter = subject.limiter;
    check(limiter.try_consume("key", 0));
    check(limiter.try_consume("key", 2).remaining == 3);
    for (const std::uint64_t cost : {std::uint64_t{6}, std::uint64_t{1} << 53, ~std::uint64_t{0}}) {
        const auto decision = limiter.try_consume("key", cost);
        check(!decision);
        check(decision.retry_after == sluice::Decision::never);
        check(decision.remaining == 3);
    }
    check(limiter.try_consume("key", 0).remaining == 3);
    check(!limiter.try_consume("key", 4));
    check(limiter.try_consume("key", 3).remaining == 0);
    check(limiter.try_consume("key", 0).allowed);
}

inline void peeks_refunds_and_resets(const Subject& subject, Run& check) {
    const auto& limiter = subject.limiter;
    check(limiter.peek("key").remaining == 5);
    check(limiter.peek("key").reset_after == 0ns);
    check(limiter.peek("key", 6).retry_after == sluice::Decision::never);
    check(!limiter.refund("key", 3));  // of a key never seen
    check(limiter.try_consume("key", 4).remaining == 1);

    const auto peeked = limiter.peek("key", 2);
    check(!peeked);
    check(peeked.remaining == 1);
    check(subject.agree(limiter.peek("key", 2), peeked));
    check(subject.agree(limiter.try_consume("key", 2), peeked));

    check(!limiter.refund("key", 2));
    check(limiter.peek("key").remaining == 3);
    check(!limiter.refund("key", 1000));
    check(limiter.peek("key").remaining == 5);
    check(!limiter.refund("key", ~std::uint64_t{0}));
    check(limiter.try_consume("key", 5).remaining == 0);

    check(!limiter.reset("key"));
    check(limiter.peek("key").remaining == 5);
    check(!limiter.reset("key never seen"));
    check(limiter.try_consume("key", 5));
}

inline void takes_any_key(const Subject& subject, Run& check) {
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
        check(!decision.error);
        check(decision.remaining == 3);
    }
    for (const auto key : keys) check(subject.limiter.try_consume(key, 3).remaining == 0);
}

inline void decides_many_in_order(const Subject& subject, Run& check) {
    std::vector<std::string> names;
    for (int i = 0; i != 100; ++i)
        names.push_back("key" + std::to_string(i % 20 == 0 ? 0 : i));  // one comes five times
    const std::vector<std::string_view> keys{names.begin(), names.end()};
    std::vector<sluice::Decision> decisions(keys.size());
    subject.limiter.try_consume_many(keys, decisions);
    for (std::size_t i = 0; i != keys.size(); ++i) {
        check(decisions[i]);
        check(decisions[i].remaining == (i % 20 == 0 ? 4 - i / 20 : 4));
    }
    subject.limiter.try_consume_many(keys, decisions);
    for (std::size_t i = 0; i != keys.size(); ++i) {
        check(decisions[i].allowed == (i % 20 != 0));
        check((decisions[i].retry_after > 0ns) == (i % 20 == 0));
    }
    subject.limiter.try_consume_many({}, {});
    const std::string_view alone = "one key alone";
    subject.limiter.try_consume_many({&alone, 1}, {decisions.data(), 1});
    check(decisions[0].remaining == 4);
    check(subject.limiter.peek(alone).remaining == 4);

    decisions.resize(3);
    subject.limiter.try_consume_many(keys, decisions);
    for (const auto& decision : decisions) check(decision.error == sluice::Errc::invalid_argument);
    check(subject.limiter.peek("key1").remaining == 3);
}

inline void survives_a_clock_that_goes_back(const Subject& subject, Run& check) {
    const auto& limiter = subject.limiter;
    subject.set_time(start + 1h);
    check(limiter.try_consume("key", 5));
    subject.set_time(start);
    const auto denied = limiter.try_consume("key");
    check(!denied);
    check(denied.retry_after <= 20s);
    subject.set_time(start + denied.retry_after);
    check(limiter.try_consume("key"));
    subject.set_time(start + 2h);
    check(limiter.try_consume("key", 5));
    check(!limiter.try_consume("key"));
}

/// Keys that occur twice in a batch are decided one after the other, whatever the clock did meanwhile.
inline void decides_new_keys_twice_in_a_batch(const Subject& subject, Run& check) {
    const std::vector<std::string> keys{"a", "b", "a", "a", "a", "a", "a", "b"};
    std::vector<sluice::Decision> decisions(keys.size());
    subject.limiter.try_consume_many(keys, decisions);
    const std::vector<std::uint64_t> left{4, 4, 3, 2, 1, 0, 0, 3};
    for (std::size_t i = 0; i != keys.size(); ++i) {
        check(decisions[i].allowed == (i != 6));
        check(decisions[i].remaining == left[i]);
    }
}

}  // namespace sluice::detail::conformance

#endif
