// SPDX-License-Identifier: MIT

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/wire/redirection.hpp>

#include "support/catch.hpp"

using sluice::Errc;
using sluice::detail::redis::any_slot;
using sluice::detail::redis::Arguments;
using sluice::detail::redis::CallSet;
using sluice::detail::redis::Exchange;
using sluice::detail::redis::HostPort;
using sluice::detail::redis::Redirection;
using sluice::detail::redis::ScriptCall;
using sluice::detail::redis::Slot;
using Kind = Redirection::Kind;

namespace {

const sluice::detail::redis::Scripts scripts{"return 1", "return {1}"};
const std::string asking = "*1\r\n$6\r\nASKING\r\n";

/// Calls of one decision each, and an exchange of them.
struct Calls {
    explicit Calls(std::initializer_list<Slot> slots) {
        for (const Slot slot : slots) {
            ScriptCall& call = asked[count];
            call.scripts = &scripts;
            call.common = &common;
            call.keys = "$1\r\nk\r\n";
            call.units = "$1\r\n1\r\n";
            call.decisions = 1;
            call.slot = slot;
            call.values = {&values[count++], 1};
        }
    }
    std::string begin() {
        for (std::size_t i = 0; i != count; ++i) set.add(asked[i]);
        exchange.reset();
        exchange.begin(set);
        return output();
    }
    std::string output() {
        const std::string all{exchange.output()};
        exchange.sent(all.size());
        return all;
    }
    void collect() {
        for (std::size_t i = 0; i != count; ++i) set.collect(i, asked[i]);
    }
    bool is_done() const { return exchange.want() == Exchange::Want::done; }

    Arguments common{};
    std::array<std::int64_t, 4> values{};
    std::array<ScriptCall, 4> asked{};
    std::size_t count = 0;
    CallSet set{};
    Exchange exchange{};
};

std::string request(const std::string& script, int keys) {
    std::string text = "*" + std::to_string(4 + keys) + "\r\n" + script + "$1\r\n" + std::to_string(keys) + "\r\n";
    for (int i = 0; i != keys; ++i) text += "$1\r\nk\r\n";
    return text + "$1\r\n1\r\n";
}

}  // namespace

