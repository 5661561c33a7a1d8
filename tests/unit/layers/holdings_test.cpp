// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <cstdlib>

#include <sluice/layers/detail/holdings.hpp>
#include <sluice/layers/detail/lease_word.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::detail::layers::Grant;
using sluice::detail::layers::Holding;
using sluice::detail::layers::KeyWord;
using sluice::detail::layers::LeaseWord;
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

TEST_CASE("a key's word keeps its time, rounded up by less than a step, beside what is the layer's own") {
    constexpr std::int64_t step = std::int64_t{1} << 30;
    constexpr std::uint64_t most = (std::uint64_t{1} << 30) - 1;
    for (const std::int64_t time : {std::int64_t{0}, std::int64_t{1}, step - 1, step, step + 1, 1'000 * step}) {
        INFO(time);
        const auto word = KeyWord::make(time, most);
        CHECK(KeyWord::until(word) >= time);
        CHECK(KeyWord::until(word) < time + step);
        CHECK((word & KeyWord::own_bits) == most);
        CHECK(KeyWord::until(KeyWord::make(KeyWord::until(word), 0)) == KeyWord::until(word));
    }
}

TEST_CASE("a key's requests are counted while its word lasts, until it is busy") {
    const auto counted = KeyWord::make(10'000'000'000, 8);
    const std::int64_t end = KeyWord::until(counted);
    CHECK(LeaseWord::counted(counted, end - 1) == counted + 1);
    auto word = counted;
    int requests = 8;
    for (; !LeaseWord::is_busy(word); ++requests) word = LeaseWord::counted(word, end - 1);
    CHECK(requests == 64);
    CHECK(LeaseWord::counted(word, end - 1) == word);
    // One that is over begins anew, as a key that was never seen: one request in eight, and counts for eight.
    for (const std::uint64_t before : {word, std::uint64_t{0}}) {
        int drawn = 0;
        for (int i = 0; i != 8'000; ++i) {
            const auto after = LeaseWord::counted(before, end);
            if (after == 0) continue;
            ++drawn;
            REQUIRE((after & KeyWord::own_bits) == 8);
            REQUIRE(KeyWord::until(after) > end);
        }
        CHECK(drawn > 800);
        CHECK(drawn < 1'200);
    }
}

TEST_CASE("a key's word names a holding and whose it is") {
    for (const std::size_t holding : {std::size_t{0}, std::size_t{5}, std::size_t{16'383}}) {
        for (const std::uint64_t owner : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{32'767}}) {
            const auto word = LeaseWord::make(holding, owner);
            CHECK(LeaseWord::names_holding(word));
            CHECK(LeaseWord::holding(word) == holding);
            CHECK(LeaseWord::is_owner(word, owner));
            CHECK(LeaseWord::is_owner(word, owner + 32'768));  // 15 bits of it
            CHECK_FALSE(LeaseWord::is_owner(word, owner + 1));
            CHECK(LeaseWord::counted(word, INT64_MAX - 1) == word);
        }
    }
    CHECK_FALSE(LeaseWord::names_holding(KeyWord::make(1, 64)));
}

TEST_CASE("a holding follows what is used in the time that a lease is for") {
    Holding holding;
    holding.end_ns = INT64_MIN;
    constexpr std::int64_t span = 1'000;
    CHECK(holding.put(grant(20, 0s, 10s), 20, 0) == 0);
    holding.balance.fetch_sub(4);  // spent
    holding.follow(span, span);
    CHECK(holding.demand == 4);
    CHECK(holding.used_at == span);
    holding.balance.fetch_sub(2);
    holding.asked = 1;
    holding.follow(span, span);  // no time has passed: nothing is looked at
    CHECK(holding.asked == 1);
    holding.follow(span + span / 2, span);
    CHECK(holding.demand == 4 * 0.5 + 3);
    CHECK(holding.asked == 0);
    CHECK(holding.used_at == span + span / 2);
    CHECK(holding.take_out(5) == 5);  // taken out is not used
    holding.follow(2 * span + span / 2, span);
    CHECK(holding.demand == 0);
    CHECK(holding.used_at == span + span / 2);
    holding.balance.fetch_sub(6);
    holding.follow(4 * span + span / 2, span);
    CHECK(holding.demand == 3);  // of two spans
    CHECK(holding.held(0) == 3);
    CHECK(holding.take_out(100) == 3);
    CHECK(holding.take_out(1) == 0);
}

TEST_CASE("a holding tells the store's last answer") {
    Holding holding;
    sluice::Decision decision;
    decision.limit = 10;
    decision.remaining = 7;
    decision.reset_after = 3ns;
    holding.note(decision, 5);
    CHECK(holding.limit == 10);
    CHECK(holding.left == 7);
    CHECK(holding.reset_at == 8);
}
