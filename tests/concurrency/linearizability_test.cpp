// SPDX-License-Identifier: MIT
// Small concurrent histories, each compared with every order in which its operations could have happened one by one.
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/threads.hpp"

namespace {

constexpr std::uint64_t limit = 5;
constexpr int threads = 4;
constexpr int operations_each = 3;

struct Call {
    sluice::Operation operation = sluice::Operation::consume;
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
    switch (call.operation) {
        case sluice::Operation::consume:
            if (room) used += call.units;
            return call.allowed == room && call.remaining == limit - used;
        case sluice::Operation::peek: return call.allowed == room && call.remaining == limit - used;
        case sluice::Operation::refund: used -= used < call.units ? used : call.units; return true;
        case sluice::Operation::reset: used = 0; return true;
        default: return false;
    }
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

template <class P>
std::size_t broken_histories(const P& policy, int histories, Random& random) {
    const sluice::ManualClock clock{std::chrono::nanoseconds{1'767'225'600'000'000'000}};
    const sluice::RateLimiter limiter{policy, sluice::MemoryStore<P, sluice::ManualClock>{{}, clock}};
    std::vector<History> all(static_cast<std::size_t>(histories));
    for (History& history : all) {
        for (Call& call : history) {
            call.operation = random.pick(sluice::Operation::consume, sluice::Operation::consume,
                                         sluice::Operation::consume, sluice::Operation::refund, sluice::Operation::peek,
                                         random.one_in(3) ? sluice::Operation::reset : sluice::Operation::consume);
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
                switch (call.operation) {
                    case sluice::Operation::consume: decision = limiter.try_consume(key, call.units); break;
                    case sluice::Operation::peek: decision = limiter.peek(key, call.units); break;
                    case sluice::Operation::refund: static_cast<void>(limiter.refund(key, call.units)); break;
                    case sluice::Operation::reset: static_cast<void>(limiter.reset(key)); break;
                    default: break;
                }
                call.returned = now.fetch_add(1);
                call.allowed = decision.allowed;
                call.remaining = decision.remaining;
            }
        }
    });
    std::size_t broken = 0;
    for (const History& history : all) broken += is_linearizable(history, 0, 0) ? 0 : 1;
    return broken;
}

}  // namespace

TEST_CASE("the checker tells a history that no order explains") {
    History history;
    for (std::size_t i = 0; i != history.size(); ++i) {
        history[i] = {sluice::Operation::peek, 1, true, limit, 2 * i, 2 * i + 1};
    }
    CHECK(is_linearizable(history, 0, 0));
    history[0] = {sluice::Operation::consume, 1, true, limit - 1, 0, 1};
    CHECK_FALSE(is_linearizable(history, 0, 0));
}

TEST_CASE("20,000 histories of 4 threads x 3 operations are linearizable") {
    Random random("linearizability");
    const int histories = cases(20'000);
    CHECK(broken_histories(sluice::TokenBucket{limit, sluice::per_day(1)}, histories, random) == 0);
    CHECK(broken_histories(sluice::SlidingWindow{limit, std::chrono::hours{24}}, histories / 4, random) == 0);
}
