// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstddef>
#include <system_error>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/redis/link/sentinel_round.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::detail::redis::SentinelRound;

namespace {

const SentinelRound::Deadline an_hour{1h};

/// Whom it asks while nobody answers.
std::vector<std::size_t> order(SentinelRound& round, const std::error_code& error = Errc::timeout) {
    std::vector<std::size_t> asked;
    while (round.has_next()) {
        asked.push_back(round.next());
        round.next_failed(error);
    }
    return asked;
}

}  // namespace

TEST_CASE("all sentinels are asked, beginning with the one that was connected or, if it was silent, the one after it") {
    for (std::size_t first = 0; first != 3; ++first) {
        SentinelRound connected{3, first, an_hour};
        CHECK(order(connected) == std::vector{first, (first + 1) % 3, (first + 2) % 3});
        SentinelRound closed{3, first, an_hour};
        closed.connected_failed(Errc::disconnected);
        CHECK(order(closed) == std::vector{first, (first + 1) % 3, (first + 2) % 3});
        SentinelRound silent{3, first, an_hour};
        silent.connected_failed(Errc::timeout);
        CHECK(order(silent) == std::vector{(first + 1) % 3, (first + 2) % 3, first});
    }
}

TEST_CASE("sentinels share half of the time, the connected one has a quarter") {
    SentinelRound round{2, 0, an_hour};
    const auto within = [](const SentinelRound::Deadline& deadline, auto least, auto most) {
        return deadline.budget() > least && deadline.budget() <= most;
    };
    CHECK(within(round.time_of_connected(), 14min, 15min));
    CHECK(within(round.time_of_next(), 14min, 15min));
    round.next_failed(Errc::timeout);
    CHECK(within(round.time_of_next(), 29min, 30min));  // what the first has not used
}

TEST_CASE("what is told where no sentinel knows the master") {
    SentinelRound unknown{2, 0, an_hour};
    CHECK(order(unknown, Errc::misconfigured).size() == 2);
    CHECK(unknown.error() == Errc::misconfigured);
    // One that could not be asked may have known it.
    SentinelRound mixed{2, 0, an_hour};
    mixed.next_failed(Errc::disconnected);
    mixed.next_failed(Errc::misconfigured);
    CHECK(mixed.error() == Errc::disconnected);
    CHECK_FALSE(mixed.has_next());
    SentinelRound poor{3, 0, an_hour};
    CHECK(order(poor, Errc::no_memory).size() == 1);
    CHECK(poor.error() == Errc::no_memory);
}
