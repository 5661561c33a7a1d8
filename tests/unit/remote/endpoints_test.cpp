// SPDX-License-Identifier: MIT

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>

#include <sluice/remote/endpoints.hpp>
#include <sluice/remote/loop.hpp>
#include <sluice/remote/stream.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using namespace sluice::detail::remote;
using Names = std::vector<std::string>;

namespace {

Address address(const std::string& numeric) { return Address::of_host(numeric, 6379, AI_NUMERICHOST).at(0); }

std::string text(const Address& a) {
    char host[NI_MAXHOST];
    REQUIRE(getnameinfo(a.get(), a.length, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0);
    return host;
}

Names order(Endpoints& endpoints) {
    std::vector<Address> found;
    REQUIRE_FALSE(endpoints.find(found, Deadline{10s}));
    Names names;
    for (const Address& a : found) names.push_back(text(a));
    return names;
}

}  // namespace

TEST_CASE("numeric addresses and paths are known at once") {
    Endpoints numeric{{.host = "127.0.0.1", .port = 6379},
                      [](const std::string&) -> Names { throw std::logic_error{""}; }};
    CHECK(order(numeric) == Names{"127.0.0.1"});
    numeric.doubt(address("127.0.0.1"));
    CHECK(order(numeric) == Names{"127.0.0.1"});
    Endpoints path{{.path = "/tmp/redis.sock"}};
    std::vector<Address> found;
    CHECK_FALSE(path.find(found, Deadline{0s}));
    CHECK(found.at(0).family() == AF_UNIX);
}

TEST_CASE("addresses are dialled the last good one first, those that failed last") {
    std::atomic<int> look_ups{0};
    Endpoints endpoints{{.host = "name", .port = 6379}, [&](const std::string& host) {
                            CHECK(host == "name");
                            ++look_ups;
                            return Names{"127.0.0.1", "127.0.0.2", "127.0.0.3"};
                        }};
    CHECK(order(endpoints) == Names{"127.0.0.1", "127.0.0.2", "127.0.0.3"});
    CHECK(order(endpoints).size() == 3);
    CHECK(look_ups == 1);  // known for a while

    endpoints.prefer(address("127.0.0.2"));
    CHECK(order(endpoints) == Names{"127.0.0.2", "127.0.0.1", "127.0.0.3"});
    endpoints.doubt(address("127.0.0.2"));
    CHECK(order(endpoints) == Names{"127.0.0.1", "127.0.0.3", "127.0.0.2"});
    CHECK(look_ups == 2);  // what was doubted may have moved
    endpoints.doubt(address("127.0.0.1"));
    CHECK(order(endpoints) == Names{"127.0.0.3", "127.0.0.2", "127.0.0.1"});
    endpoints.prefer(address("127.0.0.1"));
    CHECK(order(endpoints) == Names{"127.0.0.1", "127.0.0.3", "127.0.0.2"});
    endpoints.doubt(address("127.0.0.3"));
    CHECK(order(endpoints) == Names{"127.0.0.1", "127.0.0.2", "127.0.0.3"});
    endpoints.prefer(address("127.0.0.1"));
    endpoints.prefer(address("127.0.0.9"));  // of which no look-up has told
    const int before = look_ups;
    endpoints.retire(address("127.0.0.1"), Deadline::Clock::now());
    CHECK(order(endpoints) == Names{"127.0.0.2", "127.0.0.3", "127.0.0.1"});
    CHECK(look_ups == before + 1);
}

TEST_CASE("what a look-up found expires") {
    std::atomic<int> look_ups{0};
    Endpoints endpoints{{.host = "name", .port = 6379}, [&](const std::string&) {
                            ++look_ups;
                            return Names{"127.0.0.1"};
                        }};
    const auto now = Deadline::Clock::now();
    endpoints.learn({address("127.0.0.9")}, now - Endpoints::lifetime / 2);
    CHECK(order(endpoints) == Names{"127.0.0.9"});
    CHECK(look_ups == 0);
    endpoints.doubt(address("127.0.0.9"));
    endpoints.learn({address("127.0.0.9"), address("127.0.0.8")}, now);
    CHECK(order(endpoints) == Names{"127.0.0.8", "127.0.0.9"});
    CHECK(look_ups == 0);
    endpoints.learn({address("127.0.0.9")}, now - Endpoints::lifetime);
    CHECK(order(endpoints) == Names{"127.0.0.1"});
    CHECK(look_ups == 1);
}

TEST_CASE("where a look-up fails or hangs, what an older one found is better than nothing") {
    std::atomic<int> look_ups{0};
    std::atomic<bool> over{false};
    Endpoints endpoints{{.host = "name", .port = 6379}, [&](const std::string&) -> Names {
                            switch (look_ups++) {
                                case 0: return {};
                                case 1: return {"127.0.0.1"};
                                case 2: throw std::runtime_error{"no answer"};
                            }
                            while (!over) std::this_thread::yield();
                            return {"127.0.0.2"};
                        }};
    std::vector<Address> found;
    CHECK(endpoints.find(found, Deadline{10s}) == Errc::unresolved);
    CHECK(order(endpoints) == Names{"127.0.0.1"});
    endpoints.doubt(address("127.0.0.1"));
    CHECK(order(endpoints) == Names{"127.0.0.1"});
    CHECK(look_ups == 3);
    REQUIRE_FALSE(endpoints.find(found, Deadline{20ms}));
    CHECK(text(found.at(0)) == "127.0.0.1");
    over = true;
    CHECK(order(endpoints) == Names{"127.0.0.2"});  // the same look-up's
    CHECK(look_ups == 4);
}

TEST_CASE("what is retired takes older connections along") {
    Endpoints endpoints{{.host = "127.0.0.1", .port = 6379}};
    const auto now = Deadline::Clock::now();
    const auto before = endpoints.retirements();
    endpoints.doubt(address("127.0.0.1"), now);
    CHECK(endpoints.retirements() == before);
    endpoints.retire(address("127.0.0.1"), now - 5ms, now);
    CHECK(endpoints.retirements() == before + 1);
    CHECK(endpoints.is_retired(address("127.0.0.1"), now - 1ns));
    CHECK_FALSE(endpoints.is_retired(address("127.0.0.1"), now));
    endpoints.retire(address("127.0.0.1"), now - 1ms, now + 1ms);  // what an old connection still has to say
    CHECK(endpoints.retirements() == before + 1);
    CHECK_FALSE(endpoints.is_retired(address("127.0.0.1"), now));
}

TEST_CASE("a move takes connections to all other addresses along") {
    Endpoints endpoints;
    std::vector<Address> found;
    CHECK(endpoints.find(found, Deadline{1s}) == Errc::unresolved);
    const auto now = Deadline::Clock::now();
    endpoints.move_to({address("127.0.0.1")}, now);
    CHECK(order(endpoints) == Names{"127.0.0.1"});
    const auto before = endpoints.retirements();
    endpoints.move_to({address("127.0.0.1")}, now);
    CHECK(endpoints.retirements() == before);
    CHECK_FALSE(endpoints.is_retired(address("127.0.0.1"), now));
    endpoints.move_to({address("127.0.0.2")}, now);
    CHECK(endpoints.retirements() == before + 1);
    CHECK(endpoints.is_retired(address("127.0.0.1"), now));
    CHECK_FALSE(endpoints.is_retired(address("127.0.0.2"), now));
    CHECK(order(endpoints) == Names{"127.0.0.2"});
    endpoints.move_to({address("127.0.0.3"), address("127.0.0.4")}, now);
    endpoints.doubt(address("127.0.0.3"));
    CHECK(order(endpoints) == Names{"127.0.0.4", "127.0.0.3"});
}

TEST_CASE("a loop does not wait for a look-up, and is woken by its end") {
    std::atomic<bool> over{false};
    Endpoints endpoints{{.host = "name", .port = 6379}, [&](const std::string&) {
                            while (!over) std::this_thread::yield();
                            return Names{"127.0.0.1"};
                        }};
    Loop loop;
    std::vector<Address> found;
    const Deadline deadline{1min};
    for (int i = 0; i != 2; ++i) CHECK(endpoints.find(found, deadline, &loop) == Errc::busy);
    CHECK(found.empty());
    over = true;
    CHECK_FALSE(wait_for(loop.wakeup->descriptor(), POLLIN, deadline));
    REQUIRE_FALSE(endpoints.find(found, deadline, &loop));
    CHECK(text(found.at(0)) == "127.0.0.1");
}
