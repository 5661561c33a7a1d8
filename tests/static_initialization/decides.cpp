// SPDX-License-Identifier: MIT
#include <string>
#include <system_error>

#include <sluice/sluice.hpp>

namespace {

/// Made in the first call, which may come before this file's own initialisers.
const auto& limiter() {
    static const sluice::RateLimiter instance{sluice::TokenBucket{1, sluice::per_day(1)}};
    return instance;
}

bool is_fine(const sluice::Decision& d) {
    return d.error == std::error_code{} && !d.error && d.error.message() == std::error_code{}.message();
}

}  // namespace

bool decides_rightly() {
    const sluice::Decision denied_at_any_time = limiter().try_consume("a", 2);
    const sluice::Decision first = limiter().try_consume("a");
    const sluice::Decision second = limiter().try_consume("a");
    limiter().reset("a");
    const std::error_code degraded = sluice::Errc::degraded;
    return is_fine(sluice::Decision{}) && is_fine(denied_at_any_time) && is_fine(first) && is_fine(second) &&
           !denied_at_any_time && first && !second && degraded == sluice::Errc::degraded &&
           degraded.message() == "decided by the fallback store";
}
