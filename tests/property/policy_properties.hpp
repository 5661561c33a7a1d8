// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_PROPERTY_POLICY_PROPERTIES_HPP
#define SLUICE_TESTS_PROPERTY_POLICY_PROPERTIES_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include <sluice/sluice.hpp>

#include "property/models.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

// What has to hold for every policy, whatever it promises. A test makes a policy with random parameters, its model and
// a trace of requests at random times, and hands them to these checks.
namespace property {

using std::chrono::nanoseconds;

/// Runs one_case(random) at least 100,000 times, or a part of it in a slow build.
template <class OneCase>
void for_random_cases(const char* what, OneCase one_case) {
    Random random{what};
    const int count = cases(100'000);
    for (int i = 0; i < count; ++i) one_case(random);
    SUCCEED(count << " random cases");
}

/// Checks one condition without Catch2's cost for each; the text is made only where it fails.
template <class Describe>
void expect(bool holds, const char* what, Describe describe) {
    if (holds) return;
    FAIL(what << ": " << describe());
}

inline std::string text(const sluice::Decision& d) {
    std::ostringstream out;
    out << (d.allowed ? "allowed" : "denied") << " limit " << d.limit << " remaining " << d.remaining << " retry_after "
        << d.retry_after.count() << " reset_after " << d.reset_after.count() << " delay " << d.delay.count();
    return out.str();
}

inline std::string text(const model::Answer& a) {
    sluice::Decision d;
    d.allowed = a.allowed;
    d.limit = a.limit;
    d.remaining = a.remaining;
    d.retry_after = nanoseconds{a.retry_after};
    d.reset_after = nanoseconds{a.reset_after};
    d.delay = nanoseconds{a.delay};
    return text(d);
}

template <class State>
State copy_of(const State& state) {
    return state;
}
inline sluice::SlidingWindow::State copy_of(const sluice::SlidingWindow::State& state) {
    sluice::SlidingWindow::State copy;
    copy.log.reserve(state.log.size(), state.log.size());
    for (std::size_t i = 0; i != state.log.size(); ++i) copy.log.append(state.log[i], state.log.units_at(i));
    return copy;
}
template <class... States>
std::tuple<States...> copy_of(const std::tuple<States...>& states) {
    return std::apply([](const auto&... state) { return std::tuple{copy_of(state)...}; }, states);
}

/// A step as a store does it: with room made before.
template <class P>
sluice::Decision step(const P& policy, typename P::State& state, std::int64_t now, std::uint64_t cost) {
    if constexpr (sluice::GrowingPolicy<P>) policy.reserve(state, nanoseconds{now}, cost);
    return policy.step(state, nanoseconds{now}, cost);
}

/// What would be answered; the state stays as it is.
template <class P>
sluice::Decision ask(const P& policy, const typename P::State& state, std::int64_t now, std::uint64_t cost) {
    auto copy = copy_of(state);
    return step(policy, copy, now, cost);
}

inline bool representable(std::int64_t now, nanoseconds wait) {
    return model::wide{now} + wait.count() <= std::numeric_limits<std::int64_t>::max();
}

/// A state is told by what it answers, now and later.
template <class P>
void expect_alike(const P& policy, const typename P::State& a, const typename P::State& b, std::int64_t now,
                  const char* what) {
    const auto window = policy.quota().window.count();
    const auto limit = policy.quota().limit;
    for (const std::int64_t later : {std::int64_t{0}, std::int64_t{1}, window / 3, window, window * 2}) {
        if (!representable(now, nanoseconds{later})) continue;
        for (const std::uint64_t cost : {std::uint64_t{0}, std::uint64_t{1}, limit / 2 + 1, limit, limit + 1}) {
            const auto one = ask(policy, a, now + later, cost);
            const auto two = ask(policy, b, now + later, cost);
            expect(one == two, what, [&] { return text(one) + " against " + text(two); });
        }
    }
}

/// What the decision about `state` says of itself: waits are exact, `remaining` counts, cost decides monotonically, a
/// denial and a peek change nothing.
template <class P>
void check_decision(const P& policy, const typename P::State& state, std::int64_t now, std::uint64_t cost) {
    const auto describe = [&] {
        std::ostringstream out;
        out << "at " << now << " cost " << cost << " limit " << policy.quota().limit << ": "
            << text(ask(policy, state, now, cost)) << "; idle " << text(ask(policy, state, now, 0));
        return out.str();
    };
    const std::uint64_t limit = policy.quota().limit;
    const sluice::Decision idle = ask(policy, state, now, 0);
    const sluice::Decision answer = ask(policy, state, now, cost);

    expect(!answer.error && !idle.error, "no error", describe);
    expect(idle.allowed && idle.retry_after == nanoseconds{0}, "cost 0 is allowed", describe);
    expect(idle.remaining <= limit && answer.remaining <= limit, "remaining is at most the limit", describe);
    expect((answer.retry_after == nanoseconds{0}) == answer.allowed, "a wait exactly where it is denied", describe);
    expect((answer.retry_after == sluice::Decision::never) == (cost > limit), "never exactly where cost > limit",
           describe);
    expect(answer.reset_after >= nanoseconds{0} && answer.reset_after != sluice::Decision::never, "resets", describe);
    expect(answer.delay >= nanoseconds{0} && (answer.allowed || answer.delay == nanoseconds{0}), "delay", describe);

    // remaining: that many units pass at this instant, and no more.
    expect(ask(policy, state, now, idle.remaining).allowed, "remaining units pass", describe);
    expect(!ask(policy, state, now, idle.remaining + 1).allowed, "one more than remaining is denied", describe);
    if (answer.allowed) {
        expect(cost <= idle.remaining && answer.remaining == idle.remaining - cost, "the cost is taken", describe);
        if (cost > 0) expect(ask(policy, state, now, cost - 1).allowed, "less cost passes too", describe);
    } else {
        expect(answer.remaining == idle.remaining && answer.reset_after == idle.reset_after, "a denial reports",
               describe);
        if (cost < limit) expect(!ask(policy, state, now, cost + 1).allowed, "more cost is denied too", describe);
        if (cost <= limit && representable(now, answer.retry_after)) {
            const auto then = now + answer.retry_after.count();
            expect(ask(policy, state, then, cost).allowed, "allowed at retry_after", describe);
            expect(!ask(policy, state, then - 1, cost).allowed, "denied a nanosecond before", describe);
        }
    }

    auto after = copy_of(state);
    const auto peeked = sluice::peek(policy, state, nanoseconds{now}, cost);
    expect(peeked.allowed == answer.allowed && peeked.retry_after == answer.retry_after &&
               peeked.remaining == idle.remaining && peeked.reset_after == idle.reset_after,
           "peek", [&] { return describe() + "; peek " + text(peeked); });
    step(policy, after, now, 0);
    expect_alike(policy, state, after, now, "cost 0 changes nothing");
    if (!answer.allowed) {
        after = copy_of(state);
        step(policy, after, now, cost);
        expect_alike(policy, state, after, now, "a denial changes nothing");
    }

    if constexpr (sluice::WordPolicy<P>) {
        if (policy.fits_word()) {
            expect_alike(policy, state, policy.unpack(policy.pack(state)), now, "a packed state is the same");
        }
    }
    const auto fresh_from = policy.expires_at(state).count();
    if (fresh_from > now) {
        expect_alike(policy, state, typename P::State{}, fresh_from, "an expired state is a fresh one");
        expect(!representable(now, idle.reset_after) || now + idle.reset_after.count() <= fresh_from, "expiry",
               describe);
    }
    if (representable(now, idle.reset_after)) {
        const auto then = now + idle.reset_after.count();
        expect(ask(policy, state, then, limit).allowed, "as good as new at reset_after", describe);
        expect(ask(policy, state, then, 0).reset_after == nanoseconds{0}, "nothing left to reset", describe);
    }
}

/// What was consumed and is given back leaves the state as it was; too much leaves it full, never above.
template <class P>
void check_refund(const P& policy, const typename P::State& state, std::int64_t now, std::uint64_t cost,
                  std::uint64_t units) {
    const auto describe = [&] {
        return "at " + std::to_string(now) + " cost " + std::to_string(cost) + " refund " + std::to_string(units);
    };
    auto after = copy_of(state);
    const auto before = ask(policy, state, now, 0);
    if (step(policy, after, now, cost).allowed) {
        policy.refund(after, nanoseconds{now}, cost);
        expect(ask(policy, after, now, 0).remaining == before.remaining, "a refund of what was taken", describe);
    }
    after = copy_of(state);
    policy.refund(after, nanoseconds{now}, units);
    const auto remaining = ask(policy, after, now, 0).remaining;
    expect(remaining >= before.remaining && remaining <= policy.quota().limit, "a refund gives, up to the limit",
           describe);
    expect(remaining - before.remaining <= units, "a refund gives no more than it says", describe);
    auto fresh = typename P::State{};
    policy.refund(fresh, nanoseconds{now}, units);
    expect(ask(policy, fresh, now, 0).remaining == policy.quota().limit, "a refund to a fresh key", describe);
}

struct Step {
    enum class Kind { consume, peek, refund, take, give_back } kind = Kind::consume;
    std::int64_t time = 0;
    std::uint64_t units = 0;
    std::int64_t consumed_at = 0;
};

inline std::string text(const std::vector<Step>& trace) {
    std::ostringstream out;
    for (const Step& step : trace)
        out << "\n  " << step.time << ' ' << "cprtg"[static_cast<int>(step.kind)] << step.units;
    return out.str();
}

/// Times that matter to a policy come often: none at all, a nanosecond, a unit's share, the window, all give or take.
inline std::int64_t random_pause(Random& random, std::int64_t window, std::uint64_t limit) {
    const auto unit = std::max<std::int64_t>(1, window / static_cast<std::int64_t>(limit));
    const auto pause =
        random.pick(std::int64_t{0}, std::int64_t{0}, std::int64_t{1}, unit, unit * 2,
                    random.between<std::int64_t>(0, unit), window / 2, window, random.between<std::int64_t>(0, window),
                    random.between<std::int64_t>(0, window / 8), window * 2);
    return std::max<std::int64_t>(0, pause + random.pick(-1, 0, 0, 0, 1));
}

inline std::uint64_t random_cost(Random& random, std::uint64_t limit) {
    if (random.one_in(2)) return 1;
    return random.pick(std::uint64_t{0}, std::uint64_t{2}, limit, limit + 1, limit - 1,
                       random.between<std::uint64_t>(0, limit), random.between<std::uint64_t>(1, limit / 4 + 1),
                       random.magnitude<std::uint64_t>(1, ~std::uint64_t{0}));
}

/// Requests at times that never go back and stay far from the ends of their range.
inline std::vector<Step> random_trace(Random& random, sluice::Quota quota, std::size_t length) {
    const std::int64_t latest = std::int64_t{1} << (quota.window.count() > std::int64_t{1} << 60 ? 61 : 62);
    std::vector<Step> trace;
    std::int64_t time = random.pick(std::int64_t{0}, std::int64_t{1'767'225'600'000'000'000},
                                    random.between<std::int64_t>(-latest / 8, latest / 4));
    const bool refunds = random.one_in(2);
    for (std::size_t i = 0; i != length; ++i) {
        const auto pause = random_pause(random, quota.window.count(), quota.limit);
        if (pause <= latest - time) time += pause;
        const auto kind = random.one_in(8)              ? Step::Kind::peek
                          : random.one_in(8)            ? Step::Kind::take
                          : refunds && random.one_in(8) ? Step::Kind::refund
                          : refunds && random.one_in(6) ? Step::Kind::give_back
                                                        : Step::Kind::consume;
        trace.push_back({kind, time, random_cost(random, quota.limit)});
        trace.back().consumed_at = trace[random.between<std::size_t>(0, i)].time;
    }
    return trace;
}

/// Every answer along the trace is the model's.
/// `check_pair(model, step, decision, answer)` compares and may correct the model.
template <class P, class Model, class CheckPair>
typename P::State run_against_model(const P& policy, Model& model, const std::vector<Step>& trace,
                                    CheckPair&& check_pair) {
    typename P::State state{};
    for (const Step& now : trace) {
        if (now.kind == Step::Kind::refund) {
            policy.refund(state, nanoseconds{now.time}, now.units);
            model.refund(now.time, now.units);
        } else if (now.kind == Step::Kind::give_back) {
            policy.give_back(state, nanoseconds{now.time}, nanoseconds{now.consumed_at}, now.units);
            model.give_back(now.time, now.consumed_at, now.units);
        } else if (now.kind == Step::Kind::take) {
            sluice::Decision decision;
            const auto units = sluice::take(policy, state, nanoseconds{now.time}, now.units, decision);
            expect(units <= now.units && (units == now.units || decision.remaining == 0), "takes what is there",
                   [&] { return text(decision) + " units " + std::to_string(units) + text(trace); });
            expect(decision.allowed == (units != 0 || now.units == 0), "none is a denial",
                   [&] { return text(decision) + text(trace); });
            check_pair(Step{Step::Kind::consume, now.time, decision.allowed ? units : 1}, decision);
        } else if (now.kind == Step::Kind::peek) {
            check_pair(now, sluice::peek(policy, state, nanoseconds{now.time}, now.units));
        } else {
            check_pair(now, step(policy, state, now.time, now.units));
        }
    }
    return state;
}

template <class Model>
model::Answer answer_of(Model& model, const Step& step) {
    return step.kind == Step::Kind::peek ? model.peek(step.time, step.units) : model.consume(step.time, step.units);
}

/// Equal in all but `delay`, which only a LeakyBucket has.
inline bool equal(const sluice::Decision& d, const model::Answer& a) {
    return d.allowed == a.allowed && d.limit == a.limit && d.remaining == a.remaining &&
           d.retry_after.count() == a.retry_after && d.reset_after.count() == a.reset_after;
}

/// A policy and its model, which must agree exactly along a random trace; then all that check_decision and
/// check_refund demand of the state reached.
template <class P, class Model>
void check_against_exact_model(Random& random, const P& policy, Model model) {
    const auto quota = policy.quota();
    const auto trace = random_trace(random, quota, random.between<std::size_t>(1, 24));
    const auto state = run_against_model(policy, model, trace, [&](const Step& step, const sluice::Decision& decision) {
        const auto answer = answer_of(model, step);
        expect(equal(decision, answer), "as the model answers", [&] {
            return text(decision) + " against " + text(answer) + " at " + std::to_string(step.time) + " limit " +
                   std::to_string(quota.limit) + " window " + std::to_string(quota.window.count()) + " trace" +
                   text(trace);
        });
    });
    const auto now = trace.back().time + random_pause(random, quota.window.count(), quota.limit);
    check_decision(policy, state, now, random_cost(random, quota.limit));
    check_refund(policy, state, now, random_cost(random, quota.limit), random_cost(random, quota.limit));
}

/// A clock that jumps: `promise(from, to)` is the most that may be admitted between two requests of the trace, told by
/// the times in between. Going back gives no units, and locks nobody out for longer than `longest_wait`.
template <class P, class Promise>
void check_jumping_clock(Random& random, const P& policy, std::int64_t longest_wait, Promise promise) {
    constexpr std::int64_t skew = 5'000'000'000;  // of late readings, which are decided as at the state's own time
    const auto limit = policy.quota().limit;
    const auto window = policy.quota().window.count();
    std::vector<std::int64_t> times;
    std::vector<model::wide> admitted;
    typename P::State state{};
    std::int64_t now = 1'767'225'600'000'000'000;
    const auto describe = [&] {
        std::ostringstream out;
        out << "limit " << limit << " window " << window;
        for (std::size_t i = 0; i != times.size(); ++i)
            out << "\n  " << times[i] - times[0] << " admitted " << static_cast<std::uint64_t>(admitted[i]);
        return out.str();
    };
    for (int i = 0; i != 16; ++i) {
        const auto before = ask(policy, state, now, 0).remaining;
        const auto jump = std::min<std::int64_t>(random_pause(random, window, limit), std::int64_t{1} << 58);
        const bool back = random.one_in(3);
        now += back ? -jump : jump;
        const auto idle = ask(policy, state, now, 0);
        if (back) expect(idle.remaining <= before, "a clock that goes back gives no units", describe);
        expect(idle.remaining <= limit, "never more than the limit", describe);

        const auto cost = random_cost(random, limit);
        const auto decision = step(policy, state, now, cost);
        times.push_back(now);
        admitted.push_back(decision.allowed ? cost : 0);
        if (!decision.allowed && cost <= limit) {
            expect(decision.retry_after.count() <= longest_wait + skew, "no lockout", describe);
            const auto then = model::wide{now} + decision.retry_after.count();
            if (then + model::wide{window} * 2 > std::numeric_limits<std::int64_t>::max()) continue;
            const auto announced = static_cast<std::int64_t>(then);
            expect(ask(policy, state, announced, cost).allowed, "allowed as announced", describe);
            expect(!ask(policy, state, announced - 1, cost).allowed, "and not before", describe);
        }
        for (std::size_t from = 0; from != times.size(); ++from) {
            model::wide sum = 0;
            for (std::size_t at = from; at != times.size(); ++at) sum += admitted[at];
            expect(sum <= promise(times, from), "no more than promised", describe);
        }
    }
}

/// By how much the clock moved ahead since the request `from`, jumps back not counted.
inline model::wide moved_ahead(const std::vector<std::int64_t>& times, std::size_t from) {
    model::wide sum = 0;
    for (std::size_t i = from + 1; i < times.size(); ++i) sum += std::max<std::int64_t>(0, times[i] - times[i - 1]);
    return sum;
}

/// How many edges of aligned windows were crossed on the way ahead.
inline model::wide edges_crossed(const std::vector<std::int64_t>& times, std::size_t from, std::int64_t window) {
    model::wide sum = 0;
    for (std::size_t i = from + 1; i < times.size(); ++i) {
        sum += std::max<std::int64_t>(0, model::floor_div(times[i], window) - model::floor_div(times[i - 1], window));
    }
    return sum;
}

/// The ends of all ranges: nothing wraps (the sanitizers watch), and what must always hold holds.
template <class P>
void check_extremes(Random& random, const P& policy) {
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    const auto limit = policy.quota().limit;
    typename P::State state{};
    for (int i = 0; i != 8; ++i) {
        const auto now = random.pick(least, least + 1, -most / 2, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1},
                                     std::int64_t{1'767'225'600'000'000'000}, most / 2, most - 1, most);
        const auto units = random.pick(std::uint64_t{0}, std::uint64_t{1}, limit - 1, limit, limit + 1,
                                       std::uint64_t{1} << 53, (std::uint64_t{1} << 63) - 1, ~std::uint64_t{0});
        const auto describe = [&] {
            return "limit " + std::to_string(limit) + " window " + std::to_string(policy.quota().window.count()) +
                   " now " + std::to_string(now) + " units " + std::to_string(units);
        };
        if (random.one_in(5)) policy.refund(state, nanoseconds{now}, units);
        for (const auto& d : {sluice::peek(policy, state, nanoseconds{now}, units), step(policy, state, now, units)}) {
            expect(d.remaining <= limit && d.limit == limit, "remaining", describe);
            expect(!d.allowed || units <= limit, "allowed", describe);
            expect((d.retry_after == sluice::Decision::never) == (units > limit), "never", describe);
            expect(d.retry_after >= nanoseconds{0} && d.reset_after >= nanoseconds{0} && d.delay >= nanoseconds{0} &&
                       d.reset_after != sluice::Decision::never,
                   "waits", describe);
        }
        static_cast<void>(policy.expires_at(state));
    }
}

}  // namespace property

#endif
