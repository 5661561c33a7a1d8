// SPDX-License-Identifier: MIT
//
// What a service says: any bytes are read or refused, and what was read is within its range.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <sluice/http/service_limits.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace std::chrono_literals;
    const std::string text(data, data + size);  // on the heap, so that its end is watched
    const auto now = std::chrono::system_clock::time_point{1'767'225'600s};
    if (const auto wait = sluice::http::parse_retry_after(text, now)) {
        if (*wait < 0s || *wait > 24h * 36'525) std::abort();
    }
    constexpr std::uint64_t most = 999'999'999'999'999;
    if (const auto limits = sluice::http::parse_rate_limit(text)) {
        for (const auto& limit : *limits) {
            if (limit.remaining > most || (limit.reset && *limit.reset < 0s)) std::abort();
        }
    }
    if (const auto policies = sluice::http::parse_rate_limit_policy(text)) {
        for (const auto& policy : *policies) {
            if (policy.quota > most || (policy.window && *policy.window < 0s)) std::abort();
        }
    }
    return 0;
}
