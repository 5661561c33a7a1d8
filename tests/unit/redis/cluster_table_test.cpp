// SPDX-License-Identifier: MIT

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/redis/link/cluster_table.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/cluster_slots.hpp>

#include "support/catch.hpp"

using sluice::detail::redis::ClusterSlots;
using sluice::detail::redis::HostPort;
using sluice::detail::redis::Slot;
using sluice::detail::redis::slot_count;

namespace {

/// What a table knows of a node.
struct FakeNode : sluice::detail::redis::NodeRecord {
    using NodeRecord::NodeRecord;
    struct Breaker {
        std::uint64_t count = 0;
        bool open = false;
        std::uint64_t openings() const noexcept { return count; }
        bool is_open() const noexcept { return open; }
    };

    Breaker state{};
    std::size_t connections = 0;

    const Breaker& breaker() const noexcept { return state; }
    std::size_t open_connections() const noexcept { return connections; }
};
using Table = sluice::detail::redis::ClusterTable<FakeNode>;

Table table_of(const char* url) {
    return {sluice::RedisUrl::parse(url),
            [](HostPort address) { return std::make_shared<FakeNode>(std::move(address)); }};
}

/// All slots, in as many parts as there are hosts.
std::string slots_of(std::initializer_list<std::string_view> hosts) {
    const auto number = [](std::size_t value) { return ":" + std::to_string(value) + "\r\n"; };
    std::string text = "*" + std::to_string(hosts.size()) + "\r\n";
    std::size_t part = 0;
    for (const std::string_view host : hosts) {
        const std::size_t first = part * slot_count / hosts.size();
        const std::size_t last = ++part * slot_count / hosts.size() - 1;
        text += "*3\r\n" + number(first) + number(last) + "*3\r\n$" + std::to_string(host.size()) + "\r\n";
        text += std::string{host} + "\r\n" + number(7) + "$1\r\nx\r\n";
    }
    return text;
}
void tell(Table& table, std::initializer_list<std::string_view> hosts) {
    ClusterSlots answer{"asked"};
    answer.sent(answer.output().size());
    REQUIRE_FALSE(answer.feed(slots_of(hosts)));
    REQUIRE_FALSE(table.adopt(answer));
}

std::string hosts_of(const std::vector<Table::Member>& members) {
    std::string text;
    for (const auto& member : members) text += member->address().host;
    return text;
}

}  // namespace

TEST_CASE("a cluster's table is empty until somebody tells") {
    Table table = table_of("redis+cluster://s:7,t:7");
    CHECK_FALSE(table.is_complete());
    CHECK(table.owner(0) == nullptr);
    CHECK(hosts_of(table.whom_to_ask()) == "st");
    CHECK(table.adopt(ClusterSlots{"asked"}) == sluice::Errc::busy);
    tell(table, {"a", "b"});
    CHECK(table.is_complete());
    CHECK(table.owner(0)->address() == HostPort{"a", 7});
    CHECK(table.owner(slot_count / 2 - 1)->address().host == "a");
    CHECK(table.owner(slot_count / 2)->address().host == "b");
    CHECK(table.owner(slot_count - 1)->address().host == "b");
}

TEST_CASE("each time another is asked first, nobody twice, and last who is doubted") {
    Table table = table_of("redis+cluster://a:7,s:7");
    tell(table, {"a", "b", "c"});
    CHECK(hosts_of(table.whom_to_ask()) == "abcs");
    CHECK(hosts_of(table.whom_to_ask()) == "bcas");
    CHECK(hosts_of(table.whom_to_ask()) == "cabs");
    table.owner(0)->doubt(true);
    CHECK(hosts_of(table.whom_to_ask()) == "bcsa");
}

TEST_CASE("who stays in the map stays a member, and who leaves it goes unless a redirection named it") {
    Table table = table_of("redis+cluster://a:7");
    tell(table, {"a", "b", "c"});
    const auto a = table.owner(0);
    const auto fresh = table.named({"d", 7}, *a);
    REQUIRE(fresh != nullptr);
    CHECK(fresh->was_named);
    CHECK(table.named({"", 7}, *a) == a);  // the one that says it
    CHECK(table.named({"d", 7}, *a) == fresh);
    table.assign(5, fresh);
    CHECK(table.owner(5) == fresh);
    CHECK(table.owner(6) == a);
    tell(table, {"b", "a"});
    CHECK(hosts_of(table.all()) == "bad");
    CHECK(table.owner(slot_count - 1) == a);
    table.assign(5, fresh);
    CHECK(table.owner(5) == fresh);
    tell(table, {"a", "b"});  // nobody has named it since
    CHECK(hosts_of(table.all()) == "ab");
    table.assign(5, fresh);
    CHECK(table.owner(5) == a);
}

TEST_CASE("a cluster's statistics are the sums over its nodes, with the breakers of those who have left") {
    Table table = table_of("redis+cluster://a:7");
    tell(table, {"a", "b"});
    const auto set = [&](Slot slot, FakeNode::Breaker breaker, std::size_t connections) {
        table.owner(slot)->state = breaker;
        table.owner(slot)->connections = connections;
    };
    set(0, {2, false}, 3);
    set(slot_count - 1, {5, true}, 4);
    sluice::RedisStats stats;
    table.add_to(stats);
    CHECK(stats.connections == 7);
    CHECK(stats.breaker_openings == 7);
    CHECK(stats.breaker_is_open);
    REQUIRE(stats.nodes.size() == 2);
    CHECK(stats.nodes[0].address == "a:7");
    CHECK(stats.nodes[0].connections == 3);
    CHECK(stats.nodes[0].breaker_openings == 2);
    CHECK_FALSE(stats.nodes[0].breaker_is_open);
    CHECK(stats.nodes[1].breaker_is_open);
    tell(table, {"a"});
    sluice::RedisStats later;
    table.add_to(later);
    CHECK(later.connections == 3);
    CHECK(later.breaker_openings == 7);
    CHECK_FALSE(later.breaker_is_open);
}
