// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_CLOCK_PROCESS_LOCK_HPP
#define SLUICE_DETAIL_CLOCK_PROCESS_LOCK_HPP

#include <atomic>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace sluice::detail {

/// A lock that nobody waits for, to be had by one thread of a process: a child that was forked while it was taken takes it
/// over from the thread that does not exist there. A child whose process id is the same, in a namespace of its own, never
/// does, which its user must bear. Whoever holds it can be interrupted by a signal handler that tries to.
class ProcessLock {
public:
    enum class Taken { no, yes, from_parent };  // from_parent: what it guards may be half-written

    constexpr ProcessLock() = default;

    Taken try_lock() noexcept {
        int owner = owner_.load(std::memory_order_relaxed);
        const int id = process_id();
        if (owner == id) return Taken::no;
        const Taken taken = owner == 0 ? Taken::yes : Taken::from_parent;
        return owner_.compare_exchange_strong(owner, id, std::memory_order_acquire, std::memory_order_relaxed)
                   ? taken
                   : Taken::no;
    }
    void unlock() noexcept { owner_.store(0, std::memory_order_release); }

private:
    static int process_id() noexcept {
#if __has_include(<unistd.h>)
        return ::getpid();
#else
        return 1;
#endif
    }

    std::atomic<int> owner_{0};  // the process, or 0
};

}  // namespace sluice::detail

#endif
