// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/cluster_routing.hpp>
#include <sluice/redis/link/cluster_table.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/errors.hpp>
#include <sluice/redis/wire/redirection.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::detail::redis::HostPort;
using sluice::detail::redis::NodeRecord;
using sluice::detail::redis::Redirection;
using sluice::detail::redis::Slot;

namespace {

/// Of one slot. A host's name is all that there is of a node; "full" is one too many.
struct FakeTable {
    using Member = std::shared_ptr<NodeRecord>;

    Member owner(Slot) const { return owned_by; }
    Member named(const HostPort& address, const NodeRecord& by) {
        const std::string host{address.host.empty() ? std::string{by.address().host} : std::string{address.host}};
        if (host == "full") return nullptr;
        for (const Member& member : members) {
            if (std::string{member->address().host} == host) return member;
        }
        members.push_back(std::make_shared<NodeRecord>(HostPort{host, 7}));
        members.back()->number = members.size();
        return members.back();
    }
    void assign(Slot, const Member& owner) { owned_by = owner; }

    Member node(const char* host) { return named({host, 7}, NodeRecord{{"", 0}}); }

    std::vector<Member> members{};
    Member owned_by{};
};
using Routing = sluice::detail::redis::ClusterRouting<FakeTable>;
using Next = Routing::Next;

/// A call of a client that has a second left.
struct Trip {
    explicit Trip(const char* owner) { owned_by(owner); }
    void owned_by(const char* host) { table.owned_by = *host == '\0' ? nullptr : table.node(host); }

    std::string begin() { return text(routing.begin(call)); }
    /// What a server answers, or how it could not be asked.
    std::string answered(const char* line, std::chrono::nanoseconds left = 1s) {
        call.redirection = Redirection::parse(line);
        return answered(*line == 0 ? std::error_code{} : sluice::detail::redis::classify(line).code, left);
    }
    std::string failed(Errc errc) {
        call.redirection = {};
        return answered(make_error_code(errc), 1s);
    }
    std::string learnt(std::error_code error = {}) { return text(routing.learnt(call, error)); }

    FakeTable table{};
    sluice::detail::redis::Counters counters{};
    Routing routing{table, counters};
    sluice::detail::redis::RoutedCall call{};

private:
    std::string answered(std::error_code error, std::chrono::nanoseconds left) {
        call.error = error;
        return text(routing.answered(call, last, left));
    }
    std::string text(const Routing::Step& step) {
        const auto redirections = counters.snapshot().redirections;
        const bool is_again = std::exchange(seen, redirections) != redirections;
        std::string text = step.next == Next::finish  ? "finish"
                           : step.next == Next::learn ? step.waits ? "learn, wait" : "learn"
                           : step.next == Next::pause ? "pause"
                                                      : "send";
        if (step.to) text += ' ' + std::string{step.to->address().host};
        if (call.asking) text += " asking";
        if (call.alone) text += " alone";
        if (step.next == Next::send || step.next == Next::pause) {
            CHECK_FALSE(call.error);
            CHECK(call.redirection.kind == Redirection::Kind::none);
            CHECK(is_again == (call.asked_node != 0));
        } else {
            CHECK_FALSE(is_again);
        }
        last = step.to ? step.to : last;
        return text;
    }

    FakeTable::Member last{};
    std::uint64_t seen = 0;
};

}  // namespace

TEST_CASE("a call goes to its slot's owner, after a lesson where there is none or he is doubted") {
    Trip known{"a"};
    CHECK(known.begin() == "send a");
    CHECK(known.answered("") == "finish");
    CHECK_FALSE(known.call.error);

    Trip doubted{"a"};
    doubted.table.owned_by->doubt(true);
    CHECK(doubted.begin() == "learn a");  // or send: who has no time to wait may
    SECTION("he is asked even so if the map still names him") { CHECK(doubted.learnt(Errc::timeout) == "send a"); }
    SECTION("or another") {
        doubted.owned_by("b");
        CHECK(doubted.learnt() == "send b");
    }

    Trip unknown{""};
    CHECK(unknown.begin() == "learn, wait");
    SECTION("found") {
        unknown.owned_by("a");
        CHECK(unknown.learnt(Errc::timeout) == "send a");  // by another's redirection
    }
    SECTION("not found") {
        CHECK(unknown.learnt(Errc::authentication) == "finish");
        CHECK(unknown.call.error == Errc::authentication);
        CHECK(unknown.learnt() == "finish");  // the map has a hole
        CHECK(unknown.call.error == Errc::busy);
    }
}

