// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_DETAIL_READ_FILE_HPP
#define SLUICE_HTTP_JSON_DETAIL_READ_FILE_HPP

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>

#include <sluice/http/json/rules_error.hpp>

namespace sluice::http::detail {

/// Of a rules file. Thousands of rules fit; a file that was named by mistake does not keep a server busy.
inline constexpr std::size_t max_rules_bytes = std::size_t{1} << 20;

[[noreturn]] inline void refuse_size(const std::string& file) {
    throw RulesError(file, {}, "is larger than " + std::to_string(max_rules_bytes) + " bytes");
}

/// The whole file. Throws RulesError, and std::bad_alloc.
inline std::string read_rules_file(const std::string& file) {
    // C's functions, since they alone say why.
    const auto refuse = [&](int error) {
        throw RulesError(file, {}, "cannot be read: " + std::generic_category().message(error));
    };
    const auto close = [](std::FILE* open) { std::fclose(open); };
    const std::unique_ptr<std::FILE, decltype(close)> in{std::fopen(file.c_str(), "rb"), close};
    if (!in) refuse(errno);
    std::string text;
    std::array<char, 16384> part;
    while (const std::size_t size = std::fread(part.data(), 1, part.size(), in.get())) {
        text.append(part.data(), size);
        if (text.size() > max_rules_bytes) refuse_size(file);
    }
    if (std::ferror(in.get()) != 0) refuse(errno);
    return text;
}

}  // namespace sluice::http::detail

#endif
