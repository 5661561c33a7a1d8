// SPDX-License-Identifier: MIT

#include <chrono>

#include <sluice/settling.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using Bucket = sluice::TokenBucket;

TEST_CASE("a scope's id stands for the limiter's name and the policy") {
    const Bucket small{10, sluice::per_second(1)};
    const Bucket large{20, sluice::per_second(1)};
    const sluice::Scope<Bucket> scope{"api", small};
    const Bucket copy{small};
    CHECK(scope.id == sluice::Scope<Bucket>{"api", copy}.id);
    CHECK(scope.id != sluice::Scope<Bucket>{"ap", small}.id);
    CHECK(scope.id != sluice::Scope<Bucket>{"", small}.id);
    CHECK(scope.id != sluice::Scope<Bucket>{"api", large}.id);
    CHECK(sluice::Scope<Bucket>{"api", small, scope.id}.id == scope.id);
}

TEST_CASE("concepts tell what a store can do") {
    using Store = sluice::MemoryStore<Bucket>;
    STATIC_REQUIRE(sluice::Store<Store, Bucket>);
    STATIC_REQUIRE(sluice::TimedStore<Store, Bucket>);
    STATIC_REQUIRE(sluice::BatchStore<Store, Bucket>);
    STATIC_REQUIRE(sluice::SettlingStore<Store, Bucket>);
    STATIC_REQUIRE_FALSE(sluice::Store<Store, sluice::FixedWindow>);
    STATIC_REQUIRE_FALSE(sluice::Store<int, Bucket>);
    STATIC_REQUIRE_FALSE(sluice::CheckingStore<Store, Bucket>);
}

TEST_CASE("a scope is not made of a policy that is gone before it is used") {
    STATIC_REQUIRE(std::is_constructible_v<sluice::Scope<Bucket>, const char*, const Bucket&>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<sluice::Scope<Bucket>, const char*, Bucket>);
}

namespace {

/// Has decide() alone.
template <sluice::Policy P>
struct Plain {
    sluice::MemoryStore<P, sluice::ManualClock> store;
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept { return store.decide(request); }
};

}  // namespace

TEST_CASE("what is consumed of a store that only decides is given back by a refund") {
    using namespace std::chrono_literals;
    const sluice::ManualClock clock{1'000s};
    const sluice::LeakyBucket policy{5, sluice::per_second(1)};
    const Plain<sluice::LeakyBucket> store{sluice::MemoryStore<sluice::LeakyBucket, sluice::ManualClock>{{}, clock}};
    STATIC_REQUIRE_FALSE(sluice::SettlingStore<Plain<sluice::LeakyBucket>, sluice::LeakyBucket>);
    sluice::Request<sluice::LeakyBucket> request{{"api", policy}, "key", 3};
    const auto peeked = [&] { return store.decide({{"api", policy}, "key", 0, sluice::Operation::peek}).remaining; };
    const auto taken = sluice::detail::consume(store, request, 7s);
    CHECK(taken.decision.allowed);
    CHECK(taken.units == 3);
    CHECK(taken.at == 7s);
    CHECK(peeked() == 2);
    const auto denied = sluice::detail::consume(store, request);
    CHECK_FALSE(denied.decision.allowed);
    CHECK(denied.units == 0);
    // Room for one, but only after three seconds.
    request.units = 1;
    request.max_delay = 2s;
    const auto late = sluice::detail::consume(store, request);
    CHECK_FALSE(late.decision.allowed);
    CHECK(late.units == 0);
    CHECK(late.decision.retry_after == 1s);
    CHECK(late.decision.delay == 0s);
    CHECK(peeked() == 2);
    request.max_delay = 3s;
    CHECK(sluice::detail::consume(store, request).units == 1);
    CHECK(peeked() == 1);

    const auto back = sluice::detail::giving_back<sluice::LeakyBucket, Plain<sluice::LeakyBucket>>(request, taken);
    CHECK(back.operation == sluice::Operation::refund);
    CHECK(back.units == 3);
    CHECK(back.consumed_at == 7s);
    using Memory = sluice::MemoryStore<sluice::LeakyBucket, sluice::ManualClock>;
    CHECK(sluice::detail::giving_back<sluice::LeakyBucket, Memory>(request, taken).operation ==
          sluice::Operation::give_back);
}
