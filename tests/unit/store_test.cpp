// SPDX-License-Identifier: MIT

#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using Bucket = sluice::TokenBucket;

TEST_CASE("a scope's id stands for the limiter's name and the policy") {
    const Bucket small{10, sluice::per_second(1)};
    const Bucket large{20, sluice::per_second(1)};
    const sluice::Scope<Bucket> scope{"api", small};
    CHECK(scope.id == sluice::Scope<Bucket>{"api", Bucket{small}}.id);
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
    STATIC_REQUIRE_FALSE(sluice::Store<Store, sluice::FixedWindow>);
    STATIC_REQUIRE_FALSE(sluice::Store<int, Bucket>);
}
