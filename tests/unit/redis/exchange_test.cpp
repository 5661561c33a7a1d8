// SPDX-License-Identifier: MIT

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/wire/login.hpp>
#include <sluice/redis/wire/scope_cache.hpp>

#include "support/catch.hpp"

using sluice::Errc;
using sluice::detail::redis::Arguments;
using sluice::detail::redis::CallSet;
using sluice::detail::redis::Exchange;
using sluice::detail::redis::ScriptCall;
using Integers = std::vector<std::int64_t>;
using Concerns = sluice::detail::redis::ErrorReply::Concerns;

namespace {

const sluice::detail::redis::Scripts one{"return 1", "return {1}"};
const sluice::detail::redis::Scripts other{"return 2", "return {2}"};

std::string bulk(std::string_view text) {
    return "$" + std::to_string(text.size()) + "\r\n" + std::string{text} + "\r\n";
}

/// A call, and all that it refers to.
struct Asked {
    Asked(const sluice::detail::redis::Scripts& scripts, std::vector<std::string> names, std::string_view cost,
          std::string_view argument = "limit", std::size_t width = 1) {
        for (const auto& name : names) keys += bulk(name);
        units = bulk(cost);
        common.add(argument);
        values.resize(names.size() * width);
        call.scripts = &scripts;
        call.common = &common;
        call.keys = keys;
        call.units = units;
        call.values_each = width;
        call.decisions = names.size();
        call.values = values;
    }
    Asked(const Asked&) = delete;

    std::string keys, units;
    Arguments common;
    Integers values;
    ScriptCall call;
};

/// An exchange whose output a test takes and whose input it gives.
struct Talk {
    Exchange exchange;
    CallSet calls;
    Talk() { exchange.reset(); }

    std::string begin() {
        exchange.begin(calls);
        return take();
    }
    std::string take() {
        std::string all{exchange.output()};
        exchange.sent(all.size());
        return all;
    }
    bool is_done() const { return exchange.want() == Exchange::Want::done; }
    ScriptCall& result(std::size_t ticket, Asked& asked) {
        calls.collect(ticket, asked.call);
        return asked.call;
    }
};

}  // namespace

TEST_CASE("one decision is one EVALSHA, and its integers are the answer") {
    Talk talk;
    Asked asked{one, {"a"}, "1", "limit", 2};
    const auto ticket = talk.calls.add(asked.call);
    CHECK(talk.begin() == "*6\r\n" + one.single.by_sha + bulk("1") + bulk("a") + bulk("limit") + bulk("1"));
    CHECK(talk.exchange.want() == Exchange::Want::receive);
    CHECK_FALSE(talk.exchange.feed("$4\r\n12"));
    CHECK_FALSE(talk.is_done());
    CHECK_FALSE(talk.exchange.feed(" 3\r\n"));
    CHECK(talk.is_done());
    CHECK_FALSE(talk.result(ticket, asked).error);
    CHECK(asked.values == Integers{12, 3});
    CHECK(talk.exchange.decisions() == 1);
}

TEST_CASE("calls of one policy share a run, each with its units, and others go along") {
    Talk talk;
    Asked a{one, {"a", "b"}, "1"};
    Asked b{one, {"c"}, "5"};
    Asked tier{one, {"d"}, "1", "another limit"};
    Asked policy{other, {"e"}, "1"};
    for (auto* asked : {&a, &b, &tier, &policy}) talk.calls.add(asked->call);
    const auto output = talk.begin();
    CHECK(output == "*10\r\n" + one.batch.by_sha + bulk("3") + bulk("a") + bulk("b") + bulk("c") + bulk("limit") +
                        bulk("1") + bulk("1") + bulk("5") +                                                         //
                        "*6\r\n" + one.single.by_sha + bulk("1") + bulk("d") + bulk("another limit") + bulk("1") +  //
                        "*6\r\n" + other.single.by_sha + bulk("1") + bulk("e") + bulk("limit") + bulk("1"));
    CHECK_FALSE(talk.exchange.feed("*3\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n"));
    CHECK(talk.is_done());
    talk.result(0, a);
    talk.result(1, b);
    talk.result(2, tier);
    talk.result(3, policy);
    CHECK(a.values == Integers{1, 2});
    CHECK(b.values == Integers{3});
    CHECK(tier.values == Integers{4});
    CHECK(policy.values == Integers{5});
}

