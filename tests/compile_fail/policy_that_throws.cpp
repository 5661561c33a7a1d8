// SPDX-License-Identifier: MIT
// expect: constraints not satisfied
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/sluice.hpp>

struct Never {
    struct State {};
    static constexpr std::string_view kind = "never";
    std::array<int, 0> parameters() const { return {}; }
    sluice::Quota quota() const { return {}; }
#ifdef WRONG
    sluice::Decision step(State&, std::chrono::nanoseconds, std::uint64_t) const;
#else
    sluice::Decision step(State&, std::chrono::nanoseconds, std::uint64_t) const noexcept;
#endif
    std::chrono::nanoseconds expires_at(const State&) const noexcept;
};

using Store = sluice::MemoryStore<Never>;
