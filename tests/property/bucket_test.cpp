// SPDX-License-Identifier: MIT

#include "property/policy_properties.hpp"

using namespace property;

namespace {

struct Parameters {
    std::uint64_t capacity = 1;
    std::uint64_t count = 1;
    std::int64_t period = 1;
    std::uint64_t burst = 1;

    sluice::Rate rate() const { return {count, nanoseconds{period}}; }
    model::Bucket model() const { return {capacity, count, period, burst}; }
};

template <class P>
P policy_of(const Parameters& p) {
    if constexpr (std::is_same_v<P, sluice::LeakyBucket>)
        return {p.capacity, p.rate(), p.burst};
    else
        return {p.capacity, p.rate()};
}

/// The wait for a delay is exact: until it is over the delay is longer, and a request that takes no more is denied so long.
void check_max_delay(Random& random, const sluice::LeakyBucket& policy, const sluice::LeakyBucket::State& state,
                     std::int64_t now) {
    const auto most = nanoseconds{random.between<std::int64_t>(0, policy.quota().window.count())};
    const auto cost = random_cost(random, policy.queue());
    const auto plain = ask(policy, state, now, cost);
    auto copy = state;
    const auto limited = sluice::step_within(policy, copy, nanoseconds{now}, cost, most);
    const auto describe = [&] { return text(limited) + " against " + text(plain); };
    if (plain.allowed && (plain.delay <= most || cost == 0)) {
        expect(limited == plain, "a delay that is short enough", describe);
        return;
    }
    expect(!limited.allowed && limited.delay == nanoseconds{0}, "a delay that is too long", describe);
    expect(copy.full_at_ns == state.full_at_ns, "a denial changes nothing", describe);
    expect(limited.retry_after >= plain.retry_after && limited.retry_after > nanoseconds{0}, "it waits", describe);
    if (cost > policy.queue() || !representable(now, limited.retry_after)) return;
    const auto at = [&](std::int64_t then) {
        auto later = state;
        return sluice::step_within(policy, later, nanoseconds{then}, cost, most);
    };
    expect(at(now + limited.retry_after.count()).allowed, "allowed as announced", describe);
    expect(!at(now + limited.retry_after.count() - 1).allowed, "and not before", describe);
}

/// Half of them as people choose them, half from the whole range, and some from its ends.
Parameters random_parameters(Random& random) {
    constexpr std::uint64_t most_units = (std::uint64_t{1} << 53) - 1;
    constexpr std::int64_t most_ns = sluice::detail::max_period_ns;
    Parameters p;
    if (random.one_in(16)) {
        return random.pick(Parameters{1, 1, 1}, Parameters{most_units, 1, 1}, Parameters{1, 1, most_ns},
                           Parameters{most_units, most_units, most_ns},
                           Parameters{most_units, 1'000'000'000, 1'000'000'000},
                           Parameters{1, most_units, static_cast<std::int64_t>(most_units)});
    }
    if (random.one_in(2)) {
        p.period = random.pick(std::int64_t{1'000'000}, std::int64_t{1'000'000'000}, std::int64_t{60'000'000'000});
        p.count = random.between<std::uint64_t>(1, 100);
        p.capacity = random.between<std::uint64_t>(1, 50);
    } else {
        p.period = random.magnitude<std::int64_t>(1, most_ns);
        p.count = random.magnitude<std::uint64_t>(1, std::min(most_units, static_cast<std::uint64_t>(p.period)));
        const auto fillable = model::wide{most_ns} * p.count / p.period;
        p.capacity = random.magnitude<std::uint64_t>(
            1, fillable < most_units ? static_cast<std::uint64_t>(fillable) : most_units);
    }
    return p;
}

/// The policy counts in ticks, none longer than two nanoseconds where a unit does not take a whole number of them: so
/// close it must come to the exact model, however long the trace, and where it does it must be exact.
class Comparison {
public:
    Comparison(const Parameters& p, bool leaky)
        : parameters_(p), model(p.model()), slack_(model.whole() ? 0 : 2), leaky_(leaky) {}

