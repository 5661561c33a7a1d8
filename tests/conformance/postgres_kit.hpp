// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_POSTGRES_KIT_HPP
#define SLUICE_TESTS_CONFORMANCE_POSTGRES_KIT_HPP

#include <chrono>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>

#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/postgres_server.hpp"
#include "support/random.hpp"

namespace conformance {

/// A PostgresStore on the test's clock.
struct TimedPostgresStore {
    static constexpr bool carries = true;

    sluice::PostgresStore postgres;
    sluice::ManualClock clock;

    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        return postgres.decide_at(request, clock.now());
    }
    template <sluice::Policy P>
    sluice::Consumption consume(const sluice::Request<P>& request) const noexcept {
        return postgres.consume_at(request, clock.now());
    }
    template <sluice::Policy P>
    void decide_many(const sluice::Request<P>& request, std::span<const std::string_view> keys,
                     std::span<sluice::Decision> out) const noexcept {
        postgres.decide_many_at(request, clock.now(), keys, out);
    }
};

struct PostgresKit {
    static constexpr std::chrono::nanoseconds resolution = std::chrono::microseconds{1};
    static constexpr std::size_t longest_key = 1'024;
    static constexpr int sequences = 250;  // with each of the policies: 1,500
    static constexpr int requests_per_thread = slow_build ? 200 : 1'000;

    PostgresKit() {
        if (const auto error = postgres.ensure_schema()) throw std::runtime_error{"no schema: " + error.message()};
    }

    PostgresServer server;
    sluice::ManualClock clock;
    // A machine that is busy with other tests may hold up a call for long.
    sluice::PostgresStore postgres{server.connection_string(), {.timeout = std::chrono::seconds{60}, .connections = 8}};

    template <sluice::Policy P>
    auto store() {
        return TimedPostgresStore{postgres, clock};
    }
};

}  // namespace conformance

#endif
