// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_BREAKER_HPP
#define SLUICE_REMOTE_BREAKER_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace sluice {

struct BreakerOptions {
    unsigned failures_to_open = 5;              ///< in a row; an answer after half of the timeout is half a failure
    std::chrono::milliseconds first_pause{50};  ///< doubled with each failed probe, and spread by +-20 %
    std::chrono::milliseconds longest_pause{500};
};

namespace detail::remote {

/// Keeps calls away from a server that fails. Closed: all pass. After some failures in a row it opens: calls are
/// turned away at once, until a pause is over and one call, the probe, may try; its success closes the breaker, its
/// failure begins a longer pause. A server that is slow opens it as well, and as long as its probes are slow, the
/// pauses grow. Thread-safe without locks.
class Breaker {
public:
    using Clock = std::chrono::steady_clock;
    enum class Permit : std::uint8_t { none, normal, probe };
    /// What a call tells about the server. An error that concerns one key or one request is an answer; a call that was
    /// never sent, or too late to be answered, tells nothing.
    enum class Evidence : std::uint8_t { nothing, answer, slow_answer, failure };

    explicit Breaker(const BreakerOptions& options) noexcept
        : options_(options), pause_ms_(options.first_pause.count()) {}

    /// Every permit but `none` is followed by a report. `longest_call`: a probe that has not reported by then is taken
    /// for lost.
    Permit ask(Clock::time_point now, std::chrono::nanoseconds longest_call) noexcept {
        auto until = open_until_.load(std::memory_order_acquire);
        if (until == 0) [[likely]]
            return Permit::normal;
        const auto ticks = now.time_since_epoch().count();
        if (ticks < until) return Permit::none;
        // Whoever moves the end of the pause is the probe; to the others the pause just goes on.
        const auto lease = std::chrono::duration_cast<Clock::duration>(longest_call + options_.first_pause).count();
        return open_until_.compare_exchange_strong(until, ticks + lease, std::memory_order_acq_rel) ? Permit::probe
                                                                                                    : Permit::none;
    }

    void report(Permit permit, Evidence evidence, Clock::time_point now) noexcept {
        if (permit == Permit::probe) {
            report_probe(evidence, now);
        } else if (evidence == Evidence::answer) {
            // Read first: in good times no thread writes here, and the line stays shared.
            if (half_failures_.load(std::memory_order_relaxed) != 0) half_failures_.store(0, std::memory_order_relaxed);
        } else if (evidence != Evidence::nothing) {
            const std::uint64_t halves = evidence == Evidence::failure ? 2 : 1;
            const std::uint64_t most = 2 * std::uint64_t{options_.failures_to_open};
            if (half_failures_.fetch_add(halves, std::memory_order_relaxed) + halves >= most && !is_open())
                open(now, pause_ms_.load(std::memory_order_relaxed));
        }
    }

    bool is_open() const noexcept { return open_until_.load(std::memory_order_acquire) != 0; }
    /// How often it went from closed to open.
    std::uint64_t openings() const noexcept { return openings_.load(std::memory_order_relaxed); }

private:
    /// Only a probe closes the breaker: other calls that are answered while it is open began before.
    void report_probe(Evidence evidence, Clock::time_point now) noexcept {
        const auto longer =
            std::min<std::int64_t>(pause_ms_.load(std::memory_order_relaxed) * 2, options_.longest_pause.count());
        switch (evidence) {
            case Evidence::nothing: open_until_.store(now.time_since_epoch().count(), std::memory_order_release); break;
            case Evidence::failure: open(now, longer); break;
            case Evidence::slow_answer: close(longer, options_.failures_to_open); break;
            case Evidence::answer: close(options_.first_pause.count(), 0); break;
        }
    }
    void close(std::int64_t next_pause_ms, std::uint64_t half_failures) noexcept {
        pause_ms_.store(next_pause_ms, std::memory_order_relaxed);
        half_failures_.store(half_failures, std::memory_order_relaxed);
        open_until_.store(0, std::memory_order_release);
    }

    void open(Clock::time_point now, std::int64_t pause_ms) noexcept {
        pause_ms_.store(pause_ms, std::memory_order_relaxed);
        // 80 % to 120 %, so that many processes do not come back in step. Any badly mixed number will do.
        const auto mixed = static_cast<std::uint64_t>(now.time_since_epoch().count()) * 0x9e3779b97f4a7c15;
        const auto percent = static_cast<std::int64_t>(80 + (mixed >> 32) % 41);
        const auto pause =
            std::chrono::duration_cast<Clock::duration>(std::chrono::microseconds{pause_ms * percent * 10});
        if (open_until_.exchange((now + pause).time_since_epoch().count(), std::memory_order_acq_rel) == 0) {
            openings_.fetch_add(1, std::memory_order_relaxed);
        }
    }

    BreakerOptions options_;
    std::atomic<std::uint64_t> half_failures_{0};
    std::atomic<std::int64_t> pause_ms_;
    std::atomic<Clock::rep> open_until_{0};  // 0: closed
    std::atomic<std::uint64_t> openings_{0};
};

}  // namespace detail::remote

}  // namespace sluice

#endif
