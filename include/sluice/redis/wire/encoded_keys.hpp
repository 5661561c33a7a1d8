// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_ENCODED_KEYS_HPP
#define SLUICE_REDIS_WIRE_ENCODED_KEYS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <sluice/detail/validate.hpp>
#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/store.hpp>

namespace sluice::redis {

/// What a call asks of each of its keys, as the RESP arguments that scripts take: the keys, and the units of each. Keys
/// that are too long are left out.
class Questions {
public:
    Questions(std::string_view space, std::size_t parts, std::span<const std::string_view> keys, Operation operation,
              std::uint64_t units) {
        std::string number;
        switch (operation) {
            case Operation::peek: number = "0"; break;
            case Operation::consume: break;
            case Operation::refund: number = "-"; break;
            case Operation::reset: number = "-", units = detail::max_units; break;
        }
        append_number(number, std::min(units, detail::max_units));
        append_argument(units_, number);

        keys_.reserve(keys.size() * (space.size() + 32) * parts);
        std::string full;
        full.reserve(space.size() + 64);
        full = space;
        for (const std::string_view key : keys) {
            if (key.size() > max_key_bytes) continue;
            full.resize(space.size());
            append_user_key(full, key);
            if (parts > 1) full += "}0";
            for (std::size_t part = 0; part != parts; ++part) {
                if (parts > 1) full.back() = static_cast<char>('0' + part);
                append_argument(keys_, full);
            }
            ++count_;
        }
    }

    std::string_view keys() const noexcept { return keys_; }
    std::string_view units() const noexcept { return units_; }
    std::size_t count() const noexcept { return count_; }

private:
    std::string keys_;
    std::string units_;
    std::size_t count_ = 0;
};

}  // namespace sluice::redis

#endif
