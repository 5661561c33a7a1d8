// SPDX-License-Identifier: MIT
//
// A policy of one's own: a cooldown. After each allowed request a key has to wait; the cost does not matter.
#include <array>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string_view>

#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

class Cooldown {
public:
    struct State {
        nanoseconds ready{0};  // from then on the next request is allowed
    };
    static constexpr std::string_view kind = "cooldown";

    explicit Cooldown(nanoseconds wait) : wait_(wait) {}

    std::array<std::int64_t, 1> parameters() const { return {wait_.count()}; }
    sluice::Quota quota() const { return {1, wait_}; }

    sluice::Decision step(State& state, nanoseconds now, std::uint64_t cost) const noexcept {
        // A clock that went back must not lock the key out for longer than one wait.
        if (state.ready > now + wait_) state.ready = now + wait_;
        sluice::Decision decision{.allowed = cost == 0 || state.ready <= now, .limit = 1};
        if (!decision.allowed) decision.retry_after = state.ready - now;
        if (decision.allowed && cost > 0) state.ready = now + wait_;
        decision.remaining = state.ready <= now ? 1 : 0;
        decision.reset_after = state.ready <= now ? 0ns : state.ready - now;
        return decision;
    }

    nanoseconds expires_at(const State& state) const noexcept { return state.ready; }

private:
    nanoseconds wait_;
};

int main() {
    const sluice::ManualClock clock;
    const sluice::MemoryStore<Cooldown, sluice::ManualClock> store{{}, clock};
    sluice::RateLimiter limiter{Cooldown{30s}, store};

    for (const auto pause : {0s, 10s, 20s}) {
        clock.advance(pause);
        const auto decision = limiter.try_consume("password reset for user:42");
        std::cout << (decision ? "allowed" : "denied") << ", the next in "
                  << std::chrono::duration_cast<std::chrono::seconds>(decision.reset_after).count() << " s\n";
    }
}
