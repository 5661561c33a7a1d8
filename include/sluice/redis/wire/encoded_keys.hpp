// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_ENCODED_KEYS_HPP
#define SLUICE_REDIS_WIRE_ENCODED_KEYS_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include <sluice/detail/validate.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/slot.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::redis {

/// What a call asks of each of its keys, as the RESP arguments that scripts take: the keys, and the units of each.
class EncodedKeys {
public:
    EncodedKeys() = default;
    EncodedKeys(std::string_view prefix, std::size_t parts, std::span<const std::string_view> keys, Operation operation,
                std::uint64_t units) {
        encode(prefix, parts, keys, operation, units);
    }

    /// In the memory of what was encoded before.
    void encode(std::string_view prefix, std::size_t parts, std::span<const std::string_view> keys, Operation operation,
                std::uint64_t units) {
        keys_.clear();
        units_.clear();
        char number[24];
        char* digits = number;
        switch (operation) {
            case Operation::peek: *digits++ = '0'; break;
            default: break;
            case Operation::refund: *digits++ = '-'; break;
            case Operation::reset: *digits++ = '-', units = detail::max_units; break;
        }
        const char* const end = std::to_chars(digits, std::end(number), std::min(units, detail::max_units)).ptr;
        append_argument(units_, std::string_view{number, static_cast<std::size_t>(end - number)});

        const std::size_t part_size = parts > 1 ? 2 : 0;
        keys_.reserve(keys.size() * (prefix.size() + 32) * parts);
        for (const std::string_view key : keys) {
            const std::size_t escaped = escaped_size(key, braces);
            const bool is_plain = escaped == key.size();
            for (std::size_t part = 0; part != parts; ++part) {
                append_line(keys_, '$', prefix.size() + escaped + part_size);
                keys_ += prefix;
                if (is_plain) {
                    keys_ += key;
                } else {
                    append_escaped(keys_, key, braces);
                }
                const char behind[] = {'}', static_cast<char>('0' + part), '\r', '\n'};
                keys_.append(behind + 2 - part_size, 2 + part_size);
            }
        }
    }

    std::string_view keys() const noexcept { return keys_; }
    std::string_view units() const noexcept { return units_; }
    /// Of the first key.
    Slot slot() const noexcept {
        std::size_t size = 0;
        const auto* const end = std::from_chars(keys_.data() + 1, keys_.data() + keys_.size(), size).ptr;
        return slot_of({end + 2, size});
    }

private:
    std::string keys_;
    std::string units_;
};

}  // namespace sluice::detail::redis

#endif
