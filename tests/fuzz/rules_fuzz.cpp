// SPDX-License-Identifier: MIT

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <sluice/http/guard.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/http/rules/limiter_factory.hpp>

// A rules file is read, or refused with RulesError and the file's name; rules that were read answer a request.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const sluice::http::MemoryLimiters limiters{{.max_keys = 64}};
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    try {
        const sluice::http::Guard guard{sluice::http::parse_rules(text, "rules.json", limiters)};
        sluice::http::Asked asked;
        asked.method = "GET";
        asked.path = "/api/data";
        asked.peer = "192.0.2.1";
        static_cast<void>(guard.handle(asked));
    } catch (const sluice::http::RulesError& error) {
        if (std::string_view{error.what()}.find("rules.json") == std::string_view::npos) std::abort();
    }
    return 0;
}
