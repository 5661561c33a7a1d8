// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <sluice/http/beast_async.hpp>
#include <sluice/http/beast_redis.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/sluice.hpp>

#include "support/raw_client.hpp"
#include "support/redis_server.hpp"

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;
using namespace sluice::http;

namespace {

constexpr const char* rules = R"({"rules":[
    {"name":"health","routes":["/health"]},
    {"name":"login","routes":["/login"],"limits":[{"name":"login","count":"failures",
        "policy":{"kind":"fixed_window","limit":1,"window":"1d"}}]},
    {"name":"two","routes":["/two"],"limits":[{"name":"two","policy":{"kind":"token_bucket","capacity":2,"refill":"1/h"}}]},
    {"name":"both","routes":["/both"],"limits":[
        {"name":"wide","policy":{"kind":"token_bucket","capacity":9,"refill":"1/h"}},
        {"name":"narrow","policy":{"kind":"token_bucket","capacity":1,"refill":"1/h"}}]},
    {"name":"paced","routes":["/paced"],"limits":[{"name":"paced",
        "policy":{"kind":"leaky_bucket","queue":5,"drain":"5/s"}}]}]})";

/// A server of coroutines on some threads, which never wait for Redis.
class LoopServer {
public:
    LoopServer(LimiterFactory (*limiters)(sluice::BoostAsioRedis), const std::string& url,
               std::chrono::milliseconds timeout, int threads = 1)
        : limiter_(Guard{parse_rules(rules, "rules",
                                     limiters(sluice::BoostAsioRedis{
                                         asio::make_strand(context_), url, {.timeout = timeout, .connections = 1}})),
                         GuardOptions{.headers = {HeaderStyle::both}}}),
          acceptor_(context_, {asio::ip::make_address("127.0.0.1"), 0}), port(acceptor_.local_endpoint().port()) {
        asio::co_spawn(context_, accept(), [](const std::exception_ptr&) {});
        for (int i = 0; i != threads; ++i) threads_.emplace_back([this] { context_.run(); });
    }
    ~LoopServer() {
        context_.stop();
        for (auto& thread : threads_) thread.join();
    }

private:
    asio::awaitable<void> accept() {
        for (;;) {
            tcp::socket socket = co_await acceptor_.async_accept(asio::use_awaitable);
            asio::co_spawn(asio::make_strand(context_), serve(std::move(socket)), [](const std::exception_ptr&) {});
        }
    }
    asio::awaitable<void> serve(tcp::socket socket) {
        using Request = http::request<http::string_body>;
        using Response = http::response<http::string_body>;
        boost::beast::flat_buffer buffer;
        for (;;) {
            Request request;
            co_await http::async_read(socket, buffer, request, asio::use_awaitable);
            ++asked;
            const Answer answer = co_await async_check(limiter_, request, "192.0.2.1", asio::use_awaitable);
            if (answer.delay.count() > 0) {
                last_delay = answer.delay;
                asio::steady_timer timer{co_await asio::this_coro::executor, answer.delay};
                co_await timer.async_wait(asio::use_awaitable);
            }
            Response response;
            if (answer.allowed) {
                const bool fails = request.target() == "/login?bad";
                response.result(fails ? http::status::unauthorized : http::status::ok);
                response.prepare_payload();
                limiter_.finish(answer, response);
            } else {
                response = limiter_.denial<Response>(answer, request);
            }
            ++answered;
            co_await http::async_write(socket, response, asio::use_awaitable);
        }
    }

    asio::io_context context_;
    BeastGuard<> limiter_;
    tcp::acceptor acceptor_;
    std::vector<std::thread> threads_{};

public:
    int port;
    std::atomic<int> asked{0}, answered{0};
    std::atomic<std::chrono::nanoseconds> last_delay{0ns};
};

LimiterFactory in_redis(sluice::BoostAsioRedis redis) { return limiters_in(std::move(redis)); }
LimiterFactory with_memory_behind(sluice::BoostAsioRedis redis) {
    return limiters_in(std::move(redis), MemoryLimiters{}, 1);
}

int ask(RawClient& client, const std::string& target) {
    const auto response = client.ask(raw_request("GET", target));
    return response ? response->status : -1;
}

}  // namespace

