// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <cstdlib>

#include <sluice/layers/detail/holdings.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::detail::layers::Grant;
using sluice::detail::layers::Holding;
using Holdings = sluice::detail::layers::Holdings<sluice::ManualClock>;

namespace {

Grant grant(std::uint64_t units, std::chrono::nanoseconds at, std::chrono::nanoseconds end) {
    Grant grant;
    grant.taken.units = units;
    grant.taken.at = at;
    grant.taken.decision.remaining = 1'000'000;
    grant.end_ns = end.count();
    return grant;
}

/// Asks for a key until it has a holding, which takes whatever it asks for.
Holding& open(Holdings& holdings, const char* key, Holdings::Look& look) {
    sluice::Consumption out;
    for (int i = 0; i != 100; ++i) {
        static_cast<void>(holdings.spend(1, key, 1, look, out));
        Holding* const found = holdings.find_or_open(1, key, look, [](const Holding&) {
            return [](sluice::Operation, std::uint64_t units, std::int64_t) { return grant(units, 0s, 100'000s); };
        });
        if (found != nullptr) return *found;
    }
    FAIL("no holding");
    std::abort();
}

}  // namespace

TEST_CASE("a grant of a window that is over, as a server's clock that went back may give one, is not held") {
    Holding holding;
    holding.end_ns = INT64_MIN;
    CHECK(holding.put(grant(10, 12s, 20s), 10, 1'012) == 0);
    CHECK(holding.put(grant(7, 5s, 10s), 7, 1'013) == 7);
    CHECK(holding.held(1'014) == 10);
    CHECK(holding.put(grant(3, 25s, 30s), 3, 1'020) == 10);  // the next window's: the last one's are lost
    CHECK(holding.held(1'021) == 3);
}

TEST_CASE("a window's end is told on this process' clock, not later than it is") {
    Holding holding;
    holding.end_ns = INT64_MIN;
    // Asked at 1 s of this clock; the store decided at 100 s of its own, 8 s before the window's end.
    static_cast<void>(holding.put(grant(5, 100s, 108s), 5, std::chrono::nanoseconds{1s}.count()));
    CHECK(holding.held(std::chrono::nanoseconds{9s}.count() - 1) == 5);
    CHECK(holding.held(std::chrono::nanoseconds{9s}.count()) == 0);
}

TEST_CASE("who has looked up a holding that has become another key's neither spends from it nor tells it anything") {
    const sluice::ManualClock clock{1'000s};
    Holdings holdings{{.max_keys = 1, .drive = sluice::Drive::manual}, clock};
    Holdings::Look stale, look;
    Holding& first = open(holdings, "first", stale);
    for (int i = 0; i != 3; ++i) {
        clock.advance(2s);
        holdings.maintain();  // nobody asks for it any more
    }
    Holding& second = open(holdings, "second", look);
    REQUIRE(&first == &second);
    second.end_ns = 0;
    static_cast<void>(second.put(grant(50, 0s, 100'000s), 50, clock.now().count()));
    sluice::Consumption out;
    CHECK_FALSE(holdings.spend(first, 1, stale, out));
    CHECK_FALSE(holdings.take(first, stale, out, [](std::uint64_t units) { return grant(units, 0s, 100'000s); }));
    sluice::Decision decision;
    decision.limit = 77;
    holdings.note(first, 1, decision, stale);
    CHECK(second.limit != 77);
    CHECK(holdings.spend(second, 1, look, out));
    CHECK(holdings.held(1, "first") == 0);
    CHECK(holdings.held(1, "second") == 49);
}
