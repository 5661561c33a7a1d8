// SPDX-License-Identifier: MIT

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