TEST_CASE("a run holds at most 128 decisions") {
    Talk talk;
    Asked big{one, std::vector<std::string>(100, "k"), "1"};
    Asked next{one, std::vector<std::string>(29, "k"), "1"};
    Asked small{one, std::vector<std::string>(28, "k"), "1"};
    for (auto* asked : {&big, &next, &small}) talk.calls.add(asked->call);
    static_cast<void>(talk.begin());
    CHECK(talk.exchange.scripts() == 2);
    CHECK(talk.calls.decisions() == 157);
}

TEST_CASE("a script that the server does not know is sent once, with its text") {
    Talk talk;
    Asked a{one, {"a"}, "1"};
    Asked b{other, {"b"}, "1"};
    talk.calls.add(a.call);
    talk.calls.add(b.call);
    static_cast<void>(talk.begin());
    CHECK_FALSE(talk.exchange.feed("-NOSCRIPT No matching script. Please use EVAL.\r\n"));
    CHECK(talk.exchange.want() == Exchange::Want::send);
    CHECK(talk.take() == "*6\r\n" + one.single.by_text + bulk("1") + bulk("a") + bulk("limit") + bulk("1"));
    CHECK_FALSE(talk.exchange.feed(":8\r\n:7\r\n"));
    CHECK(talk.is_done());
    talk.result(0, a);
    talk.result(1, b);
    CHECK(a.values == Integers{7});
    CHECK(b.values == Integers{8});

    talk.calls.clear();
    CHECK(talk.calls.size() == 0);
    CHECK(talk.calls.decisions() == 0);
    talk.calls.add(a.call);
    static_cast<void>(talk.begin());
    CHECK_FALSE(talk.exchange.feed("-NOSCRIPT x\r\n"));
    static_cast<void>(talk.take());
    CHECK_FALSE(talk.exchange.feed("-NOSCRIPT x\r\n"));
    CHECK(talk.is_done());
    CHECK(talk.result(0, a).error == Errc::server_error);
}

TEST_CASE("a key of somebody else's fails alone, noticed early or late") {
    Talk talk;
    Asked a{one, {"a", "b"}, "1", "limit", 2};
    Asked b{one, {"c"}, "1", "limit", 2};
    talk.calls.add(a.call);
    talk.calls.add(b.call);
    static_cast<void>(talk.begin());
    CHECK_FALSE(talk.exchange.feed("*6\r\n:-1\r\n:3\r\n:4\r\n:5\r\n:6\r\n:3\r\n"));
    talk.result(0, a);
    talk.result(1, b);
    CHECK(a.values[0] == ScriptCall::wrong_type);
    CHECK(a.values[2] == 3);
    CHECK(b.values[0] == ScriptCall::wrong_type);

    talk.calls.clear();
    talk.calls.add(a.call);
    static_cast<void>(talk.begin());
    CHECK_FALSE(talk.exchange.feed("*6\r\n:1\r\n:2\r\n:3\r\n:4\r\n:1\r\n:2\r\n"));
    talk.result(0, a);
    CHECK(a.values == Integers{ScriptCall::wrong_type, 2, ScriptCall::wrong_type, 4});
}

TEST_CASE("answers that do not fit what was asked are not believed") {
    for (const char* reply :
         {"*1\r\n:1\r\n", "*3\r\n:1\r\n:2\r\n:0\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n", "*2\r\n:1\r\n:-2\r\n",
          "*2\r\n:1\r\n:9007199254740993\r\n", "+OK\r\n", "*2\r\n:1\r\n:2\r\n:3\r\n"}) {
        INFO(reply);
        Talk talk;
        Asked a{one, {"a", "b"}, "1"};
        talk.calls.add(a.call);
        static_cast<void>(talk.begin());
        CHECK(talk.exchange.feed(reply) == Errc::protocol);
    }
}

