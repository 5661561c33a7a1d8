// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_KEY_LOCKS_HPP
#define SLUICE_REMOTE_KEY_LOCKS_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>

#include <sluice/remote/deadline.hpp>
#include <sluice/remote/per_process.hpp>

namespace sluice::detail::remote {

/// Lets one thread of this process at a time work on a key: those that compare and swap the same one would only make each
/// other try again. Keys share 64 locks. Thread-safe; a forked child has locks of its own.
class KeyLocks {
    static constexpr std::size_t count = 64;
    struct Mutexes {
        std::array<std::timed_mutex, count> all{};
        void abandon() noexcept {}
    };

public:
    /// The locks of some keys, until it is destroyed.
    class Held {
    public:
        Held(KeyLocks& locks, std::span<const std::string_view> keys, const Deadline& deadline)
            : mutexes_(locks.mutexes_.get([] { return std::make_unique<Mutexes>(); })) {
            std::uint64_t wanted = 0;
            for (const auto key : keys) wanted |= std::uint64_t{1} << std::hash<std::string_view>{}(key) % count;
            // All callers take them in the same order.
            for (; wanted != 0; wanted &= wanted - 1) {
                const auto index = static_cast<std::size_t>(std::countr_zero(wanted));
                is_complete_ = mutexes_.all[index].try_lock_until(deadline.at());
                if (!is_complete_) return;
                held_ |= std::uint64_t{1} << index;
            }
        }
        Held(const Held&) = delete;
        Held& operator=(const Held&) = delete;
        ~Held() {
            for (; held_ != 0; held_ &= held_ - 1)
                mutexes_.all[static_cast<std::size_t>(std::countr_zero(held_))].unlock();
        }

        /// False where the deadline passed before.
        bool is_complete() const noexcept { return is_complete_; }

    private:
        Mutexes& mutexes_;
        std::uint64_t held_ = 0;
        bool is_complete_ = true;
    };

private:
    PerProcess<Mutexes> mutexes_{};
};

}  // namespace sluice::detail::remote

#endif