TEST_CASE("redirections as servers write them") {
    const auto moved = Redirection::parse("MOVED 3999 127.0.0.1:6381");
    CHECK(moved.kind == Kind::moved);
    CHECK(moved.slot == 3999);
    CHECK(moved.to == HostPort{"127.0.0.1", 6381});
    CHECK(moved.names_node());
    const auto ask = Redirection::parse("ASK 16383 node-1.example:65535");
    CHECK(ask.kind == Kind::ask);
    CHECK(ask.slot == 16'383);
    CHECK(ask.to == HostPort{"node-1.example", 65'535});
    CHECK(Redirection::parse("MOVED 1 ::1:7000").to == HostPort{"::1", 7000});
    CHECK(Redirection::parse("MOVED 1 :7000").to == HostPort{"", 7000});  // the node that says it
    CHECK(Redirection::parse("MOVED 1 :7000").names_node());
    CHECK_FALSE(Redirection::parse("MOVED 1 ?:7000").names_node());
    CHECK(Redirection::parse("TRYAGAIN Multiple keys request during rehashing of slot").kind == Kind::try_again);
    CHECK(Redirection::parse("CLUSTERDOWN The cluster is down").kind == Kind::down);
    CHECK(Redirection::parse("CLUSTERDOWN Hash slot not served").kind == Kind::down);
    // Scripts append their name.
    CHECK(Redirection::parse("MOVED 3999 127.0.0.1:6381 script: 0123, on @user_script:1.").to.port == 6381);
}

TEST_CASE("what is no redirection, and redirections that name nobody") {
    for (const char* line : {"", "ERR MOVED 1 h:7", "MOVEDX 1 h:7", "moved 1 h:7", "OK", " MOVED 1 h:7"}) {
        INFO(line);
        CHECK(Redirection::parse(line).kind == Kind::none);
    }
    for (const char* line :
         {"MOVED", "MOVED ", "MOVED 1", "MOVED 1 ", "MOVED 1 h", "MOVED 1 h:", "MOVED 1 h:0", "MOVED 1 h:65536",
          "MOVED 1 h:-1", "MOVED 1 h:7x", "MOVED 1 h:99999999999", "ASK 1 7000"}) {
        INFO(line);
        CHECK(Redirection::parse(line).kind != Kind::none);
        CHECK_FALSE(Redirection::parse(line).names_node());
    }
    for (const char* line : {"MOVED x h:7", "MOVED 16384 h:7", "MOVED -1 h:7", "MOVED 99999999999 h:7"}) {
        INFO(line);
        CHECK(Redirection::parse(line).slot == any_slot);
    }
    CHECK_FALSE(Redirection::parse("MOVED 1 " + std::string(256, 'h') + ":7").names_node());
    CHECK(Redirection::parse("MOVED 1 " + std::string(255, 'h') + ":7").names_node());
}

TEST_CASE("only calls of one slot share a run") {
    Calls calls{7, 8, 7};
    CHECK(calls.begin() == request(scripts.batch.by_sha, 2) + request(scripts.single.by_sha, 1));
    CHECK_FALSE(calls.exchange.feed("*2\r\n:1\r\n:2\r\n-MOVED 8 10.0.0.1:7001\r\n"));
    CHECK(calls.is_done());
    CHECK_FALSE(calls.exchange.trouble());
    calls.collect();
    CHECK_FALSE(calls.asked[0].error);
    CHECK_FALSE(calls.asked[2].error);
    CHECK(calls.values[2] == 2);
    CHECK(calls.asked[1].error == Errc::misconfigured);  // whoever knows of no cluster
    CHECK(calls.asked[1].redirection.to == HostPort{"10.0.0.1", 7001});
}

TEST_CASE("a longest MOVED is not cut") {
    Calls calls{7};
    static_cast<void>(calls.begin());
    const std::string host(255, 'h');
    CHECK_FALSE(calls.exchange.feed("-MOVED 16383 " + host + ":65535\r\n"));
    calls.collect();
    CHECK(calls.asked[0].redirection.to == HostPort{host, 65'535});
}

TEST_CASE("ASKING goes in front of the script's text, in one write") {
    Calls calls{7, 7, 7};
    calls.asked[1].asking = true;
    calls.asked[2].asking = true;
    CHECK(calls.begin() == request(scripts.single.by_sha, 1) + asking + request(scripts.batch.by_text, 2));
    SECTION("and is answered") {
        CHECK_FALSE(calls.exchange.feed(":4\r\n+OK\r\n"));
        CHECK_FALSE(calls.is_done());
        CHECK_FALSE(calls.exchange.feed("*2\r\n:5\r\n:6\r\n"));
        CHECK(calls.is_done());
        calls.collect();
        CHECK(calls.values[0] == 4);
        CHECK(calls.values[2] == 6);
        CHECK(calls.exchange.decisions() == 3);
    }
    SECTION("or refused, which is why the script is") {
        CHECK_FALSE(
            calls.exchange.feed(":4\r\n-NOPERM no permissions to run the 'asking' command\r\n-MOVED 7 h:1\r\n"));
        calls.collect();
        CHECK_FALSE(calls.asked[0].error);
        CHECK(calls.asked[1].error == Errc::permission);
        CHECK(calls.asked[1].redirection.kind == Kind::none);
    }
    SECTION("and answered, which the script is not") {
        CHECK_FALSE(calls.exchange.feed(":4\r\n+OK\r\n-OOM x\r\n"));
        calls.collect();
        CHECK(calls.asked[1].error == Errc::server_full);
    }
}

TEST_CASE("an ASKING that is refused concerns its own run alone") {
    Calls calls{7, 8};
    calls.asked[0].asking = calls.asked[1].asking = true;
    static_cast<void>(calls.begin());
    CHECK_FALSE(calls.exchange.feed("-NOPERM x\r\n-MOVED 7 h:1\r\n+OK\r\n-MOVED 8 h:1\r\n"));
    calls.collect();
    CHECK(calls.asked[0].redirection.kind == Kind::none);
    CHECK(calls.asked[1].redirection.kind == Kind::moved);
}

TEST_CASE("a call that is alone shares no run") {
    Calls calls{7, 7, 7};
    calls.asked[1].alone = true;
    CHECK(calls.begin() == request(scripts.batch.by_sha, 2) + request(scripts.single.by_sha, 1));
}

TEST_CASE("of runs whose script is not known one brings it along") {
    Calls calls{1, 2, 3};
    static_cast<void>(calls.begin());
    CHECK_FALSE(calls.exchange.feed("-NOSCRIPT x\r\n-NOSCRIPT x\r\n-MOVED 3 h:1\r\n"));
    CHECK(calls.output() == request(scripts.single.by_text, 1) + request(scripts.single.by_sha, 1));
    SECTION("for all") {
        CHECK_FALSE(calls.exchange.feed(":1\r\n:2\r\n"));
        CHECK(calls.is_done());
    }
    SECTION("and again where it was forgotten meanwhile") {
        CHECK_FALSE(calls.exchange.feed(":1\r\n-NOSCRIPT x\r\n"));
        CHECK(calls.output() == request(scripts.single.by_text, 1));
        SECTION("but not for ever") {
            CHECK_FALSE(calls.exchange.feed("-NOSCRIPT x\r\n"));
            CHECK(calls.is_done());
            calls.collect();
            CHECK(calls.asked[1].error == Errc::server_error);
        }
    }
}
