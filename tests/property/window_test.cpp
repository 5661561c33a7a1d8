// SPDX-License-Identifier: MIT

#include "property/policy_properties.hpp"

using namespace property;

namespace {

constexpr std::uint64_t most_units = (std::uint64_t{1} << 53) - 1;

std::int64_t random_window(Random& random) {
    if (random.one_in(16)) return random.pick(std::int64_t{1}, sluice::detail::max_period_ns);
    if (random.one_in(2)) {
        return random.pick(std::int64_t{1}, std::int64_t{10}, std::int64_t{1'000'000'000}, std::int64_t{60'000'000'000},
                           std::int64_t{86'400'000'000'000});
    }
    return random.magnitude<std::int64_t>(1, sluice::detail::max_period_ns);
}

std::uint64_t random_limit(Random& random) {
    if (random.one_in(16)) return random.pick(std::uint64_t{1}, most_units);
    return random.one_in(2) ? random.between<std::uint64_t>(1, 20) : random.magnitude<std::uint64_t>(1, most_units);
}

struct FixedCase {
    sluice::FixedWindow policy;
    model::Fixed model;
};
struct LogCase {
    sluice::SlidingWindow policy;
    model::Log model;
};
struct CounterCase {
    sluice::SlidingWindowCounter policy;
    model::Counter model;
};

template <class Case>
Case random_case(Random& random, std::uint64_t most = most_units) {
    const auto limit = std::min(most, random_limit(random));
    const auto window = random_window(random);
    return {{limit, nanoseconds{window}}, {limit, window}};
}

/// Calls check(admitted, i) after each request of a random trace.
template <class P, class Check>
void for_each_admission(Random& random, const P& policy, Check check) {
    std::vector<Step> trace = random_trace(random, policy.quota(), 24);
    typename P::State state{};
    std::vector<Step> admitted;
    for (const Step& now : trace) {
        if (now.units == 0 || !step(policy, state, now.time, now.units).allowed) continue;
        admitted.push_back(now);
        check(admitted);
    }
}

/// Admitted in the `window` that ends with the newest request.
model::wide sum_within(const std::vector<Step>& admitted, model::wide window) {
    model::wide sum = 0;
    for (const Step& step : admitted) {
        if (step.time > admitted.back().time - window) sum += step.units;
    }
    return sum;
}

/// Admitted in the aligned window of the newest request.
model::wide sum_aligned(const std::vector<Step>& admitted, std::int64_t window) {
    model::wide sum = 0;
    for (const Step& step : admitted) {
        if (model::floor_div(step.time, window) == model::floor_div(admitted.back().time, window)) sum += step.units;
    }
    return sum;
}

constexpr std::uint64_t model_log_limit = 40;  // the model keeps each unit

}  // namespace

TEST_CASE("FixedWindow answers as its exact model") {
    for_random_cases("fixed window", [](Random& random) {
        const auto [policy, model] = random_case<FixedCase>(random);
        check_against_exact_model(random, policy, model);
        const auto window = policy.window().count();
        for_each_admission(random, policy, [&, limit = policy.limit()](const std::vector<Step>& admitted) {
            expect(sum_aligned(admitted, window) <= limit, "the limit in each window", [&] { return text(admitted); });
        });
    });
}

TEST_CASE("SlidingWindow answers as its exact model") {
    for_random_cases("sliding window", [](Random& random) {
        const auto [policy, model] = random_case<LogCase>(random, model_log_limit);
        check_against_exact_model(random, policy, model);
        const auto larger = random_case<LogCase>(random, 2000).policy;
        for_each_admission(random, larger, [&](const std::vector<Step>& admitted) {
            expect(sum_within(admitted, larger.window().count()) <= larger.limit(), "the limit in every window",
                   [&] { return text(admitted); });
        });
    });
}

TEST_CASE("SlidingWindowCounter answers as its exact model") {
    for_random_cases("sliding window counter", [](Random& random) {
        const auto [policy, model] = random_case<CounterCase>(random);
        check_against_exact_model(random, policy, model);
        const auto window = policy.window().count();
        for_each_admission(random, policy, [&, limit = policy.limit()](const std::vector<Step>& admitted) {
            expect(sum_aligned(admitted, window) <= limit, "the limit in each aligned window",
                   [&] { return text(admitted); });
            expect(sum_within(admitted, window) <= model::wide{limit} * 2, "twice the limit in any window",
                   [&] { return text(admitted); });
        });
    });
}

TEST_CASE("FixedWindow under a jumping clock") {
    for_random_cases("fixed window, clock", [](Random& random) {
        const auto policy = random_case<FixedCase>(random).policy;
        const auto window = policy.window().count();
        check_jumping_clock(random, policy, window, [&](const auto& times, std::size_t from) {
            return policy.limit() * (1 + edges_crossed(times, from, window));
        });
        check_extremes(random, policy);
    });
}

TEST_CASE("SlidingWindow under a jumping clock") {
    for_random_cases("sliding window, clock", [](Random& random) {
        const auto policy = random_case<LogCase>(random, 200).policy;
        const auto window = policy.window().count();
        check_jumping_clock(random, policy, window, [&](const auto& times, std::size_t from) {
            return policy.limit() * (1 + moved_ahead(times, from) / window);
        });
        check_extremes(random, policy);
    });
}

TEST_CASE("SlidingWindowCounter under a jumping clock") {
    for_random_cases("sliding window counter, clock", [](Random& random) {
        const auto policy = random_case<CounterCase>(random).policy;
        const auto window = policy.window().count();
        check_jumping_clock(random, policy, 2 * window, [&](const auto& times, std::size_t from) {
            return policy.limit() * (1 + edges_crossed(times, from, window));
        });
        check_extremes(random, policy);
    });
}
