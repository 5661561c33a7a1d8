// SPDX-License-Identifier: MIT

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>
#include <sluice/tls.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/fake_server.hpp"
#include "support/poll_loop.hpp"
#include "support/redis_sentinels.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::RedisCredentials;
using sluice::RedisOptions;

namespace {

/// A client of one of the two kinds.
class Client {
public:
    Client(bool is_loop, const std::string& url, RedisOptions options) {
        if (options.timeout == RedisOptions{}.timeout) options.timeout = 5s;
        if (is_loop) {
            loop_.emplace(url, options);
        } else {
            threads_.emplace(url, options);
        }
    }
    sluice::Decision decide() const {
        const sluice::TokenBucket bucket{1'000, sluice::per_hour(1)};
        if (threads_) return sluice::RateLimiter{bucket, *threads_, {.name = "sentinel"}}.try_consume("key");
        const sluice::RateLimiter limiter{bucket, *loop_, {.name = "sentinel"}};
        return answer_to(*loop_, [&](auto done) { limiter.async_try_consume("key", 1, std::move(done)); });
    }
    sluice::RedisStats stats() const { return threads_ ? threads_->stats() : loop_->stats(); }

private:
    std::optional<sluice::RedisStore> threads_{};
    std::optional<sluice::AsyncRedis> loop_{};
};

bool is_loop = false;  // what decide() asks by
void choose_client() {
    is_loop = GENERATE(false, true);
    UNSCOPED_INFO((is_loop ? "from an event loop" : "from a thread"));
}
sluice::Decision decide(const std::string& url, RedisOptions options = {}) {
    return Client{is_loop, url, std::move(options)}.decide();
}

/// A sentinel that gives every question this answer.
FakeServer::Behaviour says(std::string reply) {
    return [reply = std::move(reply)](const FakePeer& peer) {
        while (!peer.read().empty()) peer.write(reply);
    };
}
std::string names(const std::string& host, int port) {
    const std::string digits = std::to_string(port);
    return "*2\r\n$" + std::to_string(host.size()) + "\r\n" + host + "\r\n$" + std::to_string(digits.size()) + "\r\n" +
           digits + "\r\n";
}
std::string url_of(const FakeServer& sentinel) { return "redis+sentinel://" + sentinel.url().substr(8) + "/limits"; }

std::string monitoring(int port) { return "sentinel monitor limits 127.0.0.1 " + std::to_string(port) + " 1\n"; }

}  // namespace

TEST_CASE("sentinels name the master, which has a password of its own and a database") {
    choose_client();
    RedisServer master{{"--requirepass", "hunter2"}};
    const std::string config = monitoring(master.port()) + "sentinel auth-pass limits hunter2\n";
    RedisServer sentinel{"127.0.0.1", 0, {"--sentinel", "--requirepass", "watch"}, config};
    const auto url = "redis+sentinel://:hunter2@127.0.0.1:1,127.0.0.1:" + std::to_string(sentinel.port()) + "/limits/3";
    const auto as = [](const char* password) {
        return RedisOptions{.sentinel = {.credentials = [=] { return RedisCredentials{"", password}; }}};
    };
    CHECK(decide(url, as("watch")).remaining == 999);
    CHECK(decide(url, as("watch")).remaining == 998);
    CHECK(master.command({"AUTH", "hunter2"}) == "OK");
    CHECK(master.info("db3").rfind("keys=1", 0) == 0);
    CHECK(decide(url, as("wrong")).error == Errc::authentication);
    CHECK(decide(url).error == Errc::authentication);
    auto failing = as("");
    failing.sentinel.credentials = []() -> RedisCredentials { throw std::runtime_error{"the vault is closed"}; };
    CHECK(decide(url, failing).error == Errc::authentication);
    const auto other = "redis+sentinel://127.0.0.1:" + std::to_string(sentinel.port()) + "/nonesuch";
    CHECK(decide(other, as("watch")).error == Errc::misconfigured);
    CHECK_FALSE(decide(other, as("watch")));
}

TEST_CASE("what is no sentinel is the operator's mistake") {
    choose_client();
    RedisServer server;
    const auto decision = decide("redis+sentinel://127.0.0.1:" + std::to_string(server.port()) + "/limits");
    CHECK(decision.error == Errc::misconfigured);
    CHECK_FALSE(decision);
    CHECK_THROWS_AS(decide("redis://h", {.sentinel = {.credentials = [] { return RedisCredentials{}; }}}),
                    std::invalid_argument);
    CHECK_THROWS_AS(decide("redis+sentinel://h/m", {.sentinel = {.recheck = 0ms}}), std::invalid_argument);
}

TEST_CASE("a sentinel that names a replica is not believed, and nothing is written there") {
    choose_client();
    RedisServer master;
    RedisServer replica{{"--replicaof", "127.0.0.1 " + std::to_string(master.port()), "--replica-read-only", "no"}};
    FakeServer late{says(names("127.0.0.1", replica.port()))};
    CHECK(decide(url_of(late)).error == Errc::read_only);
    CHECK(replica.command({"INFO", "commandstats"}).find("cmdstat_eval") == std::string::npos);
    FakeServer good{says(names("127.0.0.1", master.port()))};
    CHECK_FALSE(decide(url_of(good)).error);
}

TEST_CASE("sentinels are asked one after another until one knows") {
    choose_client();
    RedisServer master;
    FakeServer good{says(names("localhost", master.port()))};  // a name, as sentinels may be told to announce
    FakeServer ignorant{says("*-1\r\n")};
    FakeServer broken{says("garbage\r\n")};
    FakeServer silent{[](const FakePeer& peer) { peer.fall_silent(); }};
    const auto with = [](std::vector<const FakeServer*> sentinels) {
        std::string url = "redis+sentinel://";
        for (const auto* one : sentinels) url += one->url().substr(8) + ",";
        url.back() = '/';
        return url + "limits";
    };
    CHECK_FALSE(decide(with({&ignorant, &broken, &good})).error);
    CHECK_FALSE(decide(with({&silent, &good}), {.timeout = 1s}).error);
    CHECK(decide(with({&ignorant, &ignorant})).error == Errc::misconfigured);
    CHECK(decide(with({&ignorant, &broken})).error == Errc::protocol);
    CHECK(decide(with({&silent, &ignorant}), {.timeout = 100ms}).error == Errc::timeout);

    // The one that answered is asked first from then on, on the connection that it has.
    const Client client{
        is_loop, with({&silent, &good}), {.timeout = 1s, .connections = 1, .sentinel = {.recheck = 10ms}}};
    const int silent_before = silent.connections();
    const int good_before = good.connections();
    for (int i = 0; i != 10; ++i) {
        CHECK_FALSE(client.decide().error);
        std::this_thread::sleep_for(15ms);
    }
    CHECK(silent.connections() == silent_before + 1);
    CHECK(good.connections() == good_before + 1);
    CHECK(client.stats().dials == 1);
}

TEST_CASE("answers of sentinels that nobody could mean") {
    choose_client();
    for (const std::string reply :
         {"*0\r\n", "*1\r\n$1\r\na\r\n", "*2\r\n$0\r\n\r\n$1\r\n1\r\n", "*2\r\n$1\r\na\r\n$1\r\n0\r\n",
          "*2\r\n$1\r\na\r\n$5\r\n65536\r\n", "*2\r\n$1\r\na\r\n:1\r\n", "*2\r\n$1\r\na\r\n$2\r\n-1\r\n", "+OK\r\n",
          ":1\r\n", "$1\r\na\r\n", "*3\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n1\r\n", "*1073741824\r\n",
          "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n:1\r\n"}) {
        INFO(reply);
        FakeServer sentinel{says(reply)};
        const auto error = decide(url_of(sentinel)).error;
        CHECK((error == Errc::protocol || (error == Errc::misconfigured && reply == "*0\r\n")));
    }
}

TEST_CASE("sentinels and master over TLS") {
    choose_client();
    const Certificates files;
    const int master_port = RedisServer::free_port();
    const int sentinel_port = RedisServer::free_port();
    auto of_master = files.options(master_port);
    auto of_sentinel = files.options(sentinel_port);
    of_master.insert(of_master.end(), {"--tls-replication", "yes"});
    of_sentinel.insert(of_sentinel.end(), {"--tls-replication", "yes", "--sentinel"});
    RedisServer master{of_master};
    RedisServer sentinel{"127.0.0.1", 0, of_sentinel, monitoring(master_port)};
    const auto url = [](const char* scheme, int port) {
        return scheme + std::string{"+sentinel://127.0.0.1:"} + std::to_string(port) + "/limits";
    };
    const sluice::Tls tls{.ca_file = files.ca()};
    CHECK(decide(url("rediss", sentinel_port), {.tls = tls}).remaining == 999);
    CHECK(decide(url("rediss", sentinel_port), {.tls = tls, .sentinel = {.tls = tls}}).remaining == 998);
    CHECK(decide(url("rediss", sentinel_port), {.tls = sluice::Tls{}}).error == Errc::certificate_untrusted);
    CHECK(decide(url("rediss", sentinel_port), {.tls = sluice::Tls{}, .sentinel = {.tls = tls}}).error ==
          Errc::certificate_untrusted);
    // Sentinels over TLS, the master without.
    const int other_port = RedisServer::free_port();
    auto of_other = files.options(other_port);
    of_other.emplace_back("--sentinel");
    RedisServer other{"127.0.0.1", 0, of_other, monitoring(master.port())};
    CHECK(decide(url("redis", other_port), {.sentinel = {.tls = tls}}).remaining == 997);
}
