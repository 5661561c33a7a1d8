// SPDX-License-Identifier: MIT

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <system_error>
#include <thread>
#include <vector>

#include <sluice/remote/combiner.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::detail::remote::Breaker;
using sluice::detail::remote::Deadline;
using sluice::detail::remote::Outcome;
using Permit = Breaker::Permit;
using Evidence = Breaker::Evidence;

namespace {

struct FakeCall {
    int question = 0;
    int answer = 0;
    std::error_code error{};
};

struct FakeCallSet {
    using Ticket = std::size_t;
    std::vector<FakeCall> calls{};

    void reserve(std::size_t count) { calls.reserve(count); }
    void clear() { calls.clear(); }
    std::size_t size() const { return calls.size(); }
    bool accepts(std::span<const FakeCall> more) const { return calls.size() + more.size() <= 8; }
    Ticket add(const FakeCall& call) {
        calls.push_back(call);
        return calls.size() - 1;
    }
    void cancel(Ticket ticket, std::error_code error) { calls[ticket].error = error; }
    void collect(Ticket ticket, FakeCall& call) const { call = calls[ticket]; }
};

struct FakeServer;

struct FakeConnection {
    explicit FakeConnection(FakeServer& its_server) : server(its_server) {}
    bool is_open() const { return opened; }
    void abandon() { opened = false; }
    Outcome perform(FakeCallSet& set, const Deadline&) noexcept;

    FakeServer& server;
    std::atomic<bool> opened{false};
};

/// Answers each call with twice its question.
struct FakeServer {
    struct {
        std::size_t connections;
        std::size_t max_waiting;
        std::chrono::milliseconds timeout{100};
    } options{};
    std::atomic<int> exchanges{0};
    std::atomic<std::size_t> most_calls{0};
    Outcome outcome{Evidence::answer, false, false};
};

Outcome FakeConnection::perform(FakeCallSet& set, const Deadline&) noexcept {
    opened = true;
    ++server.exchanges;
    if (set.size() > server.most_calls) server.most_calls = set.size();
    for (FakeCall& call : set.calls) call.answer = 2 * call.question;
    return server.outcome;
}

struct FakeLink {
    using Server = FakeServer;
    using Call = FakeCall;
    using CallSet = FakeCallSet;
    using Connection = FakeConnection;
};

using Lanes = sluice::detail::remote::Lanes<FakeLink>;
using Combiner = sluice::detail::remote::Combiner<FakeLink>;

}  // namespace

TEST_CASE("the open lane that was used last is taken, and of closed ones any") {
    FakeServer server{{3, 0}};
    Lanes lanes{server, 3};
    auto *const a = lanes.take(), *const b = lanes.take(), *const c = lanes.take();
    REQUIRE(c != nullptr);
    CHECK(lanes.take() == nullptr);
    CHECK(lanes.open_connections() == 0);
    for (auto* const lane : {a, b}) {
        lane->connection.opened = true;
        CHECK(lanes.returns(*lane, {}));
        lanes.put_back(*lane);
    }
    CHECK(lanes.returns(*c, {}));
    lanes.put_back(*c);
    CHECK(lanes.open_connections() == 2);
    CHECK(lanes.take() == b);
    CHECK(lanes.take() == a);
    CHECK(lanes.take() == c);
    CHECK(lanes.take() == nullptr);

    a->connection.opened = false;  // the server has closed it
    CHECK(lanes.returns(*a, {}));
    lanes.put_back(*a);
    CHECK(lanes.returns(*b, {}));
    lanes.put_back(*b);
    CHECK(lanes.take() == b);
    lanes.abandon();
    CHECK(lanes.open_connections() == 0);
}

TEST_CASE("a lane that could not be dialled rests as long as others serve") {
    FakeServer server{{2, 0}};
    Lanes lanes{server, 2};
    auto *const one = lanes.take(), *const other = lanes.take();
    const Outcome useless{Evidence::failure, true, true};
    for (const auto pause : {50ms, 100ms, 200ms, 400ms, 500ms, 500ms}) {
        const auto now = Deadline::Clock::now();
        CHECK_FALSE(lanes.returns(*one, useless));
        CHECK(one->pause == pause);
        CHECK(one->rests_until >= now + pause);
    }
    one->rests_until = Deadline::Clock::now() + 1h;
    lanes.put_back(*one);
    CHECK(lanes.take() == nullptr);         // the other one may come back
    CHECK(lanes.returns(*other, useless));  // none serves
    other->rests_until = Deadline::Clock::now();
    lanes.put_back(*other);
    CHECK(lanes.take() == other);
    other->rests_until = Deadline::Clock::now() + 1h;
    lanes.put_back(*other);
    CHECK(lanes.take() == one);  // somebody has to try
    CHECK(lanes.returns(*one, {}));
    CHECK(one->pause == 0ms);
}

