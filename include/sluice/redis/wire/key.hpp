// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_KEY_HPP
#define SLUICE_REDIS_WIRE_KEY_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::detail::redis {

inline constexpr std::size_t max_key_bytes = 1'024;

/// Of what the scripts keep under a key: those of another format have other keys.
inline constexpr std::uint64_t format = 2;

/// Not by find(), whose call of memchr() for two or three characters costs more than it finds.
inline bool is_escaped(char c, std::string_view special) noexcept {
    bool is_one = c == '%';
    for (const char one : special) is_one = is_one || c == one;
    return is_one;
}

/// Bytes that append_escaped() appends.
inline std::size_t escaped_size(std::string_view text, std::string_view special) noexcept {
    std::size_t size = text.size();
    for (const char c : text) size += is_escaped(c, special) ? 2U : 0U;
    return size;
}

/// `%` and the characters in `special` as %XX: different texts stay different, and none of `special` is left.
inline void append_escaped(std::string& out, std::string_view text, std::string_view special) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::size_t plain = 0;  // where what needs no escape begins
    for (std::size_t i = 0; i != text.size(); ++i) {
        const char c = text[i];
        if (!is_escaped(c, special)) continue;
        out += text.substr(plain, i - plain);
        out += '%';
        out += digits[static_cast<unsigned char>(c) >> 4];
        out += digits[static_cast<unsigned char>(c) & 15];
        plain = i + 1;
    }
    out += text.substr(plain);
}

/// What the keys of one limiter and policy begin with: prefix:limiter:id: with the id of limiter, policy and parameters
/// in base64url. Where a decision takes several keys, a hash tag opens before the id, so that they lie in one slot.
inline std::string key_prefix(std::string_view prefix, std::string_view limiter, std::uint64_t id, bool tagged) {
    std::string start;
    start.reserve(prefix.size() + limiter.size() + 16);
    start += prefix;
    start += ':';
    append_escaped(start, limiter, ":{}");
    start += tagged ? ":{" : ":";
    id ^= format;
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int shift = 60; shift >= 0; shift -= 6) start += digits[id >> shift & 63];
    start += ':';
    return start;
}

/// Escaped in a user's key: braces would choose the hash slot, and many users could be made to share one.
inline constexpr std::string_view braces = "{}";

}  // namespace sluice::detail::redis

#endif
