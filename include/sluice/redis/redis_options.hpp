// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_OPTIONS_HPP
#define SLUICE_REDIS_REDIS_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <string>

#include <sluice/detail/validate.hpp>
#include <sluice/remote/breaker.hpp>

namespace sluice {

struct RedisOptions {
    /// For one call from beginning to end: waiting for a connection, dialling, logging in, the script. 1 ms .. 1 min.
    std::chrono::milliseconds timeout{100};
    /// Connections at most, 1 .. 64, made as they are needed. So many calls run at once, each alone on a connection;
    /// what comes meanwhile is combined.
    std::size_t connections = 3;
    /// In front of every key. With a hash tag of its own ("{limits}") all keys of a cluster share one slot.
    std::string prefix = "sluice";
    BreakerOptions breaker{};

    /// *this, or std::invalid_argument.
    const RedisOptions& checked() const {
        check("timeout", timeout.count(), 60'000);
        check("connections", connections, 64);
        check("breaker.failures_to_open", breaker.failures_to_open, 1'000'000);
        check("breaker.first_pause", breaker.first_pause.count(), 60'000);
        check("breaker.longest_pause", breaker.longest_pause.count(), 3'600'000);
        if (prefix.size() > 256) {
            detail::throw_invalid("RedisOptions::prefix", std::to_string(prefix.size()) + " bytes",
                                  "at most 256 bytes long");
        }
        return *this;
    }

private:
    template <detail::Integer I>
    static void check(const char* what, I value, std::uint64_t most) {
        static_cast<void>(detail::checked_units((std::string{"RedisOptions::"} + what).c_str(), value, most));
    }
};

}  // namespace sluice

#endif
