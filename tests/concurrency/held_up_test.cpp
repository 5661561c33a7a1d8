// SPDX-License-Identifier: MIT
// A thread that reads the clock and is then held up, while others go on, must not undo what they did.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

/// Its next reading, if told so, is an old one: that of a thread held up since.
class HeldUpClock {
public:
    std::chrono::nanoseconds now() const noexcept {
        return std::chrono::nanoseconds{shared_->now.load() - shared_->late.exchange(0)};
    }
    void set(std::chrono::nanoseconds now) const { shared_->now.store(now.count()); }
    void be_late(std::chrono::nanoseconds by) const { shared_->late.store(by.count()); }

private:
    struct Shared {
        std::atomic<std::int64_t> now{0};
        std::atomic<std::int64_t> late{0};
    };
    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

constexpr std::chrono::nanoseconds edge{1'767'225'600'000'000'000};  // where windows begin

template <class P>
void keeps_the_present(const P& policy) {
    const HeldUpClock clock;
    const sluice::RateLimiter limiter{policy, sluice::MemoryStore<P, HeldUpClock>{{}, clock}};
    clock.set(edge + 1ms);
    for (int i = 0; i != 10; ++i) REQUIRE(limiter.try_consume("hot").allowed);
    clock.be_late(40ms);
    CHECK_FALSE(limiter.try_consume("hot").allowed);
    clock.set(edge + 2ms);
    CHECK_FALSE(limiter.try_consume("hot").allowed);
    clock.be_late(40ms);
    CHECK_FALSE(limiter.refund("hot", 1));
    CHECK(limiter.try_consume("hot").allowed);
    CHECK_FALSE(limiter.try_consume("hot").allowed);
}

}  // namespace

TEST_CASE("an old reading of the clock admits nothing") {
    keeps_the_present(sluice::TokenBucket{10, sluice::per_second(10)});
    keeps_the_present(sluice::LeakyBucket{10, sluice::per_second(10)});
    keeps_the_present(sluice::FixedWindow{10, 1s});
    keeps_the_present(sluice::FixedWindow{10, 500ms});
    keeps_the_present(sluice::SlidingWindowCounter{10, 1s});
    keeps_the_present(sluice::SlidingWindow{10, 1s});
    keeps_the_present(sluice::AllOf{sluice::FixedWindow{10, 1s}, sluice::TokenBucket{1'000, sluice::per_second(1)}});
}

TEST_CASE("a clock that really went back is believed") {
    const sluice::ManualClock clock{edge + 1h};
    const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_second(10)},
                                      sluice::MemoryStore<sluice::TokenBucket, sluice::ManualClock>{{}, clock}};
    REQUIRE(limiter.try_consume("hot", 10).allowed);
    clock.set(edge);
    CHECK_FALSE(limiter.try_consume("hot").allowed);
    clock.advance(1s);
    CHECK(limiter.try_consume("hot", 10).allowed);
}