TEST_CASE("a call that finds a lane free goes alone, and else waits, if not too many do") {
    FakeServer server{{1, 1}};
    Breaker breaker{{}};
    Combiner combiner{server, breaker};
    std::array<FakeCall, 2> calls{FakeCall{1}, FakeCall{2}};
    combiner.run(calls, Deadline{1h}, Permit::normal);
    CHECK(calls[0].answer == 2);
    CHECK(calls[1].answer == 4);
    CHECK(combiner.open_connections() == 1);

    auto* const lane = combiner.try_take();
    REQUIRE(lane != nullptr);
    CHECK(combiner.try_take() == nullptr);
    for (int i = 0; i != 3; ++i) {  // who has waited in vain leaves no trace
        calls.fill({3});
        combiner.run(calls, Deadline{5ms}, Permit::normal);
        CHECK(calls[0].error == Errc::timeout);
        CHECK(calls[1].error == Errc::timeout);
        CHECK(combiner.waiting() == 0);
    }
    CHECK(server.exchanges == 1);

    std::array one{FakeCall{4}};
    REQUIRE(combiner.load(*lane, one, Permit::normal));
    combiner.conclude(*lane, one, lane->connection.perform(lane->alone, Deadline{1h}), Permit::normal);
    CHECK(one[0].answer == 8);
    CHECK(combiner.try_take() == lane);
}

TEST_CASE("where none may wait, a call is refused, which tells the breaker nothing") {
    FakeServer server{{1, 0}};
    Breaker breaker{{.failures_to_open = 1}};
    Combiner combiner{server, breaker};
    REQUIRE(combiner.try_take() != nullptr);
    std::array one{FakeCall{1}};
    combiner.run(one, Deadline{1h}, Permit::normal);
    CHECK(one[0].error == Errc::busy);
    CHECK_FALSE(breaker.is_open());
}

TEST_CASE("how an exchange went is the breaker's") {
    FakeServer server{{1, 0}};
    server.outcome.evidence = Evidence::failure;
    Breaker breaker{{.failures_to_open = 2}};
    Combiner combiner{server, breaker};
    std::array one{FakeCall{1}};
    combiner.run(one, Deadline{1h});
    CHECK_FALSE(breaker.is_open());
    combiner.run(one, Deadline{1h});
    CHECK(breaker.is_open());
    CHECK_FALSE(one[0].error);
    combiner.run(one, Deadline{Deadline::Clock::now() - 1h, 2h});  // a call that began before the pause is over
    CHECK(one[0].error == Errc::breaker_open);
    CHECK(server.exchanges == 2);
}

TEST_CASE("those who wait for a lane go together when it is free") {
    FakeServer server{{1, 100}};
    Breaker breaker{{}};
    Combiner combiner{server, breaker};
    auto* const lane = combiner.try_take();
    REQUIRE(lane != nullptr);
    const Deadline deadline{1min};
    std::vector<std::thread> threads;
    std::array<FakeCall, 12> calls;
    for (std::size_t i = 0; i != calls.size(); ++i) {
        calls[i].question = static_cast<int>(i) + 1;
        threads.emplace_back([&, i] { combiner.run({&calls[i], 1}, deadline, Permit::normal); });
    }
    while (combiner.waiting() != calls.size() && !deadline.has_passed()) std::this_thread::yield();
    CHECK(combiner.waiting() == calls.size());
    CHECK(combiner.try_take() == nullptr);

    std::array one{FakeCall{50}};
    REQUIRE(combiner.load(*lane, one, Permit::normal));
    combiner.conclude(*lane, one, lane->connection.perform(lane->alone, deadline), Permit::normal);
    for (auto& thread : threads) thread.join();
    for (const FakeCall& call : calls) {
        CHECK_FALSE(call.error);
        CHECK(call.answer == 2 * call.question);
    }
    CHECK(server.exchanges == 3);  // eight calls at most in each
    CHECK(server.most_calls == 8);
    CHECK(combiner.waiting() == 0);
    CHECK(combiner.try_take() == lane);
}
