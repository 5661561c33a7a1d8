// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_DEADLINE_HPP
#define SLUICE_REMOTE_DEADLINE_HPP

#include <algorithm>
#include <chrono>

namespace sluice::detail::remote {

/// One absolute point in time by which a call answers, whatever it has to do until then.
class Deadline {
public:
    using Clock = std::chrono::steady_clock;

    explicit Deadline(std::chrono::nanoseconds budget) noexcept : Deadline(Clock::now(), budget) {}
    Deadline(Clock::time_point start, std::chrono::nanoseconds budget) noexcept
        : start_(start), at_(start + std::min(budget, longest)) {}

    /// An earlier one: a share of what is left, for one of several attempts.
    Deadline share(int attempts_left) const noexcept { return Deadline{remaining() / std::max(1, attempts_left)}; }

    Clock::time_point start() const noexcept { return start_; }
    Clock::time_point at() const noexcept { return at_; }
    /// All the time that there was.
    std::chrono::nanoseconds budget() const noexcept { return at_ - start_; }
    std::chrono::nanoseconds remaining() const noexcept {
        return std::max(std::chrono::nanoseconds{0}, std::chrono::nanoseconds{at_ - Clock::now()});
    }
    bool has_passed() const noexcept { return Clock::now() >= at_; }

    /// For poll(2): rounded up, so that it never returns early to find a little time left.
    int poll_ms() const noexcept {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(remaining()).count();
        return static_cast<int>(std::min<decltype(left)>(left, 1'000'000));
    }

private:
    static constexpr std::chrono::nanoseconds longest = std::chrono::hours{24 * 365};  // sums stay in range

    Clock::time_point start_;
    Clock::time_point at_;
};

}  // namespace sluice::detail::remote

#endif
