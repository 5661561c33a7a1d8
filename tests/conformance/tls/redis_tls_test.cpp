// SPDX-License-Identifier: MIT

#include <sluice/tls.hpp>

#include "conformance/redis_kit.hpp"
#include "conformance/suite.hpp"
#include "support/certificates.hpp"

namespace {

struct TlsKit {
    static constexpr std::chrono::nanoseconds resolution = conformance::RedisKit::resolution;
    static constexpr std::size_t longest_key = conformance::RedisKit::longest_key;
    static constexpr int sequences = conformance::RedisKit::sequences / 5;
    static constexpr int requests_per_thread = conformance::RedisKit::requests_per_thread;

    Certificates files;
    int port = RedisServer::free_port();
    RedisServer server{files.options(port)};
    sluice::ManualClock clock;
    sluice::RedisStore redis{"rediss://localhost:" + std::to_string(port),
                             {.timeout = std::chrono::seconds{10}, .tls = sluice::Tls{.ca_file = files.ca()}}};

    template <sluice::Policy P>
    auto store() {
        return conformance::TimedRedisStore{redis, clock};
    }
};

}  // namespace

TEST_CASE("the Redis store conforms over TLS") { conformance::suite<TlsKit>(); }
