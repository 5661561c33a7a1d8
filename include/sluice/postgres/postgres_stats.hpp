// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_POSTGRES_STATS_HPP
#define SLUICE_POSTGRES_POSTGRES_STATS_HPP

#include <cstddef>
#include <cstdint>

namespace sluice {

/// What a PostgresStore has done since it was made, all copies together. A snapshot; the numbers are read one by one.
/// Decisions and errors by class are what an Observer counts.
struct PostgresStats {
    std::uint64_t statements = 0;  ///< answered by the server, each with one or more decisions
    std::uint64_t failures = 0;    ///< decisions answered with an error
    std::uint64_t dials = 0;       ///< connections begun, successfully or not
    std::uint64_t breaker_openings = 0;
    bool breaker_is_open = false;
    std::size_t connections = 0;  ///< open at the moment
    std::size_t waiting = 0;      ///< calls that wait for a connection at the moment
};

}  // namespace sluice

#endif
