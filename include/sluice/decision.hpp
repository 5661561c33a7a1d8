// SPDX-License-Identifier: MIT
#ifndef SLUICE_DECISION_HPP
#define SLUICE_DECISION_HPP

#include <chrono>
#include <cstdint>
#include <system_error>

namespace sluice {

namespace detail {

// Part of every Decision: libstdc++'s default constructor of error_code calls into the shared library for it.
inline const std::error_category& no_category = std::system_category();

}  // namespace detail

/// The answer to one request. A plain value; all durations count from the moment of the decision.
struct Decision {
    bool allowed = false;
    std::uint64_t limit = 0;                  ///< capacity or limit of the policy that binds
    std::uint64_t remaining = 0;              ///< whole units still available, rounded down
    std::chrono::nanoseconds retry_after{0};  ///< 0 when allowed; rounded up; `never` when the cost can't ever fit
    std::chrono::nanoseconds reset_after{0};  ///< until the key is as good as new, if nothing else comes
    std::chrono::nanoseconds delay{0};        ///< hold the request so long before serving it (LeakyBucket), else 0
    std::error_code error{0, detail::no_category};  ///< the store failed and `allowed` is the failure mode's answer

    static constexpr std::chrono::nanoseconds never = std::chrono::nanoseconds::max();

    explicit operator bool() const noexcept { return allowed; }
};

/// What a policy promises, for headers and metrics: `limit` units per `window` (for a bucket the time to fill it).
struct Quota {
    std::uint64_t limit = 0;
    std::chrono::nanoseconds window{0};

    friend bool operator==(const Quota&, const Quota&) = default;
};

}  // namespace sluice

#endif
