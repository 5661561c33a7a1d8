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
        const bool has_path = !url.endpoint.path.empty();
        if (has_path == !url.endpoint.host.empty()) std::abort();
        if (url.endpoint.path.size() > sluice::detail::remote::Endpoint::max_path) std::abort();
        if (!has_path && url.endpoint.port == 0) std::abort();
    } catch (const std::invalid_argument&) {
    }
    return 0;
}
