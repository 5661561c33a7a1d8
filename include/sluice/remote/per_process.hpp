// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_PER_PROCESS_HPP
#define SLUICE_REMOTE_PER_PROCESS_HPP

#include <atomic>
#include <memory>

#include <sluice/remote/fork_check.hpp>

namespace sluice::detail::remote {

/// What a process must not share with the children that it forks: its connections. A child makes its own when it first
/// asks. Those that it inherited are abandoned, which closes their descriptors, and left where they are: threads of the
/// parent were in the middle of using them, and may hold their locks. Thread-safe.
template <class T>
class PerProcess {
public:
    PerProcess() = default;
    PerProcess(const PerProcess&) = delete;
    PerProcess& operator=(const PerProcess&) = delete;
    ~PerProcess() {
        Owned* const owned = owned_.load(std::memory_order_acquire);
        if (owned != nullptr && owned->owner == ForkCheck::get()) delete owned;
    }

    /// `make` returns a std::unique_ptr<T>; several threads may call it at first, and one of theirs is kept.
    template <class Make>
    T& get(Make make) {
        Owned* known = owned_.load(std::memory_order_acquire);
        const pid_t me = ForkCheck::get();
        if (known != nullptr && known->owner == me) [[likely]]
            return *known->value;
        auto fresh = std::make_unique<Owned>(Owned{me, make()});
        if (!owned_.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) return *known->value;
        if (known != nullptr) known->value->abandon();
        return *fresh.release()->value;
    }

    /// The one that this process has made, or null.
    T* peek() const noexcept {
        const Owned* const owned = owned_.load(std::memory_order_acquire);
        return owned == nullptr || owned->owner != ForkCheck::get() ? nullptr : owned->value.get();
    }

private:
    struct Owned {
        pid_t owner;
        std::unique_ptr<T> value;
    };
    std::atomic<Owned*> owned_{nullptr};
};

}  // namespace sluice::detail::remote

#endif
