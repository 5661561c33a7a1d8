// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sluice/http/async_guard.hpp>
#include <sluice/sluice.hpp>

#include "support/held_store.hpp"

using namespace std::chrono_literals;
using namespace sluice::http;
using sluice::RateLimiter;

namespace {

struct Fixture {
    HeldStore<sluice::FixedWindow> store{};

    template <class S>
    static Limit limit(const S& in, const char* name, int units, Counted counted = Counted::all) {
        return {.limiter = RateLimiter{sluice::FixedWindow{units, 24h}, in, {.name = name}}, .counted = counted};
    }
    Limit held(const char* name, int units, Counted counted = Counted::all) const {
        return limit(store, name, units, counted);
    }
    std::uint64_t left(const char* name, int units) const {
        return RateLimiter{sluice::FixedWindow{units, 24h}, store.memory, {.name = name}}
            .peek("ip:192.0.2.1")
            .remaining;
    }
};

/// As if it were elsewhere.
struct BlockingStore {
    sluice::MemoryStore<sluice::FixedWindow> memory{};

    sluice::Decision decide(const sluice::Request<sluice::FixedWindow>& request) const noexcept {
        return memory.decide(request);
    }
    sluice::Consumption consume(const sluice::Request<sluice::FixedWindow>& request) const noexcept {
        return memory.consume(request);
    }
};

Guard guard_of(std::vector<Limit> limits, GuardOptions options = {}) {
    Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}};
    rule.tiers = {{.limits = std::move(limits)}};
    return Guard{RuleSet{{rule}}, std::move(options)};
}

/// Where an answer comes, if it does.
struct Asking {
    explicit Asking(const Guard& guard, const char* path = "/a") {
        guard.handle_async({"POST", path, "192.0.2.1"}, [this](Answer given) { answer = std::move(given); });
    }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;
    bool allowed() const { return answer.value().allowed; }
    std::optional<Answer> answer{};
};

}  // namespace

TEST_CASE("a guard answers when its limit's store does", "[http][async]") {
    const Fixture f;
    int denied = 0;
    const Guard guard = guard_of({f.held("day", 1)}, {.on_denied = [&](const Denial&) { ++denied; }});
    const Asking first{guard}, second{guard}, elsewhere{guard, "/b"};
    CHECK(elsewhere.allowed());  // no rule, no question
    CHECK_FALSE((first.answer || second.answer));
    f.store.calls->answer_all();
    CHECK(first.allowed());
    CHECK_FALSE(second.allowed());
    CHECK(second.answer->denial.status == 429);
    CHECK(second.answer->verdict.answers()[0].name == "day");
    CHECK(denied == 1);
    CHECK_FALSE(guard.handle({"POST", "/a", "192.0.2.1"}).allowed);  // which would have to wait
    CHECK(guard.denial(guard.check({"POST", "/a", "192.0.2.1"})).status == 500);
}

TEST_CASE("limits of a guard that does not wait are asked at once, and one that denies has the others give back",
          "[http][async]") {
    const Fixture f;
    const Guard guard = guard_of({f.held("a", 5), f.held("b", 1), f.held("c", 5)});
    const Asking first{guard};
    CHECK(f.store.calls->size() == 3);
    f.store.calls->answer_all();
    CHECK(first.allowed());
    const Asking second{guard};
    f.store.calls->answer();
    f.store.calls->answer();
    CHECK_FALSE(second.answer);  // what is still to come has to go back, too
    f.store.calls->answer();
    REQUIRE_FALSE(second.allowed());
    CHECK(second.answer->verdict.answers()[0].decision.remaining == 4);
    CHECK(second.answer->verdict.answers()[1].decision.remaining == 0);
    f.store.calls->answer_all();
    CHECK((f.left("a", 5) == 4 && f.left("b", 1) == 0 && f.left("c", 5) == 4));
}

TEST_CASE("what a limit in this process denies is not asked of others", "[http][async]") {
    const Fixture f;
    const sluice::MemoryStore<sluice::FixedWindow> memory;
    const Guard guard = guard_of({f.held("far", 5), f.limit(memory, "near", 1), f.limit(memory, "last", 3)});
    const Asking first{guard};
    CHECK(f.store.calls->size() == 1);
    f.store.calls->answer_all();
    CHECK(first.allowed());
    const Asking second{guard};
    CHECK(f.store.calls->size() == 0);
    REQUIRE_FALSE(second.allowed());
    const auto answers = second.answer->verdict.answers();
    CHECK((!answers[0].asked && answers[1].asked && answers[2].asked));
    CHECK((answers[0].decision.allowed && answers[2].decision.remaining == 2));
    CHECK((binding(answers) != nullptr && binding(answers)->name == "near"));
    CHECK(f.left("far", 5) == 4);
}

