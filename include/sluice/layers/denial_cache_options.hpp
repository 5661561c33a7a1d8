// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DENIAL_CACHE_OPTIONS_HPP
#define SLUICE_LAYERS_DENIAL_CACHE_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <sluice/detail/validate.hpp>

namespace sluice {

struct DenialCacheOptions {
    std::size_t max_keys = 65'536;  ///< denied keys that are remembered at once, 1 .. 2^24; 80 bytes each
    std::chrono::nanoseconds cap = std::chrono::seconds{1};  ///< no denial is remembered for longer

    /// *this, or std::invalid_argument.
    const DenialCacheOptions& checked() const {
        static_cast<void>(detail::checked_units("max_keys", max_keys, std::uint64_t{1} << 24));
        static_cast<void>(detail::checked_period("cap", cap));
        return *this;
    }
};

struct DenialCacheStats {
    std::uint64_t hits = 0;        ///< requests denied without asking the store
    std::uint64_t remembered = 0;  ///< denials of the store that were written down
};

}  // namespace sluice

#endif
