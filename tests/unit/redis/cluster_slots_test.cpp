// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <system_error>

#include <sluice/redis/wire/cluster_slots.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/slot_map.hpp>

#include "support/catch.hpp"

using sluice::Errc;
using sluice::detail::redis::ClusterSlots;
using sluice::detail::redis::HostPort;
using sluice::detail::redis::slot_count;
using sluice::detail::redis::SlotMap;
using sluice::detail::redis::SlotRange;
using Want = ClusterSlots::Want;

namespace {

std::string bulk(std::string_view text) {
    return "$" + std::to_string(text.size()) + "\r\n" + std::string{text} + "\r\n";
}
std::string number(int value) { return ":" + std::to_string(value) + "\r\n"; }
std::string node(const std::string& host, int port, const std::string& metadata = "*0\r\n") {
    return "*4\r\n" + host + number(port) + bulk("1ac0b4c7e5a1f3") + metadata;
}
std::string range(int first, int last, const std::string& nodes, int count = 1) {
    return "*" + std::to_string(2 + count) + "\r\n" + number(first) + number(last) + nodes;
}
const std::string nil = "$-1\r\n";

/// What the machine makes of an answer, which arrives in steps of so many bytes; or the error.
std::string read(const std::string& answer, std::size_t step = 16'384) {
    ClusterSlots slots{"asked"};
    slots.sent(slots.output().size());
    for (std::string_view rest = answer; !rest.empty(); rest.remove_prefix(std::min(step, rest.size()))) {
        if (slots.want() != Want::receive) return "too much";
        if (const std::error_code error = slots.feed(rest.substr(0, step))) return error.message();
    }
    if (slots.want() != Want::done) return "too little";
    std::string text;
    for (const SlotRange& range : slots.ranges())
        text += std::to_string(range.first) + "-" + std::to_string(range.last) + " " + to_string(range.master) + ";";
    return text;
}

std::string message(Errc errc) { return make_error_code(errc).message(); }

}  // namespace

TEST_CASE("CLUSTER SLOTS: what is asked") {
    ClusterSlots slots{"h"};
    CHECK(slots.want() == Want::send);
    CHECK(slots.output() == "*2\r\n" + bulk("CLUSTER") + bulk("SLOTS"));
    slots.sent(3);
    CHECK(slots.want() == Want::send);
    slots.sent(slots.output().size());
    CHECK(slots.want() == Want::receive);
}

