// SPDX-License-Identifier: MIT
#ifndef SLUICE_LIMITER_OPTIONS_HPP
#define SLUICE_LIMITER_OPTIONS_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

#include <sluice/decision.hpp>
#include <sluice/error.hpp>
#include <sluice/observer.hpp>
#include <sluice/store.hpp>

namespace sluice {

struct LimiterOptions {
    std::string name{};                           ///< tells apart the limiters that share a store
    FailureMode on_failure = FailureMode::allow;  ///< `allowed` when the store fails
    std::shared_ptr<Observer> observer{};         ///< hears of every try_consume; none by default
};

namespace detail {

/// What a limiter answers where its store could not decide.
inline Decision settled_failure(const std::error_code& error, std::uint64_t limit, std::uint64_t cost,
                                FailureMode mode) noexcept {
    Decision decision = failure(error);
    decision.limit = limit;
    if (is_rejected(error)) return decision;
    if (cost > limit) {
        decision.retry_after = Decision::never;
    } else {
        decision.allowed = mode == FailureMode::allow;
    }
    return decision;
}

}  // namespace detail

}  // namespace sluice

#endif
