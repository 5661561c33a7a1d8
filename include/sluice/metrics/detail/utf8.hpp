// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_DETAIL_UTF8_HPP
#define SLUICE_METRICS_DETAIL_UTF8_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::metrics::detail {

/// Well-formed UTF-8 as RFC 3629 has it: shortest forms, no surrogates, nothing above U+10FFFF.
constexpr bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto first = static_cast<std::uint8_t>(text.front());
        const std::size_t size = first < 0x80   ? 1
                                 : first < 0xc2 ? 0
                                 : first < 0xe0 ? 2
                                 : first < 0xf0 ? 3
                                 : first < 0xf5 ? 4
                                                : 0;
        if (size == 0 || text.size() < size) return false;
        std::uint32_t point = size == 1 ? first : first & (0x7fu >> size);
        for (std::size_t i = 1; i != size; ++i) {
            const auto next = static_cast<std::uint8_t>(text[i]);
            if ((next & 0xc0u) != 0x80u) return false;
            point = point << 6 | (next & 0x3fu);
        }
        constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (point < least[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
        text.remove_prefix(size);
    }
    return true;
}

}  // namespace sluice::metrics::detail

#endif
