// SPDX-License-Identifier: MIT
//
// A policy of one's own: a cooldown. After each allowed request a key has to wait; the cost does not matter.
#ifndef EXAMPLES_COOLDOWN_HPP
#define EXAMPLES_COOLDOWN_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/policy.hpp>

class Cooldown {
public:
    using nanoseconds = std::chrono::nanoseconds;

    struct State {
        nanoseconds ready{0};  // from then on the next request is allowed
    };
    static constexpr std::string_view kind = "cooldown";

    explicit Cooldown(nanoseconds wait) : wait_(wait) {}

    std::array<std::int64_t, 1> parameters() const { return {wait_.count()}; }
    sluice::Quota quota() const { return {1, wait_}; }

    sluice::Decision step(State& state, nanoseconds now, std::uint64_t cost) const noexcept {
        // Readings of a clock may come up to 5 s late. One that went back must not lock the key out for longer than that.
        if (state.ready > now + wait_ + std::chrono::seconds{5}) state.ready = now + wait_;
        sluice::Decision decision{.allowed = cost == 0 || state.ready <= now, .limit = 1};
        if (!decision.allowed) decision.retry_after = state.ready - now;
        if (decision.allowed && cost > 0) state.ready = now + wait_;
        decision.remaining = state.ready <= now ? 1 : 0;
        if (state.ready > now) decision.reset_after = state.ready - now;
        return decision;
    }

    nanoseconds expires_at(const State& state) const noexcept { return state.ready; }

    // The state as integers, and back: with these two it also runs on RedisStore and PostgresStore.
    std::array<std::int64_t, 1> encode(const State& state) const noexcept { return {state.ready.count()}; }
    State decode(const std::array<std::int64_t, 1>& integers) const noexcept { return {nanoseconds{integers[0]}}; }

private:
    nanoseconds wait_;
};

#endif
