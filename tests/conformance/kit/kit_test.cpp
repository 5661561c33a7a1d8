// SPDX-License-Identifier: MIT
//
// The conformance kit itself: it finds what is wrong.
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/sluice.hpp>
#include <sluice/testing/conformance.hpp>

#include "conformance/memory_kit.hpp"
#include "support/catch.hpp"

#include "../examples/cooldown.hpp"

namespace {

using namespace std::chrono_literals;

/// What a run reports.
struct Report {
    int passed = 0;
    int failed = 0;
    std::string first;

    sluice::conformance::Expect expect() {
        return [this](bool ok, const std::string& what) {
            ++(ok ? passed : failed);
            if (!ok && first.empty()) first = what;
        };
    }
};

enum class Fault { names_are_forgotten, denials_count, long_keys_are_cut };

/// A memory store with a fault.
template <sluice::Policy P>
struct Faulty {
    sluice::MemoryStore<P, conformance::SettableClock> store;
    Fault fault;

    sluice::Decision decide(sluice::Request<P> request) const noexcept {
        if (fault == Fault::long_keys_are_cut) request.key = request.key.substr(0, 8);
        if (fault == Fault::names_are_forgotten) {
            return store.decide(
                sluice::Request<P>{{"", request.scope.policy}, request.key, request.units, request.operation});
        }
        const auto decision = store.decide(request);
        if (fault == Fault::denials_count && !decision && request.operation == sluice::Operation::consume) {
            request.units = decision.remaining;
            static_cast<void>(store.decide(request));
        }
        return decision;
    }
};

struct FaultyKit : conformance::MemoryKit {
    static constexpr int sequences = 20;
    static constexpr int requests_per_thread = 100;

    Fault fault = Fault::names_are_forgotten;

    template <sluice::Policy P>
    auto store() {
        return Faulty<P>{MemoryKit::store<P>(), fault};
    }
};

std::string first_failure(Fault fault) {
    FaultyKit kit;
    kit.fault = fault;
    Report report;
    sluice::conformance::check_store(kit, report.expect(), 1);
    CHECK(report.passed > 100);
    CHECK(report.failed > 0);
    return report.first;
}

/// A bucket of ten whose wait is one nanosecond too short.
struct Hasty : sluice::TokenBucket {
    using TokenBucket::TokenBucket;
    sluice::Decision step(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        auto decision = TokenBucket::step(state, now, cost);
        if (decision.retry_after > 1ns && decision.retry_after != sluice::Decision::never) decision.retry_after -= 1ns;
        return decision;
    }
};
/// One that takes what is left when it denies.
struct Greedy : sluice::TokenBucket {
    using TokenBucket::TokenBucket;
    sluice::Decision step(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        const auto decision = TokenBucket::step(state, now, cost);
        if (!decision) static_cast<void>(TokenBucket::step(state, now, decision.remaining));
        return decision;
    }
};
/// One whose states are forgotten too early.
struct Forgetful : sluice::TokenBucket {
    using TokenBucket::TokenBucket;
    std::chrono::nanoseconds expires_at(const State& state) const noexcept {
        return TokenBucket::expires_at(state) - 200ms;
    }
};

/// A store of which one answer, the nth from here, is altered.
struct Altering {
    sluice::MemoryStore<sluice::TokenBucket, conformance::SettableClock> store;
    int* left;
    const std::function<void(sluice::Decision&)>* alter;

    sluice::Decision decide(const sluice::Request<sluice::TokenBucket>& request) const noexcept {
        auto decision = store.decide(request);
        if ((*left)-- == 0) (*alter)(decision);
        return decision;
    }
};

/// What a case of single decisions reports of a bucket of five where that answer is altered; after it `left` tells how
/// many answers there were.
Report report_on_answer(void (*body)(const sluice::detail::conformance::Subject&, sluice::detail::conformance::Run&),
                        int& left, const std::function<void(sluice::Decision&)>& alter) {
    conformance::MemoryKit kit;
    kit.clock.set(sluice::detail::conformance::start);
    Report report;
    const auto expect = report.expect();
    sluice::detail::conformance::Run run{expect, "case", 1};
    const Altering store{kit.store<sluice::TokenBucket>(), &left, &alter};
    body({sluice::RateLimiter{sluice::TokenBucket{5, sluice::per_second(5)}, store, {.name = "kit"}},
          [clock = kit.clock](std::chrono::nanoseconds now) { clock.set(now); }, 1ns, 200},
         run);
    return report;
}

/// The same of what a store took.
template <sluice::Policy P>
struct AlteringTakes {
    sluice::MemoryStore<P, conformance::SettableClock> store;
    int* left;
    const std::function<void(sluice::Consumption&)>* alter;

    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        return altered({store.decide(request)}).decision;
    }
    sluice::Consumption consume(const sluice::Request<P>& request) const noexcept {
        return altered(store.consume(request));
    }
    sluice::Consumption altered(sluice::Consumption taken) const noexcept {
        if ((*left)-- == 0) (*alter)(taken);
        return taken;
    }
};
struct AlteringKit : conformance::MemoryKit {
    int left = 0;
    std::function<void(sluice::Consumption&)> alter{};

    template <sluice::Policy P>
    auto store() {
        return AlteringTakes<P>{MemoryKit::store<P>(), &left, &alter};
    }
};

template <class P>
Report report_on(const P& policy) {
    Report report;
    sluice::conformance::check_policy(policy, report.expect(), 20, 1);
    return report;
}

}  // namespace

