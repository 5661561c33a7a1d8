// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_ENCODED_KEYS_HPP
#define SLUICE_REDIS_WIRE_ENCODED_KEYS_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
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
        std::string number;
        switch (operation) {
            case Operation::peek: number = "0"; break;
            default: break;
            case Operation::refund: number = "-"; break;
            case Operation::reset: number = "-", units = detail::max_units; break;
        }
        append_number(number, std::min(units, detail::max_units));
        append_argument(units_, number);

        keys_.reserve(keys.size() * (prefix.size() + 32) * parts);
        std::string& full = full_key_;
        full.reserve(prefix.size() + 64);
        full = prefix;
        for (const std::string_view key : keys) {
            full.resize(prefix.size());
            append_user_key(full, key);
            if (parts > 1) full += "}0";
            for (std::size_t part = 0; part != parts; ++part) {
                if (parts > 1) full.back() = static_cast<char>('0' + part);
                append_argument(keys_, full);
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
    std::string full_key_;
};

}  // namespace sluice::detail::redis

#endif
