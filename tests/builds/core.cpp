// SPDX-License-Identifier: MIT
// What a program without servers uses. With an argument it makes a policy of a bad value.

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include <sluice/layers/fallback.hpp>
#include <sluice/layers/share.hpp>
#include <sluice/metrics/registry.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;

namespace {

template <class P>
bool limits(const P& policy) {
    const sluice::ManualClock clock{std::chrono::hours{500'000}};
    sluice::metrics::Registry registry;
    const sluice::RateLimiter limiter{policy,
                                      sluice::MemoryStore<P, sluice::ManualClock>{{.max_keys = 1'000}, clock},
                                      {.name = "api", .observer = registry.limiter("api")}};
    const sluice::AnyLimiter any = limiter;
    bool right = limiter.try_consume("key", 2) && any.try_consume("key") && !any.try_consume("key");
    right = right && !limiter.refund("key", 1) && limiter.peek("key") && !limiter.reset("key");
    const std::array<std::string_view, 2> keys{"key", "another key"};
    std::array<sluice::Decision, 2> decisions;
    limiter.try_consume_many(keys, decisions);
    return right && decisions[1].remaining == 2 && !registry.prometheus().empty();
}

}  // namespace

int main(int argc, char**) {
    if (argc > 1) static_cast<void>(sluice::TokenBucket{-5, sluice::per_second(1)});
    const sluice::TokenBucket bucket{3, sluice::per_second(1)};
    const sluice::RateLimiter shared{bucket, sluice::Share{sluice::MemoryStore<sluice::TokenBucket>{}, 3}};
    const sluice::RateLimiter backed{bucket, sluice::Fallback{sluice::MemoryStore<sluice::TokenBucket>{},
                                                              sluice::MemoryStore<sluice::TokenBucket>{}}};
    return limits(bucket) && limits(sluice::LeakyBucket{3, sluice::per_second(1)}) &&
                   limits(sluice::FixedWindow{3, 10s}) && limits(sluice::SlidingWindow{3, 10s}) &&
                   limits(sluice::SlidingWindowCounter{3, 10s}) &&
                   limits(sluice::AllOf{bucket, sluice::FixedWindow{5, 24h}}) && shared.try_consume("key") &&
                   backed.try_consume("key")
               ? 0
               : 1;
}
