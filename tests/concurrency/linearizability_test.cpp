// SPDX-License-Identifier: MIT
// Small concurrent histories, each compared with every order in which its operations could have happened one by one.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/threads.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t limit = 5;
constexpr std::chrono::nanoseconds period{65};  // in which a key is as good as new
constexpr int threads = 4;
constexpr int operations_each = 3;

enum class Act { consume, peek, refund, reset, expire };  // expire: the clock moves on until nothing counts any more

struct Call {
    Act act = Act::consume;
    std::uint64_t units = 1;
    bool allowed = false;
    std::uint64_t remaining = 0;
    std::uint64_t invoked = 0;  // on a counter that all threads share
    std::uint64_t returned = 0;
};

using History = std::array<Call, threads * operations_each>;

/// The sequential model: applies `call` to `used` and tells whether its answer fits.
bool fits(const Call& call, std::uint64_t& used) {
    const bool room = used + call.units <= limit;
    switch (call.act) {
        case Act::consume:
            if (room) used += call.units;
            return call.allowed == room && call.remaining == limit - used;
        case Act::peek: return call.allowed == room && call.remaining == limit - used;
        case Act::refund: used -= used < call.units ? used : call.units; return true;
        case Act::reset:
        case Act::expire: used = 0; return true;
    }
    return false;
}

/// Wing and Gong, "Testing and verifying concurrent objects", 1993: some order of the calls that respects real time is
/// one of the model. `done` has a bit for each call that is placed already.
bool is_linearizable(const History& history, unsigned done, std::uint64_t used) {
    if (done == (1U << history.size()) - 1) return true;
    std::uint64_t first_return = ~std::uint64_t{0};
    for (std::size_t i = 0; i != history.size(); ++i) {
        if ((done >> i & 1) == 0 && history[i].returned < first_return) first_return = history[i].returned;
    }
    for (std::size_t i = 0; i != history.size(); ++i) {
        if ((done >> i & 1) != 0 || history[i].invoked > first_return) continue;
        std::uint64_t after = used;
        if (fits(history[i], after) && is_linearizable(history, done | 1U << i, after)) return true;
    }
    return false;
}

/// The calls in the order in which they began.
void print(const History& history) {
    std::array<std::size_t, threads * operations_each> order{};
    for (std::size_t i = 0; i != order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return history[a].invoked < history[b].invoked; });
    constexpr std::array<const char*, 5> names{"consume", "peek", "refund", "reset", "expire"};
    const std::uint64_t first = history[order[0]].invoked;
    for (const std::size_t i : order) {
        const Call& call = history[i];
        std::cout << "thread " << i / operations_each << ", " << call.invoked - first << " to " << call.returned - first
                  << ": " << names[static_cast<std::size_t>(call.act)] << ' ' << call.units << " -> "
                  << (call.allowed ? "yes" : "no") << ", " << call.remaining << " remain\n";
    }
}

/// In a store so small that expired states' slots are taken over, by keys that each thread asks for in between, and that
/// shards are rebuilt.
template <class P>
std::size_t broken_histories(const P& policy, int histories, sluice::MemoryOptions options = {}) {
    Random random{"linearizability"};
    options.max_keys = 400;
    const sluice::ManualClock clock{1h};
    const sluice::RateLimiter limiter{policy, sluice::MemoryStore<P, sluice::ManualClock>{options, clock}};
    std::vector<History> all(static_cast<std::size_t>(histories));
    for (History& history : all) {
        for (Call& call : history) {
            call.act = random.pick(Act::consume, Act::consume, Act::consume, Act::refund, Act::peek,
                                   random.one_in(3)   ? Act::reset
                                   : random.one_in(2) ? Act::expire
                                                      : Act::consume);
            call.units = random.between<std::uint64_t>(1, 3);
        }
    }
    std::atomic<std::uint64_t> now{0};
    std::atomic<int> arrived{0};
    run_threads(threads, [&](int thread) {
        for (std::size_t h = 0; h != all.size(); ++h) {
            arrived.fetch_add(1);
            while (arrived.load() < static_cast<int>(h + 1) * threads) std::this_thread::yield();
            const std::string key = "key " + std::to_string(h);  // of its own, so that the race to insert it is one too
            for (int i = 0; i != operations_each; ++i) {
                Call& call = all[h][static_cast<std::size_t>(thread * operations_each + i)];
                call.invoked = now.fetch_add(1);
                sluice::Decision decision;
                switch (call.act) {
                    case Act::consume: decision = limiter.try_consume(key, call.units); break;
                    case Act::peek: decision = limiter.peek(key, call.units); break;
                    case Act::refund: static_cast<void>(limiter.refund(key, call.units)); break;
                    case Act::reset: static_cast<void>(limiter.reset(key)); break;
                    case Act::expire: clock.advance(period); break;
                }
                call.returned = now.fetch_add(1);
                call.allowed = decision.allowed;
                call.remaining = decision.remaining;
                if (h % 2 == 0) static_cast<void>(limiter.try_consume(key + static_cast<char>('a' + 4 * thread + i)));
            }
        }
    });
    std::size_t broken = 0;
    for (const History& history : all) {
        if (is_linearizable(history, 0, 0)) continue;
        if (++broken == 1) print(history);
    }
    CHECK(limiter.store().reclaimed() > static_cast<std::size_t>(histories) / 10);
    CHECK(limiter.store().overflowed() == 0);
    return broken;
}

}  // namespace

TEST_CASE("the checker tells a history that no order explains") {
    History history;
    for (std::size_t i = 0; i != history.size(); ++i) history[i] = {Act::peek, 1, true, limit, 2 * i, 2 * i + 1};
    CHECK(is_linearizable(history, 0, 0));
    history[0] = {Act::consume, 1, true, limit - 1, 0, 1};
    CHECK_FALSE(is_linearizable(history, 0, 0));
    history[1] = {Act::expire, 1, false, 0, 2, 3};
    CHECK(is_linearizable(history, 0, 0));
}

TEST_CASE("20,000 histories of 4 threads x 3 operations are linearizable, whatever form a state has") {
    const int histories = cases(20'000);
    const sluice::TokenBucket bucket{limit, sluice::Rate{limit, period}};
    const sluice::FixedWindow window{limit, period};                         // too short for one word
    CHECK(broken_histories(bucket, histories) == 0);                         // one word
    CHECK(broken_histories(sluice::AllOf{bucket, bucket}, histories) == 0);  // two
    CHECK(broken_histories(window, histories) == 0);                         // three
    CHECK(broken_histories(bucket, histories / 4, {.wide_fingerprints = true}) == 0);
    CHECK(broken_histories(sluice::SlidingWindow{limit, period}, histories / 4) == 0);  // a block on the heap
}
