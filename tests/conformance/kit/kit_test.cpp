// SPDX-License-Identifier: MIT
//
// The conformance kit itself: it finds what is wrong.
#include <array>
#include <chrono>
#include <cstdint>
#include <string>

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