TEST_CASE("MOVED is remembered, ASK is not") {
    Trip trip{"a"};
    CHECK(trip.begin() == "send a");
    CHECK(trip.answered("ASK 1 b:7") == "send b asking");
    CHECK(trip.table.owned_by == trip.table.node("a"));
    CHECK(trip.answered("MOVED 1 c:7") == "send c");
    CHECK(trip.table.owned_by == trip.table.node("c"));
    CHECK(trip.answered("MOVED 1 :7") == "send c");  // itself, under another port
    CHECK(trip.answered("MOVED 1 full:7") == "finish");
    CHECK(trip.call.error == Errc::busy);
    CHECK(trip.table.owned_by == trip.table.node("c"));
}

TEST_CASE("a slot of which half is elsewhere is asked for until the deadline, alone, by whom it was") {
    Trip trip{"a"};
    trip.begin();
    CHECK(trip.answered("ASK 1 b:7") == "send b asking");
    for (int i = 0; i != 1'000; ++i) CHECK(trip.answered("TRYAGAIN x") == "pause b asking alone");
    CHECK(trip.answered("MOVED 1 a:7") == "send a alone");
    CHECK(trip.answered("TRYAGAIN x", Routing::pause_time + 1ns) == "pause a alone");
    CHECK(trip.answered("TRYAGAIN x", Routing::pause_time) == "finish alone");
    CHECK(trip.call.error == Errc::busy);
}

TEST_CASE("who cannot serve the slot is asked no second time, unless the map names another in his place") {
    for (const std::string line : {"CLUSTERDOWN x", "READONLY x", "LOADING x", "MOVED 1 ?:7"}) {
        for (const char* owner : {"b", "a", ""}) {
            INFO(line << ", then the map names " << owner);
            Trip trip{"a"};
            trip.begin();
            CHECK(trip.answered(line.c_str()) == "learn, wait");
            const auto error = trip.call.error;
            trip.owned_by(owner);
            if (*owner == 'b') {
                CHECK(trip.learnt() == "send b");
                CHECK(trip.answered("") == "finish");
                continue;
            }
            CHECK(trip.learnt(Errc::timeout) == "finish");
            const bool is_redirection = Redirection::parse(line).kind != Redirection::Kind::none;
            CHECK(trip.call.error == (is_redirection ? make_error_code(Errc::busy) : error));
        }
    }
}

TEST_CASE("only what certainly was not done is sent again") {
    for (const Errc errc : {Errc::refused, Errc::unresolved, Errc::breaker_open}) {
        INFO(make_error_code(errc).message());
        Trip trip{"a"};
        trip.begin();
        // The breaker's word is known without asking: it is worth no wait for a lesson that somebody else takes.
        CHECK(trip.failed(errc) == (errc == Errc::breaker_open ? "learn" : "learn, wait"));
        CHECK(trip.learnt() == "finish");
        CHECK(trip.call.error == errc);
    }
    for (const Errc errc :
         {Errc::timeout, Errc::disconnected, Errc::busy, Errc::server_full, Errc::protocol, Errc::authentication,
          Errc::permission, Errc::wrong_type, Errc::server_error, Errc::misconfigured, Errc::no_memory}) {
        INFO(make_error_code(errc).message());
        Trip trip{"a"};
        trip.begin();
        CHECK(trip.failed(errc) == "finish");
        CHECK(trip.call.error == errc);
    }
}

TEST_CASE("a node is doubted as long as its last answer gives cause for it") {
    Trip trip{"a"};
    trip.begin();
    const auto& node = *trip.table.owned_by;
    for (const Errc errc : {Errc::timeout, Errc::refused, Errc::disconnected, Errc::unresolved, Errc::breaker_open,
                            Errc::authentication, Errc::read_only, Errc::loading}) {
        INFO(make_error_code(errc).message());
        trip.failed(errc);
        CHECK(node.is_doubted());
        trip.answered("");
        CHECK_FALSE(node.is_doubted());
        trip.failed(errc);
        trip.failed(Errc::server_full);  // it is there
        CHECK_FALSE(node.is_doubted());
    }
    trip.answered("CLUSTERDOWN x");
    CHECK(node.is_doubted());
}

TEST_CASE("redirections end, by their number and by the deadline") {
    Trip trip{"a"};
    trip.begin();
    CHECK(trip.answered("MOVED 1 b:7") == "send b");
    CHECK(trip.answered("CLUSTERDOWN x") == "learn, wait");
    trip.owned_by("a");
    CHECK(trip.learnt() == "send a");
    for (int i = 2; i != Routing::max_steps; ++i) CHECK(trip.answered("MOVED 1 b:7") == "send b");
    CHECK(trip.answered("MOVED 1 b:7") == "finish");
    CHECK(trip.call.error == Errc::busy);

    Trip late{"a"};
    late.begin();
    CHECK(late.answered("MOVED 1 b:7", 1ns) == "send b");
    CHECK(late.answered("MOVED 1 b:7", 0ns) == "finish");
    CHECK(late.call.error == Errc::busy);
    CHECK(late.failed(Errc::refused) == "learn, wait");
}