TEST_CASE("an answer may be as small and as large as a number can be") {
    Talk talk;
    Asked a{one, {"a", "b"}, "1"};
    talk.calls.add(a.call);
    static_cast<void>(talk.begin());
    CHECK_FALSE(talk.exchange.feed("*2\r\n:0\r\n:9007199254740992\r\n"));
    CHECK_FALSE(talk.result(0, a).error);
    CHECK(a.values == Integers{0, 9'007'199'254'740'992});
}

TEST_CASE("decisions of several keys say how many there are") {
    Talk talk;
    Asked a{one, {"a0", "a1"}, "1"};
    a.call.keys_each = 2;
    a.call.decisions = 1;
    a.values.resize(1);
    a.call.values = a.values;
    talk.calls.add(a.call);
    CHECK(talk.begin() ==
          "*7\r\n" + one.single.by_sha + bulk("2") + bulk("a0") + bulk("a1") + bulk("limit") + bulk("1"));
}

TEST_CASE("an exchange forgets the one before it") {
    Talk talk;
    Asked a{one, {"a"}, "1"};
    talk.calls.add(a.call);
    const auto first = talk.begin();
    CHECK_FALSE(talk.exchange.feed("-LOADING x\r\n"));
    CHECK(talk.exchange.trouble().has_value());
    talk.calls.clear();
    talk.calls.add(a.call);
    CHECK(talk.begin() == first);
    CHECK_FALSE(talk.exchange.trouble().has_value());
    CHECK(talk.exchange.scripts() == 1);
    CHECK(talk.exchange.decisions() == 0);
    CHECK_FALSE(talk.exchange.feed(":5\r\n"));
    CHECK(talk.is_done());
    CHECK_FALSE(talk.result(0, a).error);
    // A server that has spoken our language is no TLS server, whatever it says next.
    talk.calls.clear();
    talk.calls.add(a.call);
    static_cast<void>(talk.begin());
    const std::string_view alert{"\x15\x03\x01\x00\x02\x02\x46", 7};
    CHECK(talk.exchange.feed(alert) == Errc::protocol);
    talk.exchange.reset();  // of the next connection nothing is known
    CHECK(talk.exchange.feed(alert) == Errc::misconfigured);
}

TEST_CASE("a call that waits for an answer that nobody sent: only bytes that left make it uncertain") {
    Talk talk;
    Asked a{one, {"a"}, "1"};
    talk.calls.add(a.call);
    talk.exchange.begin(talk.calls);
    CHECK(talk.exchange.is_unsent());
    talk.exchange.sent(1);
    CHECK_FALSE(talk.exchange.is_unsent());
    CHECK(talk.exchange.want() == Exchange::Want::send);
    static_cast<void>(talk.take());
    CHECK(talk.exchange.want() == Exchange::Want::receive);
}

TEST_CASE("calls that are too many for one exchange are not accepted") {
    Talk talk;
    Asked most{one, std::vector<std::string>(1023, "k"), "1"};
    Asked last{one, {"k"}, "1"};
    CHECK(talk.calls.accepts({&most.call, 1}));
    talk.calls.add(most.call);
    CHECK(talk.calls.accepts({&last.call, 1}));
    talk.calls.add(last.call);
    CHECK_FALSE(talk.calls.accepts({&last.call, 1}));
    talk.calls.cancel(0, Errc::timeout);
    CHECK(talk.calls.decisions() == 1);
    talk.calls.cancel(0, Errc::busy);
    CHECK(talk.calls.decisions() == 1);
    CHECK(talk.result(0, most).error == Errc::timeout);
}

TEST_CASE("keys as scripts take them, encoded in the memory of others") {
    using sluice::Operation;
    using sluice::detail::redis::EncodedKeys;
    const std::array<std::string_view, 2> names{"a", "b"};
    EncodedKeys keys{"p:{", 1, names, Operation::consume, 7};
    CHECK(keys.units() == bulk("7"));
    const std::string plain{keys.keys()};
    keys.encode("p:{", 2, {names.data(), 1}, Operation::refund, 3);
    CHECK(keys.units() == bulk("-3"));
    CHECK(keys.keys() == bulk("p:{a}0") + bulk("p:{a}1"));
    keys.encode("p:{", 1, names, Operation::consume, 7);
    CHECK(keys.keys() == plain);
    CHECK(plain == bulk("p:{a") + bulk("p:{b"));
    keys.encode("p:{", 1, names, Operation::peek, 7);
    CHECK(keys.units() == bulk("07"));

    Arguments numbers;
    std::string expected;
    for (const std::int64_t number : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{999'999'999},
                                      std::int64_t{1'000'000'000}, std::numeric_limits<std::int64_t>::min()}) {
        numbers.add(number);
        expected += bulk(std::to_string(number));
    }
    CHECK(numbers.bytes == expected);
    CHECK(numbers.count == 5);
}

TEST_CASE("scopes in one place of the cache are not taken for each other") {
    using sluice::detail::redis::ScopeCache;
    const auto entry = [](std::uint64_t id) {
        auto made = std::make_unique<ScopeCache::Entry>();
        made->scope_id = id;
        return std::unique_ptr<const ScopeCache::Entry>{std::move(made)};
    };
    ScopeCache cache;
    CHECK(cache.find(1) == nullptr);
    auto first = entry(1), second = entry(65);
    const auto* const kept = cache.keep(first);
    CHECK(first == nullptr);
    CHECK(cache.find(1) == kept);
    CHECK(cache.find(65) == nullptr);
    CHECK(cache.keep(second) == second.get());
    CHECK(cache.find(65) == nullptr);
    CHECK(cache.find(1) == kept);
}

TEST_CASE("failures are counted by their class, and nothing else is") {
    sluice::detail::redis::Counters counters;
    counters.failed(Errc::busy);
    counters.failed(Errc::busy);
    counters.failed(Errc::timeout);
    counters.failed({static_cast<int>(Errc::busy), std::generic_category()});
    counters.failed({1'000'000, make_error_code(Errc::busy).category()});
    const auto stats = counters.snapshot();
    CHECK(stats.errors(Errc::busy) == 2);
    CHECK(stats.errors(Errc::timeout) == 1);
    CHECK(stats.failures == 3);

    const sluice::RedisStats none;
    for (const auto number : {none.decisions, none.failures, none.round_trips, none.scripts, none.dials,
                              none.breaker_openings, none.redirections, none.map_requests, none.errors(Errc::busy)})
        CHECK(number == 0);
    CHECK(none.connections == 0);
    CHECK_FALSE(none.breaker_is_open);
    const sluice::RedisNodeStats node;
    CHECK(node.breaker_openings == 0);
    CHECK(node.connections == 0);
    CHECK_FALSE(node.breaker_is_open);
}

TEST_CASE("a cancelled call is not sent") {
    Talk talk;
    Asked a{one, {"a"}, "1"};
    Asked b{one, {"b"}, "1"};
    Asked alone{other, {"c"}, "1"};
    for (auto* asked : {&a, &b, &alone}) talk.calls.add(asked->call);
    talk.calls.cancel(0, Errc::timeout);
    talk.calls.cancel(2, Errc::timeout);
    CHECK(talk.begin() == "*6\r\n" + one.single.by_sha + bulk("1") + bulk("b") + bulk("limit") + bulk("1"));
    CHECK_FALSE(talk.exchange.feed(":7\r\n"));
    CHECK(talk.is_done());
    CHECK(talk.result(0, a).error == Errc::timeout);
    CHECK_FALSE(talk.result(1, b).error);
    CHECK(talk.result(2, alone).error == Errc::timeout);
    CHECK(b.values == Integers{7});
}

TEST_CASE("an error reply is one call's or everybody's") {
    Talk talk;
    Asked a{one, {"a"}, "1"};
    Asked b{other, {"b"}, "1"};
    talk.calls.add(a.call);
    talk.calls.add(b.call);
    static_cast<void>(talk.begin());
    SECTION("a full server's is an answer") {
        CHECK_FALSE(talk.exchange.feed("-OOM command not allowed when used memory > 'maxmemory'.\r\n:5\r\n"));
        CHECK_FALSE(talk.exchange.trouble().has_value());
        CHECK(talk.result(0, a).error == Errc::server_full);
        CHECK_FALSE(talk.result(1, b).error);
        talk.exchange.fail(Errc::disconnected);
        CHECK(talk.result(0, a).error == Errc::server_full);
    }
    SECTION("a replica's ends the connection") {
        CHECK_FALSE(talk.exchange.feed("-READONLY You can't write against a read only replica.\r\n:5\r\n"));
        REQUIRE(talk.exchange.trouble().has_value());
        CHECK(talk.exchange.trouble()->concerns == Concerns::endpoint);
        CHECK(talk.result(0, a).error == Errc::read_only);
        CHECK_FALSE(talk.result(1, b).error);
    }
    SECTION("the first of the worst ones counts") {
        CHECK_FALSE(talk.exchange.feed("-LOADING x\r\n-READONLY x\r\n"));
        CHECK(talk.exchange.trouble()->code == Errc::loading);
    }
    SECTION("a busy server's says nothing of a connection that breaks") {
        CHECK_FALSE(talk.exchange.feed("-BUSY Redis is busy running a script.\r\n"));
        talk.exchange.fail(Errc::disconnected);
        CHECK(talk.result(1, b).error == Errc::disconnected);
    }
    SECTION("a server that turns the client away closes behind it") {
        CHECK_FALSE(talk.exchange.feed("-ERR max number of clients reached\r\n"));
        talk.exchange.fail(Errc::disconnected);
        CHECK(talk.result(0, a).error == Errc::busy);
        CHECK(talk.result(1, b).error == Errc::busy);
    }
    SECTION("a connection that breaks answers what is open") {
        CHECK_FALSE(talk.exchange.feed(":5\r\n"));
        talk.exchange.fail(Errc::disconnected);
        talk.exchange.fail(Errc::no_memory);  // whatever follows
        CHECK_FALSE(talk.result(0, a).error);
        CHECK(talk.result(1, b).error == Errc::disconnected);
    }
    SECTION("a TLS server speaks another language") {
        CHECK(talk.exchange.feed({"\x15\x03\x01\x00\x02\x02\x46", 7}) == Errc::misconfigured);
    }
}

TEST_CASE("what error replies mean") {
    const auto code = [](std::string_view line) { return sluice::detail::redis::classify(line).code; };
    const auto concerns = [](std::string_view line) { return sluice::detail::redis::classify(line).concerns; };
    CHECK(code("MOVED 12182 127.0.0.1:7492") == Errc::misconfigured);
    CHECK(code("CROSSSLOT Keys in request don't hash to the same slot") == Errc::misconfigured);
    CHECK(code("ERR Protocol error: unauthenticated multibulk length") == Errc::authentication);
    CHECK(code("DENIED Redis is running in protected mode because") == Errc::permission);
    CHECK(code("ERR unknown command 'EVALSHA', with args beginning with:") == Errc::unsupported);
    CHECK(code("ERR DB index is out of range") == Errc::misconfigured);
    for (const char* line : {"READONLY x", "MASTERDOWN x", "LOADING x"}) {
        INFO(line);
        CHECK(concerns(line) == Concerns::endpoint);
    }
    for (const char* line : {"NOAUTH x", "WRONGPASS x", "DENIED x", "ERR max number of clients reached",
                             "ERR Protocol error: invalid bulk length"}) {
        INFO(line);
        CHECK(concerns(line) == Concerns::connection);
    }
    for (const char* line :
         {"OOM x", "MISCONF x", "NOPERM x", "WRONGTYPE x", "MOVED 1 x", "CROSSSLOT x", "ERR whatever"}) {
        INFO(line);
        CHECK(concerns(line) == Concerns::request);
    }
    CHECK(concerns("BUSY Redis is busy running a script.") == Concerns::server);
}

TEST_CASE("a login says who asks and of which database") {
    using sluice::detail::redis::Login;
    CHECK(Login({}, 0).want() == Exchange::Want::done);
    CHECK(Login({.password = "pw"}, 0).output() == "*2\r\n" + bulk("AUTH") + bulk("pw"));
    CHECK(Login({.user = "app"}, 0).output() == "*3\r\n" + bulk("AUTH") + bulk("app") + bulk(""));
    Login login{{.user = "app", .password = "pw"}, 7};
    CHECK(login.output() == "*3\r\n" + bulk("AUTH") + bulk("app") + bulk("pw") + "*2\r\n" + bulk("SELECT") + bulk("7"));
    login.sent(login.output().size());
    CHECK_FALSE(login.feed("+OK\r\n+O"));
    CHECK(login.want() == Exchange::Want::receive);
    CHECK_FALSE(login.feed("K\r\n"));
    CHECK(login.want() == Exchange::Want::done);
    Login refused{{.password = "guess"}, 0};
    refused.sent(refused.output().size());
    CHECK(refused.feed("-WRONGPASS invalid username-password pair or user is disabled.\r\n") == Errc::authentication);
}