TEST_CASE("the kit finds a store's faults, and says where") {
    const std::string names = first_failure(Fault::names_are_forgotten);
    CHECK_THAT(names,
               contains_text("conformance.hpp") || contains_text("deciding.hpp") || contains_text("comparing.hpp"));
    CHECK_THAT(names, contains_text("seed 1"));
    CHECK_THAT(first_failure(Fault::denials_count), contains_text("token_bucket"));
    CHECK_THAT(first_failure(Fault::long_keys_are_cut), contains_text("takes any key"));
}

TEST_CASE("the kit finds a policy's faults, and none in these") {
    const auto bucket = sluice::per_second(5);
    CHECK_THAT(report_on(Hasty{10, bucket}).first, contains_text("token_bucket"));
    CHECK_THAT(report_on(Greedy{10, bucket}).first, contains_text("states that should be alike are not"));
    CHECK_THAT(report_on(Forgetful{10, bucket}).first, contains_text("states that should be alike are not"));
    for (const Report& right : {report_on(sluice::TokenBucket{10, bucket}), report_on(sluice::LeakyBucket{10, bucket}),
                                report_on(sluice::FixedWindow{10, 2s}), report_on(sluice::SlidingWindowCounter{10, 2s}),
                                report_on(Cooldown{2s})}) {
        CHECK(right.first == "");
        CHECK(right.passed > 1'000);
    }
}

TEST_CASE("the kit sees to every answer") {
    using namespace sluice::detail::conformance;
    for (auto* const body :
         {decides_as_announced, knows_never_and_nothing, peeks_refunds_and_resets, takes_any_key, decides_many_in_order,
          survives_a_clock_that_goes_back, decides_new_keys_twice_in_a_batch}) {
        int left = -1;
        const Report right = report_on_answer(body, left, {});
        CHECK(right.first == "");
        const int answers = -1 - left;
        REQUIRE(answers >= 5);
        const std::vector<std::pair<const char*, std::function<void(sluice::Decision&)>>> faults{
            {"allowed", [](sluice::Decision& d) { d.allowed = !d.allowed; }},
            {"one more", [](sluice::Decision& d) { ++d.remaining; }},
            {"limit", [](sluice::Decision& d) { ++d.limit; }},
            {"fails", [](sluice::Decision& d) { d.error = sluice::Errc::timeout; }},
            {"retry", [](sluice::Decision& d) { ++d.retry_after; }},
            {"no retry", [](sluice::Decision& d) { d.retry_after = {}; }},
            {"no reset", [](sluice::Decision& d) { d.reset_after = {}; }},
            {"reset", [](sluice::Decision& d) { ++d.reset_after; }},
        };
        for (int nth = 0; nth != answers; ++nth) {
            bool is_seen_to = false;
            for (const auto& [what, alter] : faults) {
                INFO(nth << ": " << what);
                left = nth;
                const bool is_found = report_on_answer(body, left, alter).failed != 0;
                is_seen_to = is_seen_to || is_found;
                // The first five are admitted, and the sixth denied: of these it looks at all that tells when.
                const std::string_view field{what};
                if (body == decides_as_announced && nth <= 5 && field != "limit" && !field.ends_with("reset"))
                    CHECK((is_found || (nth < 5 && field == "no retry")));  // there is none
            }
            INFO(nth);
            CHECK(is_seen_to);
        }
    }
}

TEST_CASE("the kit sees to what a store took and what it says to that") {
    using namespace sluice::detail::conformance;
    using Taken = sluice::Consumption;
    const std::function<void(Taken&)> allowed = [](Taken&t) { t.decision.allowed = !t.decision.allowed; },
                                      units = [](Taken&t) { ++t.units; }, at = [](Taken&t) { ++t.at; },
                                      remaining = [](Taken&t) { ++t.decision.remaining; },
                                      retry = [](Taken&t) { ++t.decision.retry_after; },
                                      no_retry = [](Taken&t) { t.decision.retry_after = {}; },
                                      delay = [](Taken&t) { ++t.decision.delay; },
                                      fails = [](Taken&t) { t.decision.error = sluice::Errc::timeout; };
    // Of each answer, in their order, what it has to look at.
    using Looks = std::vector<std::vector<std::function<void(Taken&)>>>;
    const auto check = [](void (*body)(AlteringKit&, Run&), const Looks& looks) {
        const auto finds = [&](int nth, const std::function<void(Taken&)>& alter) {
            AlteringKit kit;
            kit.left = nth;
            kit.alter = alter;
            Report report;
            const auto expect = report.expect();
            Run run{expect, "case", 1};
            body(kit, run);
            return report.failed != 0;
        };
        CHECK_FALSE(finds(-1, {}));
        for (std::size_t nth = 0; nth != looks.size(); ++nth) {
            for (std::size_t i = 0; i != looks[nth].size(); ++i) {
                INFO("answer " << nth << ", fault " << i);
                CHECK(finds(static_cast<int>(nth), looks[nth][i]));
            }
        }
    };
    check(takes_and_gives_back<AlteringKit>, {{allowed, units, at},
                                              {units, remaining},
                                              {allowed, units, no_retry},
                                              {fails},
                                              {remaining},
                                              {units},
                                              {units},
                                              {units},
                                              {fails},
                                              {remaining}});
    check(minds_the_greatest_delay<AlteringKit>, {{delay},
                                                  {delay},
                                                  {allowed, units, retry, remaining},
                                                  {allowed},
                                                  {delay},
                                                  {units},
                                                  {units},
                                                  {units},
                                                  {retry},
                                                  {delay}});
}