TEST_CASE("beast: coroutines guard with limits in Redis", "[beast]") {
    const RedisServer redis;
    LoopServer server{in_redis, redis.url(), 10s}, other{in_redis, redis.url(), 10s};
    RawClient client{server.port}, elsewhere{other.port};
    const auto first = client.ask(raw_request("GET", "/two"));
    REQUIRE(first);
    CHECK(first->status == 200);
    CHECK(first->header("RateLimit") == "\"two\";r=1;t=3600");
    CHECK(ask(elsewhere, "/two") == 200);  // the same limit
    const auto denied = client.ask(raw_request("GET", "/two"));
    REQUIRE(denied);
    CHECK(denied->status == 429);
    CHECK(denied->header("Retry-After") == "3600");
    CHECK(ask(client, "/health") == 200);
}

TEST_CASE("beast: only failed logins count, without waiting for what goes back", "[beast]") {
    const RedisServer redis;
    LoopServer server{in_redis, redis.url(), 10s};
    RawClient client{server.port};
    for (int i = 0; i < 5; ++i) CHECK(ask(client, "/login?good") == 200);
    CHECK(ask(client, "/login?bad") == 401);
    CHECK(ask(client, "/login?good") == 429);
}

TEST_CASE("beast: what one limit in Redis denies, another gets back", "[beast]") {
    const RedisServer redis;
    LoopServer server{in_redis, redis.url(), 10s};
    RawClient client{server.port};
    CHECK(ask(client, "/both") == 200);
    for (int i = 0; i < 3; ++i) {
        const auto denied = client.ask(raw_request("GET", "/both"));
        REQUIRE(denied);
        CHECK(denied->status == 429);
        CHECK(denied->header("RateLimit").find("\"wide\";r=8") != std::string::npos);
    }
}

TEST_CASE("beast: a paced request waits on a timer", "[beast]") {
    const RedisServer redis;
    LoopServer server{in_redis, redis.url(), 10s};
    RawClient client{server.port};
    CHECK(ask(client, "/paced") == 200);
    const auto start = std::chrono::steady_clock::now();
    do CHECK(ask(client, "/paced") == 200);
    while (server.last_delay.load() == 0ns);  // where this thread is held up, nobody is in the queue any more
    CHECK(std::chrono::steady_clock::now() - start >= server.last_delay.load());
}

TEST_CASE("beast: while Redis does not answer, all that does not need it is served", "[beast]") {
    RedisServer redis;
    LoopServer server{in_redis, redis.url(), 60s};
    RawClient waits{server.port}, other{server.port};
    CHECK(ask(waits, "/two") == 200);
    redis.freeze();
    waits.send(raw_request("GET", "/two"));
    while (server.asked != 2) std::this_thread::sleep_for(1ms);
    for (int i = 0; i < 5; ++i) CHECK(ask(other, "/health") == 200);
    CHECK(server.answered == 6);  // not the one that waits
    redis.thaw();
    const auto response = waits.read();
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK(ask(waits, "/two") == 429);
}

TEST_CASE("beast: while Redis does not answer, memory decides where it stands behind", "[beast]") {
    RedisServer redis;
    LoopServer server{with_memory_behind, redis.url(), 50ms};
    RawClient client{server.port};
    redis.freeze();
    CHECK(ask(client, "/two") == 200);
    CHECK(ask(client, "/two") == 200);
    CHECK(ask(client, "/two") == 429);
    for (int i = 0; i < 3; ++i) CHECK(ask(client, "/login?good") == 200);
    CHECK(ask(client, "/login?bad") == 401);
    CHECK(ask(client, "/login?good") == 429);
}

TEST_CASE("beast: a limit without memory behind lets pass what Redis does not answer", "[beast]") {
    RedisServer redis;
    LoopServer server{in_redis, redis.url(), 50ms};
    RawClient client{server.port};
    redis.freeze();
    for (int i = 0; i < 3; ++i) CHECK(ask(client, "/two") == 200);
}

TEST_CASE("beast: several threads admit no more than the limit", "[beast]") {
    const RedisServer redis;
    LoopServer server{in_redis, redis.url(), 10s, 3};
    std::atomic<int> admitted{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) {
        clients.emplace_back([&] {
            RawClient client{server.port};
            for (int n = 0; n < 50; ++n) admitted += ask(client, "/both") == 200;
        });
    }
    for (auto& client : clients) client.join();
    CHECK(admitted == 1);
    RawClient client{server.port};
    const auto last = client.ask(raw_request("GET", "/both"));
    REQUIRE(last);
    CHECK(last->header("RateLimit").find("\"wide\";r=8") != std::string::npos);
}
