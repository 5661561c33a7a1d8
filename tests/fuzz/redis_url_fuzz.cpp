// SPDX-License-Identifier: MIT

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include <sluice/redis/redis_url.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const auto url = sluice::RedisUrl::parse({reinterpret_cast<const char*>(data), size});
        if (url.endpoints.empty()) std::abort();
        if (url.kind == sluice::RedisUrl::Kind::single && url.endpoints.size() != 1) std::abort();
        if (url.kind == sluice::RedisUrl::Kind::cluster && url.database != 0) std::abort();
        if ((url.kind == sluice::RedisUrl::Kind::sentinel) == url.master.empty()) std::abort();
        for (const auto& endpoint : url.endpoints) {
            const bool has_path = !endpoint.path.empty();
            if (has_path == !endpoint.host.empty()) std::abort();
            if (endpoint.path.size() > sluice::detail::remote::Endpoint::max_path) std::abort();
            if (!has_path && endpoint.port == 0) std::abort();
        }
    } catch (const std::invalid_argument&) {
    }
    return 0;
}
