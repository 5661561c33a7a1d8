// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_RESP_HPP
#define SLUICE_REDIS_WIRE_RESP_HPP

#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::detail::redis {

inline void append_number(std::string& out, std::integral auto number) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// RESP2 requests, built by appending: an array's head, then so many arguments.

/// A kind, a number and the end of the line.
inline void append_line(std::string& out, char kind, std::integral auto number) {
    char line[26] = {kind};
    char* const end = std::to_chars(line + 1, line + 24, number).ptr;
    end[0] = '\r';
    end[1] = '\n';
    out.append(line, static_cast<std::size_t>(end + 2 - line));
}

inline void append_head(std::string& out, std::size_t arguments) { append_line(out, '*', arguments); }

inline void append_argument(std::string& out, std::string_view bytes) {
    append_line(out, '$', bytes.size());
    out += bytes;
    out.append("\r\n", 2);
}

inline void append_argument(std::string& out, std::integral auto number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    append_argument(out, std::string_view{digits, static_cast<std::size_t>(end - digits)});
}

/// Arguments in their RESP form, with their number.
struct Arguments {
    std::string bytes{};
    std::size_t count = 0;

    Arguments() { bytes.reserve(128); }  // enough for most, at once

    void add(std::string_view argument) {
        append_argument(bytes, argument);
        ++count;
    }
    void add(std::integral auto number) {
        append_argument(bytes, number);
        ++count;
    }
};

}  // namespace sluice::detail::redis

#endif
