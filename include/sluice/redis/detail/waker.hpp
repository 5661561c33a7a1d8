// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_DETAIL_WAKER_HPP
#define SLUICE_REDIS_DETAIL_WAKER_HPP

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace sluice::redis {

/// What a thread sleeps on while others have its call. It belongs to the thread and to whoever is waking it, since the
/// call ends, and with it all that it owns, as soon as its thread knows; so no lock that the thread needs next is held
/// while it is woken, and it does not wake only to wait again.
class Waker {
public:
    /// The calling thread's own in this process. A forked child's is a new one: the parent's may have been in use. At
    /// the thread's end, when other destructors may still use a store, each is a new one. Throws std::bad_alloc.
    static std::shared_ptr<Waker> own(pid_t process) {
        static thread_local bool is_gone = false;
        static thread_local struct Owner {
            std::shared_ptr<Waker> waker{};
            ~Owner() { is_gone = true; }
        } owner;
        if (is_gone) return std::make_shared<Waker>(process);
        if (!owner.waker || owner.waker->process_ != process) owner.waker = std::make_shared<Waker>(process);
        return owner.waker;
    }

    explicit Waker(pid_t process) : process_(process) {}

    /// Writes `value` to `to`, for the thread that waits for it.
    template <class T>
    void tell(T& to, T value) noexcept {
        {
            const std::lock_guard lock{mutex_};
            to = value;
        }
        told_.notify_one();
    }

    /// Waits for something else than `nothing` in `from`; false if that has not come in time.
    template <class T>
    bool wait_until(const T& from, T nothing, std::chrono::steady_clock::time_point deadline) noexcept {
        std::unique_lock lock{mutex_};
        return told_.wait_until(lock, deadline, [&] { return from != nothing; });
    }
    template <class T>
    void wait(const T& from, T nothing) noexcept {
        std::unique_lock lock{mutex_};
        told_.wait(lock, [&] { return from != nothing; });
    }

private:
    const pid_t process_;
    std::mutex mutex_;
    std::condition_variable told_;
};

}  // namespace sluice::redis

#endif
