// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_WAKE_WORD_HPP
#define SLUICE_REMOTE_WAKE_WORD_HPP

#include <atomic>
#include <chrono>
#include <cstdint>

#include <sluice/remote/deadline.hpp>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#else
#include <condition_variable>
#include <mutex>
#endif

namespace sluice::detail::remote {

/// A number that threads wait for to change, until a deadline: std::atomic's wait has none, and a condition variable
/// lets every woken thread lock its mutex in turn, with a system call each. Thread-safe.
class WakeWord {
public:
    std::uint32_t get() const noexcept { return value_.load(std::memory_order_acquire); }

#ifdef __linux__
    void set(std::uint32_t value) noexcept { value_.store(value, std::memory_order_release); }
    void wake_one() noexcept { futex(FUTEX_WAKE_PRIVATE, 1, nullptr); }
    void wake_all() noexcept { futex(FUTEX_WAKE_PRIVATE, INT_MAX, nullptr); }

    /// Returns at once unless the number is `old`; else when woken, at `until`, or for no reason.
    void wait(std::uint32_t old, Deadline::Clock::time_point until = Deadline::Clock::time_point::max()) noexcept {
        const auto since = until.time_since_epoch();
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
        const Time time{static_cast<long>(seconds.count()), static_cast<long>((since - seconds).count())};
        futex(FUTEX_WAIT_BITSET_PRIVATE, old, &time);
    }

private:
    /// The kernel's for this system call, which is not always that of <time.h>.
    struct Time {
        long seconds, nanoseconds;
    };

    void futex(int operation, std::uint32_t value, const Time* until) noexcept {
        ::syscall(SYS_futex, &value_, operation, value, until, nullptr, FUTEX_BITSET_MATCH_ANY);
    }
#else
    void set(std::uint32_t value) noexcept {
        const std::lock_guard lock{mutex_};
        value_.store(value, std::memory_order_release);
    }
    void wake_one() noexcept { changed_.notify_one(); }
    void wake_all() noexcept { changed_.notify_all(); }

    void wait(std::uint32_t old, Deadline::Clock::time_point until = Deadline::Clock::time_point::max()) noexcept {
        std::unique_lock lock{mutex_};
        if (get() == old) changed_.wait_until(lock, until);
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
#endif
    std::atomic<std::uint32_t> value_{0};
};

}  // namespace sluice::detail::remote

#endif
