// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_SCOPE_CACHE_HPP
#define SLUICE_REDIS_WIRE_SCOPE_CACHE_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <sluice/redis/wire/resp.hpp>

namespace sluice::detail::redis {

/// What all requests of one limiter and policy have in common, for the first scopes that a store is asked for: to write
/// it takes half of what a request takes to write. That of others, where two scopes have the same slot, is made for each
/// call. Takes no lock; nothing is freed before the end.
class ScopeCache {
public:
    struct Entry {
        std::uint64_t scope_id = 0;
        Arguments common{};        ///< the policy's arguments
        std::string key_prefix{};  ///< how the scope's keys begin
    };

    ScopeCache() = default;
    ScopeCache(const ScopeCache&) = delete;
    ScopeCache& operator=(const ScopeCache&) = delete;
    ~ScopeCache() {
        for (const auto& slot : slots_) delete slot.load(std::memory_order_acquire);
    }

    /// Null where it is not known.
    const Entry* find(std::uint64_t scope_id) const noexcept {
        const Entry* const known = slots_[scope_id % slot_count].load(std::memory_order_acquire);
        return known != nullptr && known->scope_id == scope_id ? known : nullptr;
    }

    /// What was made, for later calls too if its slot is free: else it stays with the caller.
    const Entry* keep(std::unique_ptr<const Entry>& made) noexcept {
        const Entry* nobody = nullptr;
        if (slots_[made->scope_id % slot_count].compare_exchange_strong(nobody, made.get(), std::memory_order_acq_rel))
            return made.release();
        return made.get();
    }

private:
    static constexpr std::size_t slot_count = 64;
    std::array<std::atomic<const Entry*>, slot_count> slots_{};
};

}  // namespace sluice::detail::redis

#endif
