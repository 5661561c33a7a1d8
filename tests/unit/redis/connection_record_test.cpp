// SPDX-License-Identifier: MIT

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <sluice/redis/link/connection_record.hpp>
#include <sluice/redis/wire/call_set.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::detail::redis::CallSet;
using sluice::detail::redis::ConnectionRecord;
using sluice::detail::redis::Exchange;
using sluice::detail::redis::ScriptCall;
using sluice::detail::remote::Address;
using sluice::detail::remote::Deadline;
using sluice::detail::remote::Outcome;
using sluice::detail::remote::Stream;
using Clock = Deadline::Clock;
using Evidence = ConnectionRecord::Evidence;

namespace {

const sluice::detail::redis::Scripts scripts{"return 1", "return {1}"};
const sluice::detail::redis::Arguments no_arguments;

Address address(const char* numeric) { return Address::of_host(numeric, 6379, AI_NUMERICHOST).at(0); }
const Address one = address("127.0.0.1"), other = address("127.0.0.2");

struct IdleStream final : Stream {
    int descriptor() const noexcept override { return -1; }
    Result try_read(std::span<char>) noexcept override { return {Status::closed}; }
    Result try_write(std::string_view) noexcept override { return {Status::closed}; }
    bool is_stale() noexcept override { return stale; }
    bool stale = false;
};

/// A connection to a name that stands for two addresses.
struct Story {
    explicit Story(std::chrono::milliseconds max_idle = 1h)
        : config{"redis://name", {.max_idle = max_idle, .resolve = [](const std::string&) {
                                      return std::vector<std::string>{"127.0.0.1", "127.0.0.2"};
                                  }}} {
        order();
        record.begin_dialling(one);
    }

    /// One call is asked, `before` ago, and the server says `reply`; or there is an error.
    Outcome ends(std::string_view reply, std::error_code error = {}, std::chrono::nanoseconds before = 0s,
                 Deadline deadline = Deadline{1h}) {
        call.scripts = &scripts;
        call.common = &no_arguments;
        call.keys = "$1\r\nk\r\n";
        call.units = "$1\r\n1\r\n";
        call.decisions = 1;
        call.values = value;
        calls.clear();
        calls.add(call);
        exchange.reset();
        exchange.begin(calls);
        exchange.sent(exchange.output().size());
        if (!reply.empty()) REQUIRE_FALSE(exchange.feed(reply));
        const auto then = Clock::now() - before;
        const Outcome outcome = record.conclude(exchange, error, then, then, deadline);
        calls.collect(0, call);
        return outcome;
    }
    /// Which address is dialled first.
    const Address& order() {
        REQUIRE_FALSE(server.endpoints.find(found, Deadline{1min}));
        REQUIRE(found.size() == 2);
        return found[0];
    }

    sluice::detail::redis::ClientConfig config;
    sluice::detail::redis::Server server{config, config.url.endpoints.at(0)};
    ConnectionRecord record{server};
    std::array<std::int64_t, 1> value{};
    ScriptCall call{};
    CallSet calls{};
    Exchange exchange{};
    std::vector<Address> found{};
};

}  // namespace

TEST_CASE("an address that has served is preferred, once for each connection") {
    Story story;
    story.record.begin_dialling(other);
    const Outcome outcome = story.ends(":7\r\n", {}, 10ms);
    CHECK(outcome.evidence == Evidence::answer);
    CHECK_FALSE(outcome.is_useless);
    CHECK_FALSE(outcome.is_over);
    CHECK(story.value[0] == 7);
    CHECK(story.record.round_trip() >= 10ms);
    CHECK(story.order() == other);
    const auto stats = story.config.counters.snapshot();
    CHECK(stats.round_trips == 1);
    CHECK(stats.scripts == 1);
    CHECK(stats.decisions == 1);

    story.server.endpoints.prefer(one);
    static_cast<void>(story.ends(":7\r\n"));
    CHECK(story.order() == one);
    story.record.begin_dialling(other);
    static_cast<void>(story.ends(":7\r\n"));
    CHECK(story.order() == other);
}

TEST_CASE("an answer that took more than half of the time is slow") {
    Story story;
    const Deadline deadline{Clock::now() - 2h, 3h};
    CHECK(story.ends(":7\r\n", {}, 2h, deadline).evidence == Evidence::slow_answer);
    CHECK(story.ends(":7\r\n", {}, 1min, deadline).evidence == Evidence::answer);
}

TEST_CASE("a connection that breaks is over, and its address doubted") {
    Story story;
    Outcome outcome = story.ends("", Errc::disconnected);
    CHECK(outcome.evidence == Evidence::failure);
    CHECK(outcome.is_useless);
    CHECK(outcome.is_over);
    CHECK(story.call.error == Errc::disconnected);
    CHECK(story.order() == other);
    CHECK(story.config.counters.snapshot().round_trips == 0);

    static_cast<void>(story.ends(":7\r\n"));
    outcome = story.ends("", Errc::disconnected);
    CHECK_FALSE(outcome.is_useless);  // it has served
    CHECK(outcome.is_over);
    CHECK(story.server.endpoints.retirements() == 0);
}

