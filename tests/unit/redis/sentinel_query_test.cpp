// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include <sluice/redis/wire/text_query.hpp>

#include "support/catch.hpp"

using sluice::Errc;
using sluice::detail::redis::Exchange;
using sluice::detail::redis::HostPort;
using sluice::detail::redis::MasterQuery;
using sluice::detail::redis::RoleQuery;

/// Sends the question and gives it an answer, `step` bytes at a time.
std::error_code answer(sluice::detail::redis::TextQuery& query, std::string_view reply, std::size_t step = 1) {
    query.sent(query.output().size());
    while (!reply.empty()) {
        if (query.want() != Exchange::Want::receive) return Errc::protocol;
        if (const auto error = query.feed(reply.substr(0, step))) return error;
        reply.remove_prefix(std::min(step, reply.size()));
    }
    return query.want() == Exchange::Want::done ? std::error_code{} : make_error_code(Errc::timeout);
}
std::error_code role(std::string_view reply) {
    RoleQuery query;
    const auto error = answer(query, reply);
    return error ? error : query.result();
}

TEST_CASE("a sentinel tells where the master is") {
    for (const auto step : {std::size_t{1}, std::size_t{3}, std::size_t{1'000}}) {
        MasterQuery query{"a b\r\n"};
        CHECK(query.output() == "*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n$5\r\na b\r\n\r\n");
        query.sent(10);
        CHECK(query.want() == Exchange::Want::send);
        REQUIRE_FALSE(answer(query, "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n", step));
        HostPort master;
        REQUIRE_FALSE(query.result(master));
        CHECK(master == HostPort{"127.0.0.1", 6380});
    }
}

TEST_CASE("a sentinel does not know the master, or wants a password") {
    MasterQuery unknown{"m"};
    REQUIRE_FALSE(answer(unknown, "*-1\r\n"));
    HostPort master;
    CHECK(unknown.result(master) == Errc::misconfigured);
    MasterQuery secret{"m"};
    CHECK(answer(secret, "-NOAUTH Authentication required.\r\n", 1'000) == Errc::authentication);
    MasterQuery plain{"m"};
    CHECK(answer(plain, "-ERR unknown command 'SENTINEL', with args beginning with:\r\n", 1'000) == Errc::unsupported);
}

TEST_CASE("a server tells its role") {
    CHECK_FALSE(
        role("*3\r\n$6\r\nmaster\r\n:3129659\r\n*2\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n$7\r\n3129242\r\n"
             "*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9002\r\n$7\r\n3129543\r\n"));
    CHECK_FALSE(role("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"));
    CHECK(role("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$9\r\nconnected\r\n:3167038\r\n") == Errc::read_only);
    CHECK(role("*2\r\n$8\r\nsentinel\r\n*1\r\n$6\r\nmaster\r\n") == Errc::read_only);
    CHECK(role("*0\r\n") == Errc::protocol);
    CHECK(role("+master\r\n") == Errc::protocol);
    CHECK(role("$6\r\nmaster\r\n") == Errc::protocol);
    CHECK(role("*1\r\n*1\r\n$6\r\nmaster\r\n") == Errc::protocol);
    CHECK(role("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n") == Errc::protocol);
    CHECK(role("*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n") == Errc::protocol);
    std::string many = "$6\r\nmaster\r\n";
    for (std::size_t i = 1; i != RoleQuery::max_elements; ++i) many += ":1\r\n";
    CHECK_FALSE(role("*1024\r\n" + many));
    CHECK(role("*1025\r\n" + many + ":1\r\n") == Errc::protocol);
    CHECK(role("-LOADING Redis is loading the dataset in memory\r\n") == Errc::loading);
    RoleQuery more;
    CHECK(answer(more, "*1\r\n$6\r\nmaster\r\n+OK\r\n", 1'000) == Errc::protocol);
    RoleQuery endless;
    CHECK(answer(endless, "*1\r\n$9000000\r\n" + std::string(70'000, 'x'), 10'000) == Errc::protocol);
}
