// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_REPLAY_HPP
#define SLUICE_TESTS_CONFORMANCE_REPLAY_HPP

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include <sluice/carry_over.hpp>

#include "conformance/vector_file.hpp"

namespace conformance {

/// What differs between a decision and what the vectors say, or nothing. Durations may differ by 2 us + 1e-8 of
/// their value, the finest that a store counting microseconds can do.
inline std::string difference(const sluice::Decision& got, const Expected& expected) {
    std::ostringstream out;
    const auto exact = [&](const char* what, const auto& value, const auto& wanted) {
        if (wanted && value != *wanted) out << ' ' << what << ' ' << value << " instead of " << *wanted << ';';
    };
    const auto close = [&](const char* what, std::chrono::nanoseconds value, const auto& wanted) {
        if (!wanted || value == *wanted) return;
        const bool endless = value == sluice::Decision::never || *wanted == sluice::Decision::never;
        const auto tolerance = 2000.0 + 1e-8 * static_cast<double>(wanted->count());
        const auto distance = static_cast<double>(value.count()) - static_cast<double>(wanted->count());
        if (!endless && distance <= tolerance && distance >= -tolerance) return;
        out << ' ' << what << ' ' << value.count() << " ns instead of " << wanted->count() << " ns;";
    };
    if (got.error) out << " error: " << got.error.message() << ';';
    exact("allowed", got.allowed, expected.allowed);
    exact("remaining", got.remaining, expected.remaining);
    close("retry_after", got.retry_after, expected.retry_after);
    close("reset_after", got.reset_after, expected.reset_after);
    return out.str();
}

/// Replays `file` on the kit's store, under a limiter name of its own. Returns the first line that differs and how,
/// or an empty string.
template <class Kit>
std::string replay(Kit& kit, const VectorFile& file, const std::string& limiter_name) {
    const auto make = [&](const auto& policy) -> sluice::AnyLimiter {
        using P = std::decay_t<decltype(policy)>;
        return sluice::RateLimiter{policy, kit.template store<P>(), {.name = limiter_name}};
    };
    std::optional<sluice::AnyLimiter> limiter;
    for (const Section& section : file) {
        const auto next = std::visit(make, section.policy);
        limiter = limiter ? sluice::carry_over(next, *limiter) : next;
        for (const Step& step : section.steps) {
            kit.clock.set(step.time);
            const auto problem = difference(limiter->try_consume(step.key, step.cost), step.expected);
            if (!problem.empty()) return "line " + std::to_string(step.line) + ":" + problem;
        }
    }
    return {};
}

using Replay = std::function<std::string(const VectorFile&, const std::string& limiter_name)>;

/// The stores that this program can replay on, by name.
inline std::map<std::string, Replay>& replays() {
    static std::map<std::string, Replay> all;
    return all;
}

/// A static object of this type makes sluice-replay know a store. The kit is made when it is first used.
template <class Kit>
struct RegisterReplay {
    explicit RegisterReplay(const std::string& name) {
        replays()[name] = [kit = std::shared_ptr<Kit>{}](const VectorFile& file, const std::string& limiter) mutable {
            if (!kit) kit = std::make_shared<Kit>();
            return replay(*kit, file, limiter);
        };
    }
};

}  // namespace conformance

#endif