TEST_CASE("CLUSTER SLOTS: masters and their ranges, in whatever pieces they arrive") {
    const auto answer = "*3\r\n" + range(0, 5460, node(bulk("10.0.0.1"), 7000) + node(bulk("10.0.0.9"), 7009), 2) +
                        range(5461, 10922, node(bulk("::1"), 7001)) +
                        range(10923, 16383, node(bulk("node.example"), 7002));
    for (const std::size_t step : {1U, 7U, 16'384U})
        CHECK(read(answer, step) == "0-5460 10.0.0.1:7000;5461-10922 [::1]:7001;10923-16383 node.example:7002;");
    CHECK(read("*0\r\n").empty());
    // Before 7.0 there was nothing behind the id, and before 4.0 not even that.
    CHECK(read("*1\r\n" + range(1, 2, "*3\r\n" + bulk("h") + number(7) + bulk("id"))) == "1-2 h:7;");
    CHECK(read("*1\r\n" + range(1, 2, "*2\r\n" + bulk("h") + number(7))) == "1-2 h:7;");
}

TEST_CASE("CLUSTER SLOTS: a node that does not know its host is whom was asked") {
    CHECK(read("*1\r\n" + range(0, 1, node(nil, 7000))) == "0-1 asked:7000;");
    CHECK(read("*1\r\n" + range(0, 1, node(bulk(""), 7000))) == "0-1 asked:7000;");
}

TEST_CASE("CLUSTER SLOTS: announced hosts that are not set") {
    const auto address = "*2\r\n" + bulk("ip") + bulk("10.0.0.7");
    const auto both = "*4\r\n" + bulk("hostname") + bulk("name.example") + bulk("ip") + bulk("10.0.0.7");
    CHECK(read("*1\r\n" + range(0, 1, node(bulk("?"), 7000, address))) == "0-1 10.0.0.7:7000;");
    CHECK(read("*1\r\n" + range(0, 1, node(bulk("?"), 7000, both))) == "0-1 10.0.0.7:7000;");
    CHECK(read("*1\r\n" + range(0, 1, node(bulk("name.example"), 7000, address))) == "0-1 name.example:7000;");
    CHECK(read("*2\r\n" + range(0, 1, node(bulk("?"), 7000)) + range(2, 3, node(bulk("h"), 7))) == "2-3 h:7;");
    // A replica's names and values are not its master's.
    CHECK(read("*1\r\n" + range(0, 1, node(bulk("?"), 7000) + node(bulk("?"), 7001, address), 2)).empty());
}

TEST_CASE("CLUSTER SLOTS: what is no map") {
    CHECK(read("-ERR This instance has cluster support disabled\r\n") == message(Errc::misconfigured));
    CHECK(read("-NOPERM this user has no permissions to run the 'cluster|slots' command\r\n") ==
          message(Errc::permission));
    CHECK(read("-LOADING Redis is loading the dataset in memory\r\n") == message(Errc::loading));
    for (const std::string& answer : std::initializer_list<std::string>{
             std::string{"+OK\r\n"}, std::string{"-\r\n"}, bulk("text"), number(5), nil, std::string{"*1\r\n:1\r\n"},
             "*1\r\n" + bulk("text"), std::string{"*1073741824\r\n"}, "*1\r\n" + range(-1, 2, node(bulk("h"), 7)),
             "*1\r\n" + range(0, 70'000, node(bulk("h"), 7)), "*1\r\n" + range(0, 1, node(bulk("h"), 70'000)),
             "*1\r\n" + range(0, 1, node(bulk(std::string(256, 'h')), 7)), std::string{"*0\r\n*0\r\n"},
             "*1\r\n" + range(0, 1, node(bulk("h"), 7, "*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n"))}) {
        INFO(answer);
        CHECK(read(answer) == message(Errc::protocol));
    }
    std::string deep;
    for (int i = 0; i != 5'000; ++i) deep += "*1\r\n";
    CHECK(read(deep) == message(Errc::protocol));
    CHECK(read("*1\r\n" + range(0, 1, "*2\r\n" + number(0) + number(7))).empty());  // a number for a host
    CHECK(read("*1\r\n" + range(5, 4, node(bulk("h"), 7))).empty());
    CHECK(read("*1\r\n" + range(5, 16'384, node(bulk("h"), 7))).empty());
}

TEST_CASE("CLUSTER SLOTS: an answer without end is not waited for") {
    ClusterSlots slots{"h"};
    slots.sent(slots.output().size());
    const std::string piece(16'384, 'x');
    std::size_t fed = 0;
    std::error_code error = slots.feed("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$100000000\r\n");
    while (!error) {
        error = slots.feed(piece);
        fed += piece.size();
    }
    CHECK(error == Errc::protocol);
    CHECK(fed <= ClusterSlots::max_bytes + piece.size());
}

TEST_CASE("a map of slots") {
    SlotMap map;
    CHECK(map.is_empty());
    CHECK(map.owner(0) == SlotMap::nobody);
    const SlotRange ranges[] = {{0, 9, {"a", 1}}, {10, 16'382, {"b", 2}}, {5, 5, {"a", 1}}, {6, 6, {"c", 3}}};
    map = SlotMap{ranges};
    CHECK(map.nodes().size() == 3);
    const auto owner = [&](sluice::detail::redis::Slot slot) { return map.nodes()[map.owner(slot)].host; };
    CHECK(owner(0) == "a");
    CHECK(owner(5) == "a");
    CHECK(owner(6) == "c");
    CHECK(owner(9) == "a");
    CHECK(owner(10) == "b");
    CHECK(map.owner(16'383) == SlotMap::nobody);
    CHECK(map.owner(sluice::detail::redis::any_slot) == SlotMap::nobody);
    CHECK_FALSE(map.is_complete());

    const auto added = map.add({"d", 4});
    CHECK(map.add({"d", 4}) == added);
    map.assign(16'383, added);
    CHECK(owner(16'383) == "d");
    CHECK(map.is_complete());
    for (const auto none : {sluice::detail::redis::any_slot, sluice::detail::redis::Slot{slot_count}}) {
        map.assign(none, added);  // as a broken redirection names it
        CHECK(map.owner(none) == SlotMap::nobody);
    }
    CHECK(owner(0) == "a");

    for (std::size_t i = map.nodes().size(); i != SlotMap::max_nodes; ++i)
        map.add({"x", static_cast<std::uint16_t>(i)});
    CHECK(map.add({"one too many", 1}) == SlotMap::nobody);
    CHECK(map.add({"d", 4}) == added);
}
