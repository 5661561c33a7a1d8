// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_SLOT_HPP
#define SLUICE_REDIS_WIRE_SLOT_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::detail::redis {

/// Which of a cluster's 16,384 hash slots a key lies in. All keys of one script have to lie in one.
using Slot = std::uint16_t;

inline constexpr std::size_t slot_count = 16'384;
/// Of calls to a server that is no cluster's.
inline constexpr Slot any_slot = 0xFFFF;

/// CRC16/XMODEM: polynomial 0x1021, begins with 0, nothing reflected or inverted. The check value, of "123456789", is
/// 0x31C3 (Redis cluster specification, appendix A).
inline std::uint16_t crc16(std::string_view bytes) noexcept {
    static constexpr auto table = [] {
        std::array<std::uint16_t, 256> made{};
        for (std::uint32_t byte = 0; byte != 256; ++byte) {
            std::uint32_t crc = byte << 8;
            for (int bit = 0; bit != 8; ++bit) crc = (crc & 0x8000U) != 0 ? crc << 1 ^ 0x1021U : crc << 1;
            made[byte] = static_cast<std::uint16_t>(crc & 0xFFFFU);
        }
        return made;
    }();
    std::uint32_t crc = 0;
    for (const char c : bytes) {
        const auto index = (crc >> 8 ^ static_cast<unsigned char>(c)) & 0xFFU;
        crc = (crc << 8 ^ table[index]) & 0xFFFFU;
    }
    return static_cast<std::uint16_t>(crc);
}

/// What of a key chooses its slot: what stands between the first { and the first } behind it, unless that is nothing;
/// else all of it.
inline std::string_view hash_tag(std::string_view key) noexcept {
    const auto open = key.find('{');
    if (open == std::string_view::npos) return key;
    const auto close = key.find('}', open + 1);
    if (close == std::string_view::npos || close == open + 1) return key;
    return key.substr(open + 1, close - open - 1);
}

inline Slot slot_of(std::string_view key) noexcept { return crc16(hash_tag(key)) % slot_count; }

}  // namespace sluice::detail::redis

#endif
