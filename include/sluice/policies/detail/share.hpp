// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_DETAIL_SHARE_HPP
#define SLUICE_POLICIES_DETAIL_SHARE_HPP

#include <chrono>
#include <cstdint>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/int128.hpp>
#include <sluice/detail/validate.hpp>
#include <sluice/rate.hpp>

namespace sluice {

// share_of(policy, instances), beside each policy: what each of so many processes enforces, so that all together keep to
// `policy`. Limits are rounded down but stay 1 at least, so that a limit below the number of instances admits that
// number. No instances count as one. A policy of your own takes part with an overload in its namespace.

/// Exact, unless the period becomes longer than 100 years.
inline Rate share_of(const Rate& rate, std::uint32_t instances) noexcept {
    const auto period =
        detail::uint128{static_cast<std::uint64_t>(rate.period().count())} * std::max<std::uint32_t>(1, instances);
    const auto chosen = std::min(period, static_cast<detail::uint128>(detail::max_period_ns));
    const auto count = (rate.count() * chosen + period - 1) / period;  // rounded up: never slower than the share
    return {static_cast<std::uint64_t>(count), std::chrono::nanoseconds{static_cast<std::int64_t>(chosen)}};
}

namespace detail {

constexpr std::uint64_t share_of_limit(std::uint64_t limit, std::uint32_t instances) noexcept {
    return std::max<std::uint64_t>(1, limit / std::max<std::uint32_t>(1, instances));
}

}  // namespace detail
}  // namespace sluice

#endif
