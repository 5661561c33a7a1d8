// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_MEMORY_OPTIONS_HPP
#define SLUICE_MEMORY_MEMORY_OPTIONS_HPP

#include <cstddef>
#include <cstdint>
#include <string>

#include <sluice/detail/validate.hpp>

namespace sluice {

/// How a full store serves a new key.
enum class OnFull {
    overflow,  ///< by one of a few states that new keys of a limiter and policy share, chosen by the key's hash. The
               ///< Decision is that state's. A peek of such a key shows a fresh state, and refund and reset do nothing.
               ///< When the key later finds a slot it starts fresh, so it gains one capacity at most
    deny,      ///< denied, with Errc::store_full
    allow,     ///< allowed uncounted, with Errc::store_full
};

struct MemoryOptions {
    /// Keys with a live state of their own at once, 1 .. 2^32 (2^24 on 32-bit processors). A full store makes overflow
    /// states on top: one for each 64 keys, from 1 to 64 in all, which limiters and policies that share the store share too.
    std::size_t max_keys = 1'048'576;
    OnFull on_full = OnFull::overflow;
    /// Know keys by 126 bits of two hashes instead of 62 of one: two of n keys share a state with a probability of
    /// n^2 / 2^126, that is never. 8 bytes a slot, and a second hash for each request.
    bool wide_fingerprints = false;

    /// *this, or std::invalid_argument.
    const MemoryOptions& checked() const {
        constexpr std::uint64_t most = std::uint64_t{1} << (sizeof(std::size_t) == 8 ? 32 : 24);
        static_cast<void>(detail::checked_units("max_keys", max_keys, most));
        return *this;
    }
};

}  // namespace sluice

#endif
