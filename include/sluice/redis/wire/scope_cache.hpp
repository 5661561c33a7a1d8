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

namespace sluice::redis {

/// What all requests of one limiter and policy have in common: the policy's arguments in RESP, and how its keys begin.
struct Prepared {
    std::uint64_t scope_id = 0;
    Arguments common{};
    std::string space{};
};

/// Those of the first scopes that a store is asked for, since to write them takes half of what a request takes to
/// write. Others, where two scopes meet in a place, are made for each call. Takes no lock; nothing is freed before the end.
class PreparedScopes {
public:
    PreparedScopes() = default;
    PreparedScopes(const PreparedScopes&) = delete;
    ~PreparedScopes() {
        for (const auto& place : places_) delete place.load(std::memory_order_acquire);
    }

    /// Null where it is not known.
    const Prepared* find(std::uint64_t scope_id) const noexcept {
        const Prepared* const known = places_[scope_id % places].load(std::memory_order_acquire);
        return known != nullptr && known->scope_id == scope_id ? known : nullptr;
    }

    /// What was made, for later calls too if its place is free: else it stays with the caller.
    const Prepared* keep(std::unique_ptr<const Prepared>& made) noexcept {
        const Prepared* nobody = nullptr;
        if (places_[made->scope_id % places].compare_exchange_strong(nobody, made.get(), std::memory_order_acq_rel))
            return made.release();
        return made.get();
    }

private:
    static constexpr std::size_t places = 64;
    std::array<std::atomic<const Prepared*>, places> places_{};
};

}  // namespace sluice::redis

#endif