TEST_CASE("what a limit elsewhere denies at once ends the asking", "[http][async]") {
    const Fixture f;
    const BlockingStore quick{};
    const Guard guard = guard_of({f.held("a", 5), f.limit(quick, "b", 1), f.held("c", 5)});
    const Asking first{guard};
    CHECK(f.store.calls->size() == 2);
    f.store.calls->answer_all();
    CHECK(first.allowed());
    const Asking second{guard};
    CHECK(f.store.calls->size() == 1);
    f.store.calls->answer_all();
    REQUIRE_FALSE(second.allowed());
    CHECK_FALSE(second.answer->verdict.answers()[2].asked);
    CHECK((f.left("a", 5) == 4 && f.left("c", 5) == 4));
}

TEST_CASE("a guard that does not wait settles by outcome", "[http][async]") {
    const Fixture f;
    const Guard guard = guard_of({f.held("login", 2, Counted::failures)});
    for (const int status : {200, 302, 401}) {
        const Asking asked{guard};
        f.store.calls->answer_all();
        REQUIRE(asked.allowed());
        CHECK(f.left("login", 2) == 1);
        asked.answer->verdict.settle(status);
        f.store.calls->answer_all();
        CHECK(f.left("login", 2) == (status < 400 ? 2 : 1));
    }
}

TEST_CASE("a store that fails decides as its limiter says, without waiting, too", "[http][async]") {
    const Fixture f;
    const Guard open = guard_of({f.held("open", 1)});
    Limit strict{.limiter = RateLimiter{sluice::FixedWindow{1, 24h},
                                        f.store,
                                        {.name = "strict", .on_failure = sluice::FailureMode::deny}}};
    const Guard closed = guard_of({f.held("open", 5), strict});
    const Asking passes{open}, fails{closed};
    f.store.calls->answer(true);
    CHECK(passes.allowed());
    CHECK(passes.answer->fields.size() == 0);
    f.store.calls->answer();
    f.store.calls->answer(true);
    REQUIRE_FALSE(fails.allowed());
    CHECK(fails.answer->denial.status == 503);
    f.store.calls->answer_all();
    CHECK(f.left("open", 5) == 5);
}

TEST_CASE("rules that are replaced live until the requests that they were asked for are answered", "[http][async]") {
    const Fixture f;
    const Guard guard = guard_of({f.held("day", 1)});
    const Asking asked{guard};
    guard.rules().replace(RuleSet{});
    f.store.calls->answer_all();
    CHECK(asked.answer->verdict.rule()->name == "r");
    const Asking after{guard};
    CHECK(after.allowed());
}

TEST_CASE("a guard knows whose requests may wait, and shadow mode denies nobody unasked", "[http][async]") {
    const Fixture f;
    const sluice::MemoryStore<sluice::FixedWindow> memory;
    Rule far{.name = "far", .routes = {RoutePattern{"/a"}}, .tiers = {{.limits = {f.held("far", 5)}}}};
    far.tiers[0].limits.push_back(f.limit(memory, "near", 1));
    far.enforce_percent = 0;
    const Rule near{.name = "near", .routes = {RoutePattern{"/b"}}, .tiers = {{.limits = {f.limit(memory, "b", 1)}}}};
    const Guard guard{RuleSet{{far, near}}};
    CHECK((guard.may_wait({"GET", "/a"}) && !guard.may_wait({"GET", "/b"}) && !guard.may_wait({"GET", "/c"})));
    const Asking first{guard};
    f.store.calls->answer_all();
    const Asking second{guard};
    CHECK(second.answer->verdict.outcome() == sluice::Outcome::would_deny);
    const auto answers = second.answer->verdict.answers();
    CHECK((!answers[0].asked && answers[0].decision.allowed && answers[1].asked && !answers[1].decision.allowed));
}

TEST_CASE("the deny list needs no store", "[http][async]") {
    const Guard guard{RuleSet{{}, std::nullopt, {.networks = {Network{"192.0.2.0/24"}}}}};
    const Asking asked{guard};
    REQUIRE_FALSE(asked.allowed());
    CHECK(asked.answer->denial.status == 403);
}
