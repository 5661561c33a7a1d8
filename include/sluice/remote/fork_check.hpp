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
        if (is_forgotten_by_children()) known_.store(id, std::memory_order_relaxed);
        return id;
    }

private:
    enum class Handler { none, being_registered, registered };

    /// Whether the handler is registered, which the first call does. No call waits for another that is at it: a child that
    /// was forked just then asks the system every time.
    static bool is_forgotten_by_children() noexcept {
        Handler handler = handler_.load(std::memory_order_acquire);
        if (handler != Handler::none) return handler == Handler::registered;
        if (!handler_.compare_exchange_strong(handler, Handler::being_registered, std::memory_order_relaxed))
            return false;
        if (::pthread_atfork(nullptr, nullptr, &forget) != 0) return false;
        handler_.store(Handler::registered, std::memory_order_release);
        return true;
    }

    static void forget() noexcept { known_.store(0, std::memory_order_relaxed); }

    static constinit inline std::atomic<pid_t> known_{0};
    static constinit inline std::atomic<Handler> handler_{Handler::none};
};

}  // namespace sluice::detail::remote

#endif
