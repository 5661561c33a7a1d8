// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_FORK_CHECK_HPP
#define SLUICE_REMOTE_FORK_CHECK_HPP

#include <pthread.h>
#include <unistd.h>

#include <atomic>

namespace sluice::detail::remote {

/// getpid() without the system call, which every decision would make to notice that it is in a forked child. Not noticed is
/// a child made past fork(), by a bare clone(2) or _Fork(), nor fork() itself by a handler (pthread_atfork) that was
/// registered before this one and runs in the child.
class ForkCheck {
public:
    static pid_t get() noexcept {
        const pid_t known = known_.load(std::memory_order_relaxed);
        if (known != 0) [[likely]]
            return known;
        const pid_t id = ::getpid();
        if (is_forgotten_by_children_) known_.store(id, std::memory_order_relaxed);
        return id;
    }

private:
    static void forget() noexcept { known_.store(0, std::memory_order_relaxed); }

    static inline std::atomic<pid_t> known_{0};
    // False until it is initialized, which is when nothing may be known yet.
    static inline const bool is_forgotten_by_children_ = ::pthread_atfork(nullptr, nullptr, &forget) == 0;
};

}  // namespace sluice::detail::remote

#endif