    void operator()(const Step& step, const sluice::Decision& d) {
        auto wanted = model.peek(step.time, step.units);
        const auto describe = [&] {
            return text(d) + " against " + text(wanted) + " at " + std::to_string(step.time) + " units " +
                   std::to_string(step.units) + " capacity " + std::to_string(parameters_.capacity) + " rate " +
                   std::to_string(parameters_.count) + " per " + std::to_string(parameters_.period);
        };
        expect(d.limit == parameters_.capacity, "limit", describe);
        if (d.allowed != wanted.allowed) {
            const auto margin = model.margin_ns(step.units);
            expect(slack_ > 0 && margin <= slack_ && margin >= -slack_, "allowed", describe);
        } else {
            expect(close(d.retry_after.count(), wanted.retry_after), "retry_after", describe);
        }
        const auto delay = leaky_ && d.allowed && step.units > 0 ? wanted.delay : d.delay.count();
        expect(close(d.delay.count(), delay), "delay", describe);

        if (step.kind == Step::Kind::consume && d.allowed) {
            model.take(step.units);
            wanted = model.peek(step.time, 0);
        }
        expect(close(d.reset_after.count(), wanted.reset_after), "reset_after", describe);
        expect(model.margin_ns(d.remaining) >= -slack_, "no more remaining than there is", describe);
        expect(model.margin_ns(d.remaining + 1) < slack_ || d.remaining == parameters_.capacity, "no less remaining",
               describe);
    }

private:
    bool close(std::int64_t a, std::int64_t b) const {
        return a == b || (slack_ > 0 && a != model::never && b != model::never && a - b <= slack_ && b - a <= slack_);
    }

    Parameters parameters_;

public:
    model::Bucket model;

private:
    int slack_;
    bool leaky_;
};

/// Over every stretch of a trace without refunds: at most capacity + rate * time.
template <class P>
void check_upper_bound(Random& random, const P& policy, const Parameters& p) {
    auto trace = random_trace(random, policy.quota(), 24);
    typename P::State state{};
    std::vector<model::wide> admitted;
    const model::wide slack = p.model().whole() ? 0 : 2;
    for (std::size_t i = 0; i != trace.size(); ++i) {
        admitted.push_back(step(policy, state, trace[i].time, trace[i].units).allowed ? trace[i].units : 0);
        model::wide sum = 0;
        for (std::size_t from = i + 1; from-- != 0;) {
            sum += admitted[from];
            const auto time = model::wide{trace[i].time} - trace[from].time + slack;
            expect((sum - p.capacity) * p.period <= time * p.count, "admitted <= capacity + rate * time", [&] {
                return "capacity " + std::to_string(p.capacity) + " rate " + std::to_string(p.count) + " per " +
                       std::to_string(p.period) + " trace" + text(trace);
            });
        }
    }
}

template <class P>
void check_bucket(Random& random, bool leaky) {
    auto p = random_parameters(random);
    if (leaky) p.burst = random.one_in(2) ? 1 : random.magnitude<std::uint64_t>(1, p.capacity);
    const P policy = policy_of<P>(p);
    const auto trace = random_trace(random, policy.quota(), random.between<std::size_t>(1, 24));
    Comparison comparison{p, leaky};
    const auto state = run_against_model(policy, comparison.model, trace, comparison);
    const auto now = trace.back().time + random_pause(random, policy.quota().window.count(), p.capacity);
    check_decision(policy, state, now, random_cost(random, p.capacity));
    if constexpr (sluice::PacingPolicy<P>) check_max_delay(random, policy, state, now);
    check_refund(policy, state, now, random_cost(random, p.capacity), random_cost(random, p.capacity));
    check_upper_bound(random, policy, p);
}

template <class P>
void check_bucket_clock(Random& random) {
    const auto p = random_parameters(random);
    const P policy = policy_of<P>(p);
    check_jumping_clock(random, policy, policy.quota().window.count(), [&](const auto& times, std::size_t from) {
        // A tick that time is rounded to for each request, where it is not whole.
        const model::wide slack = p.model().whole() ? 0 : 2 * static_cast<int>(times.size());
        return p.capacity + (moved_ahead(times, from) + slack) * p.count / p.period;
    });
    check_extremes(random, policy);
}

}  // namespace

TEST_CASE("TokenBucket answers as its exact model") {
    for_random_cases("token bucket", [](Random& random) { check_bucket<sluice::TokenBucket>(random, false); });
}

TEST_CASE("LeakyBucket answers as its exact model") {
    for_random_cases("leaky bucket", [](Random& random) { check_bucket<sluice::LeakyBucket>(random, true); });
}

TEST_CASE("TokenBucket under a jumping clock") {
    for_random_cases("token bucket, clock", [](Random& random) { check_bucket_clock<sluice::TokenBucket>(random); });
}

TEST_CASE("LeakyBucket under a jumping clock") {
    for_random_cases("leaky bucket, clock", [](Random& random) { check_bucket_clock<sluice::LeakyBucket>(random); });
}

TEST_CASE("a fractional rate does not drift over a long time") {
    Random random{"drift"};
    for (const auto& p : {Parameters{5, 3, 1'000'000'000}, Parameters{10, 7, 60'000'000'000},
                          Parameters{1000, 999'999'937, 1'000'000'000}}) {
        const sluice::TokenBucket policy{p.capacity, p.rate()};
        const auto trace = random_trace(random, policy.quota(), static_cast<std::size_t>(cases(200'000)));
        Comparison comparison{p, false};
        run_against_model(policy, comparison.model, trace, comparison);
    }
    SUCCEED();
}
