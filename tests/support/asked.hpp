// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_ASKED_HPP
#define SLUICE_TESTS_SUPPORT_ASKED_HPP

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/http/asked.hpp>

/// A request as rules see it, whose caller is known.
inline sluice::http::Asked asked(std::string_view method, std::string_view path, sluice::http::Caller caller = {},
                                 std::string_view rule = {}) {
    return {.method = method, .path = path, .caller = std::move(caller), .rule = rule};
}

/// Headers for Asked::header, by the names as they are written.
struct TestHeaders {
    std::multimap<std::string, std::string> all{};

    void operator()(std::string_view name, sluice::http::HeaderValues& values) const {
        const auto lower = [](std::string text) {
            for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            return text;
        };
        for (const auto& [known, value] : all) {
            if (lower(known) == lower(std::string{name})) values.add(value);
        }
    }
};

#endif
