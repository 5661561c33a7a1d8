// SPDX-License-Identifier: MIT

#include "property/policy_properties.hpp"

using namespace property;

namespace {

using Bucket = sluice::TokenBucket;
using Fixed = sluice::FixedWindow;
using Log = sluice::SlidingWindow;

// Limits and windows that are close together, so that now the one binds and now the other.
std::uint64_t small_limit(Random& random) { return random.between<std::uint64_t>(1, 12); }
std::int64_t small_window(Random& random) {
    return random.between<std::int64_t>(1, 40) * random.pick(1, 1000, 250'000'000);
}

}  // namespace

TEST_CASE("AllOf a bucket and a window answers as their models") {
    for_random_cases("bucket and fixed window", [](Random& random) {
        const auto capacity = small_limit(random);
        const auto unit = small_window(random);  // whole nanoseconds, so that the model must agree exactly
        const auto limit = small_limit(random);
        const auto window = small_window(random);
        check_against_exact_model(
            random,
            sluice::AllOf{Bucket{capacity, sluice::Rate{1, nanoseconds{unit}}}, Fixed{limit, nanoseconds{window}}},
            model::Both{model::Bucket{capacity, 1, unit}, model::Fixed{limit, window}});
    });
}

TEST_CASE("AllOf two windows answers as their models") {
    for_random_cases("fixed and sliding window", [](Random& random) {
        const auto limit = small_limit(random);
        const auto window = small_window(random);
        const auto log_limit = small_limit(random);
        const auto log_window = small_window(random);
        check_against_exact_model(
            random, sluice::AllOf{Fixed{limit, nanoseconds{window}}, Log{log_limit, nanoseconds{log_window}}},
            model::Both{model::Fixed{limit, window}, model::Log{log_limit, log_window}});
    });
}

TEST_CASE("AllOf under a jumping clock") {
    for_random_cases("all of, clock", [](Random& random) {
        const auto limit = small_limit(random);
        const auto window = small_window(random);
        const auto log_window = small_window(random);
        const sluice::AllOf policy{Fixed{limit, nanoseconds{window}}, Log{limit, nanoseconds{log_window}}};
        check_jumping_clock(random, policy, std::max(window, log_window), [&](const auto& times, std::size_t from) {
            return limit * std::min(1 + edges_crossed(times, from, window), 1 + moved_ahead(times, from) / log_window);
        });
        check_extremes(random, policy);
    });
}
