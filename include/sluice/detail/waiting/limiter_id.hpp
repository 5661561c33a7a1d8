// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_WAITING_LIMITER_ID_HPP
#define SLUICE_DETAIL_WAITING_LIMITER_ID_HPP

#include <atomic>
#include <cstdint>

namespace sluice::detail::waiting {

/// Tells a limiter and its copies from all others of this process.
class LimiterId {
public:
    LimiterId() noexcept : number_(next_.fetch_add(1, std::memory_order_relaxed)) {}
    std::uint64_t number() const noexcept { return number_; }

private:
    static inline constinit std::atomic<std::uint64_t> next_{1};
    std::uint64_t number_;
};

}  // namespace sluice::detail::waiting

#endif
