// SPDX-License-Identifier: MIT
#include "all_headers.hpp"

const void* second_error_category() { return &sluice::error_category(); }

bool second_allows() {
    return sluice::RateLimiter{sluice::TokenBucket{1, sluice::per_second(1)}}.try_consume("").allowed;
}
