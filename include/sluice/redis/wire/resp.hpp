// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_RESP_HPP
#define SLUICE_REDIS_WIRE_RESP_HPP

#include <charconv>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

namespace sluice::detail::redis {

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

/// In one go, as there are several in each request.
inline void append_argument(std::string& out, std::integral auto number) {
    char bytes[32];
    char* const digits = bytes + 5;  // behind a head of up to "$20\r\n"
    char* end = std::to_chars(digits, std::end(bytes) - 2, number).ptr;
    const auto size = static_cast<int>(end - digits);
    char* begin = digits;
    *--begin = '\n';
    *--begin = '\r';
    *--begin = static_cast<char>('0' + size % 10);
    if (size >= 10) *--begin = static_cast<char>('0' + size / 10);
    *--begin = '$';
    *end++ = '\r';
    *end++ = '\n';
    out.append(begin, static_cast<std::size_t>(end - begin));
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
