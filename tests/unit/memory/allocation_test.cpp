// SPDX-License-Identifier: MIT
//
// What the memory store does with memory: none for a known key, and an error where there is none for a new one.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

std::atomic<std::int64_t> allocations{0};
std::atomic<std::int64_t> releases{0};
std::atomic<std::int64_t> allowed_allocations{-1};  // negative: as many as there are

void* allocate(std::size_t size, std::size_t alignment) {
    ++allocations;
    if (allowed_allocations >= 0 && allowed_allocations-- <= 0) {
        allowed_allocations = 0;
        return nullptr;
    }
    return alignment <= alignof(std::max_align_t)
               ? std::malloc(size)
               : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
    if (void* memory = allocate(size == 0 ? 1 : size, alignment)) return memory;
    throw std::bad_alloc{};
}

// Not inlined: GCC would see free() take what came from a new that it did not inline, and warn.
[[gnu::noinline]] void release(void* memory) noexcept {
    if (memory != nullptr) ++releases;
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size, 1); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, 1); }
void* operator new(std::size_t size, std::align_val_t a) {
    return allocate_or_throw(size, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t size, std::align_val_t a) {
    return allocate_or_throw(size, static_cast<std::size_t>(a));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

namespace {

template <class P>
auto make_limiter(const P& policy, const sluice::ManualClock& clock, sluice::MemoryOptions options = {}) {
    return sluice::RateLimiter{
        policy, sluice::MemoryStore<P, sluice::ManualClock>{options, clock}, {.on_failure = sluice::FailureMode::deny}};
}

template <class P>
void allocates_nothing(const P& policy, sluice::MemoryOptions options = {}) {
    const sluice::ManualClock clock{1h};
    const auto limiter = make_limiter(policy, clock, options);
    const std::string key(200, 'k');
    const std::vector<std::string_view> keys(40, key);
    std::vector<sluice::Decision> decisions(keys.size());
    for (std::uint64_t i = 0; i != policy.quota().limit; ++i) REQUIRE(limiter.try_consume(key));
    const auto before = allocations.load();
    bool all_well = true;
    for (int i = 0; i != 100; ++i) {
        all_well =
            all_well && !limiter.try_consume(key).error && !limiter.peek(key, 2).error && !limiter.refund(key, 1);
        limiter.try_consume_many(keys, decisions);
        clock.advance(100ms);
    }
    const auto after = allocations.load();
    CHECK(all_well);
    CHECK(after == before);
}

/// Lets the first n allocations of a new key's first request succeed, for n = 0, 1, ... until it needs no more. How many
/// it needed.
template <class P>
int survives_want_of_memory(const P& policy, sluice::MemoryOptions options = {}) {
    const sluice::ManualClock clock{1h};
    const auto limiter = make_limiter(policy, clock, options);
    int refused = 0;
    for (std::int64_t n = 0;; ++n) {
        const std::string key = "key " + std::to_string(n);
        allowed_allocations = n;
        const auto decision = limiter.try_consume(key, 2);
        const auto error = limiter.peek("another key").error;
        allowed_allocations = -1;
        REQUIRE_FALSE(error);
        if (!decision.error) {
            CHECK(decision.remaining == policy.quota().limit - 2);
            CHECK(limiter.store().keys() == 1);
            return refused;
        }
        ++refused;
        REQUIRE(decision.error == sluice::Errc::no_memory);
        REQUIRE_FALSE(decision.allowed);
        REQUIRE(limiter.peek(key).remaining == policy.quota().limit);  // and nothing was consumed
        REQUIRE(limiter.store().keys() == 0);
    }
}

const sluice::TokenBucket bucket{10, sluice::per_second(1)};
const sluice::AllOf both{bucket, sluice::FixedWindow{20, 1h}};

}  // namespace

TEST_CASE("a known key needs no allocation") {
    allocates_nothing(bucket);
    allocates_nothing(sluice::LeakyBucket{10, sluice::per_second(1)});
    allocates_nothing(sluice::FixedWindow{10, 1h});
    allocates_nothing(sluice::SlidingWindowCounter{10, 1h});
    allocates_nothing(sluice::SlidingWindow{10, 1h});
    allocates_nothing(both);
    allocates_nothing(sluice::FixedWindow{10, 64ns});
    allocates_nothing(bucket, {.wide_fingerprints = true});
}

TEST_CASE("a new key for which there is no memory is an error, and changes nothing") {
    CHECK(survives_want_of_memory(sluice::AllOf{sluice::SlidingWindow{10, 1h}, sluice::FixedWindow{20, 1h}}) > 0);
    // What has its state in the table needs none.
    CHECK(survives_want_of_memory(sluice::SlidingWindow{10, 1h}) == 0);
    CHECK(survives_want_of_memory(bucket) == 0);
    CHECK(survives_want_of_memory(both) == 0);
    CHECK(survives_want_of_memory(sluice::FixedWindow{10, 64ns}) == 0);
    CHECK(survives_want_of_memory(bucket, {.wide_fingerprints = true}) == 0);
}

TEST_CASE("a log that cannot grow denies nobody what it has room for") {
    const sluice::ManualClock clock{1h};
    const auto limiter = make_limiter(sluice::SlidingWindow{100, 1h}, clock);
    for (int i = 0; i != 9; ++i) {
        REQUIRE(limiter.try_consume("key"));
        clock.advance(1s);
    }
    allowed_allocations = 0;
    const auto refused = limiter.try_consume("key", 50);
    allowed_allocations = -1;
    CHECK(refused.error == sluice::Errc::no_memory);
    CHECK(limiter.peek("key").remaining == 91);
    CHECK(limiter.try_consume("key", 50).remaining == 41);
}

TEST_CASE("an expired log keeps no memory while other keys are asked") {
    const sluice::ManualClock clock{1h};
    const auto limiter = make_limiter(sluice::SlidingWindow{1'000, 1s}, clock, {.max_keys = 1'000});
    const auto live_blocks = [] { return allocations.load() - releases.load(); };
    static_cast<void>(limiter.try_consume("other"));
    const auto before = live_blocks();
    for (int i = 0; i != 100; ++i) {
        REQUIRE(limiter.try_consume("hot"));
        clock.advance(1us);
    }
    const auto full = live_blocks();
    clock.advance(1s + 5s);
    for (int i = 0; i != 1'000; ++i) static_cast<void>(limiter.peek("other"));
    CHECK(full > before);
    CHECK(live_blocks() <= before + 1);  // what is left is the key's place
}

TEST_CASE("a table that cannot grow serves the keys it has") {
    const sluice::ManualClock clock{1h};
    const auto limiter = make_limiter(bucket, clock);
    REQUIRE(limiter.try_consume("first"));
    allowed_allocations = 0;
    int known = 1;
    for (int i = 0; i != 2'000; ++i)
        known += limiter.try_consume(std::string_view{reinterpret_cast<const char*>(&i), sizeof i}).error ? 0 : 1;
    const auto first = limiter.try_consume("first");
    allowed_allocations = -1;
    CHECK(first.remaining == 8);
    CHECK(limiter.store().keys() == static_cast<std::size_t>(known));
    CHECK(limiter.try_consume("another"));
}