TEST_CASE("what an error tells the breaker of the server") {
    Story story;
    const Deadline deadline{Clock::now() - 2h, 4h};
    CHECK(story.ends("", Errc::timeout, 1h, deadline).evidence == Evidence::failure);
    CHECK(story.ends("", Errc::timeout, -1h, deadline).evidence == Evidence::nothing);  // began with little time left
    CHECK(story.ends("", Errc::disconnected, -1h, deadline).evidence == Evidence::failure);
    CHECK(story.ends("", Errc::no_memory).evidence == Evidence::nothing);
    CHECK(story.ends("", Errc::misconfigured).evidence == Evidence::nothing);
    const Outcome refused = ConnectionRecord::could_not_dial(Errc::refused, Clock::now(), deadline);
    CHECK(refused.evidence == Evidence::failure);
    CHECK(refused.is_useless);
    CHECK(refused.is_over);
}

TEST_CASE("an error reply is the request's, the connection's, or of all connections to the address") {
    Story story;
    const auto retirements = [&] { return story.server.endpoints.retirements(); };
    CHECK(story.ends("-OOM x\r\n").evidence == Evidence::answer);
    Outcome outcome = story.ends("-BUSY x\r\n");
    CHECK(outcome.evidence == Evidence::failure);
    CHECK_FALSE(outcome.is_over);
    CHECK(story.order() == one);
    outcome = story.ends("-NOAUTH x\r\n");
    CHECK(outcome.evidence == Evidence::failure);
    CHECK(outcome.is_over);
    CHECK_FALSE(outcome.is_useless);
    CHECK(retirements() == 0);
    CHECK(story.order() == other);
    story.record.begin_dialling(one);
    outcome = story.ends("-LOADING x\r\n");
    CHECK(outcome.evidence == Evidence::failure);
    CHECK(outcome.is_over);
    CHECK(outcome.is_useless);
    CHECK(retirements() == 1);
}

TEST_CASE("which idle connections are trusted") {
    Story story;
    IdleStream stream;
    const auto start = Clock::now();
    static_cast<void>(story.ends(":7\r\n"));
    CHECK(story.record.is_trusted(stream));
    const auto later = Clock::now() + 6ms;
    CHECK(story.record.is_trusted(stream, later));
    stream.stale = true;  // which is not looked at after so short a time
    CHECK(story.record.is_trusted(stream, start + 5ms));
    CHECK_FALSE(story.record.is_trusted(stream, later));
    stream.stale = false;
    story.server.endpoints.retire(other, Clock::now());
    CHECK(story.record.is_trusted(stream));
    story.server.endpoints.retire(one, Clock::now());
    CHECK_FALSE(story.record.is_trusted(stream));

    Story strict{1ms};
    static_cast<void>(strict.ends(":7\r\n"));
    CHECK(strict.record.is_trusted(stream, start + 1ms));
    CHECK_FALSE(strict.record.is_trusted(stream, Clock::now() + 2ms));
}

TEST_CASE("what would not be answered in time is not sent, for a while") {
    Story story;
    static_cast<void>(story.ends(":7\r\n", {}, 1s));
    const auto usual = story.record.round_trip();
    CHECK(usual >= 1s);
    CHECK_FALSE(story.record.is_too_late(usual + 1ns));
    CHECK(story.record.round_trip() == usual);
    CHECK(story.record.is_too_late(usual));
    CHECK(story.record.round_trip() == usual - usual / 4);
}

TEST_CASE("options may be as large and as small as they say") {
    using Options = sluice::RedisOptions;
    CHECK_NOTHROW(Options{.prefix = std::string(256, 'p')}.checked());
    CHECK_THROWS_AS(Options{.prefix = std::string(257, 'p')}.checked(), std::invalid_argument);
    CHECK_NOTHROW(Options{.timeout = 1ms, .connections = 1, .max_waiting = 1, .max_idle = 1ms}.checked());
    CHECK_NOTHROW(Options{.timeout = 1min, .connections = 64, .max_waiting = 1'000'000, .max_idle = 1h}.checked());
    for (const auto recheck : {10ms, 3'600'000ms}) CHECK_NOTHROW(Options{.sentinel = {.recheck = recheck}}.checked());
    CHECK_THROWS_AS(Options{.sentinel = {.recheck = 9ms}}.checked(), std::invalid_argument);
    CHECK_THROWS_AS(Options{.timeout = 1min + 1ms}.checked(), std::invalid_argument);
    CHECK_THROWS_AS(Options{.connections = 0}.checked(), std::invalid_argument);
    CHECK_THROWS_AS(Options{.connections = 65}.checked(), std::invalid_argument);
    CHECK_THROWS_AS(Options{.max_waiting = 0}.checked(), std::invalid_argument);
    CHECK_THROWS_AS(Options{.max_idle = 0ms}.checked(), std::invalid_argument);
    CHECK_THROWS_AS(Options{.breaker = {.failures_to_open = 0}}.checked(), std::invalid_argument);
    CHECK_THROWS_AS(Options{.breaker = {.first_pause = 0ms}}.checked(), std::invalid_argument);
    CHECK_THROWS_AS(Options{.breaker = {.longest_pause = 0ms}}.checked(), std::invalid_argument);
}
