// SPDX-License-Identifier: MIT
#ifndef SLUICE_EXAMPLES_SUPPORT_SERVICE_PAUSE_HPP
#define SLUICE_EXAMPLES_SUPPORT_SERVICE_PAUSE_HPP

#include <algorithm>
#include <chrono>
#include <string_view>

#include <sluice/http/service_limits.hpp>

namespace example {

/// How long a service wants to be left alone, by its fields Retry-After and RateLimit; empty where it sent none.
inline std::chrono::nanoseconds pause_after(std::string_view retry_after, std::string_view rate_limit) {
    using namespace std::chrono_literals;
    std::chrono::nanoseconds pause{0};
    if (const auto wait = sluice::http::parse_retry_after(retry_after, std::chrono::system_clock::now())) pause = *wait;
    if (const auto limits = sluice::http::parse_rate_limit(rate_limit)) {
        for (const auto& limit : *limits) {
            // Rounded up to whole seconds, so that it may be over nearly one sooner.
            if (limit.remaining == 0 && limit.reset)
                pause = std::max<std::chrono::nanoseconds>(pause, *limit.reset - 1s);
        }
    }
    return pause;
}

}  // namespace example

#endif
