// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_SKEW_HPP
#define SLUICE_DETAIL_SKEW_HPP

#include <chrono>
#include <cstdint>

namespace sluice::detail {

/// Threads read the clock and are then held up, while others go on with later times. A state that lies ahead of `now` by
/// at most so much more than its policy itself can put it is decided as at its own time; one further ahead means that
/// the clock was set back: it is brought back to now, fully used. The same in every policy, store and script.
inline constexpr std::chrono::nanoseconds tolerated_skew = std::chrono::seconds{5};

/// Whether `time` lies after `now` by at most the tolerated skew.
constexpr bool is_within_skew(std::int64_t time, std::int64_t now) noexcept {
    return time > now && static_cast<std::uint64_t>(time) - static_cast<std::uint64_t>(now) <=
                             static_cast<std::uint64_t>(tolerated_skew.count());
}

}  // namespace sluice::detail

#endif
