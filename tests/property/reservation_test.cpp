// SPDX-License-Identifier: MIT
//
// Reservations that are settled, given up and lost at random, beside requests of known cost: what was really used never
// exceeds what the policy allows.
#include <chrono>
#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include <sluice/sluice.hpp>

#include "property/models.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

/// Units that are used, or may yet be, and the time at which they were consumed.
struct Use {
    std::int64_t time;
    std::uint64_t units;
};

/// Calls check(uses) after each step of a random history.
template <class P, class Check>
void run_history(Random& random, const P& policy, Check check) {
    const sluice::ManualClock clock{1'767'225'600s};
    const sluice::RateLimiter limiter{policy, sluice::MemoryStore<P, sluice::ManualClock>{{.max_keys = 1}, clock}};
    std::vector<sluice::Reservation> lost;  // of processes that died: gone only when all is checked
    struct Open {
        sluice::Reservation reservation;
        std::size_t use;
    };
    std::vector<Open> open;
    std::vector<Use> uses;
    const auto limit = policy.quota().limit;
    const auto window = policy.quota().window.count();
    for (int step = 0; step != 24; ++step) {
        if (random.one_in(2)) clock.advance(nanoseconds{random.between<std::int64_t>(0, window / 2)});
        const auto now = clock.now().count();
        const auto units = random.between<std::uint64_t>(1, limit);
        if (!open.empty() && random.one_in(2)) {
            const auto index = random.between<std::size_t>(0, open.size() - 1);
            Open ended = std::move(open[index]);
            open.erase(open.begin() + static_cast<std::ptrdiff_t>(index));
            Use& use = uses[ended.use];
            switch (random.between(0, 3)) {
                case 0: use.units = 0; break;  // given up: destroyed unsettled
                case 1: {                      // the process died; nobody knows how much it had used
                    lost.push_back(std::move(ended.reservation));
                    break;
                }
                default: {
                    const auto settled = ended.reservation.settle(units);
                    if (units <= use.units) {
                        use.units = units;
                    } else {
                        uses.push_back({now, units - use.units - settled.missing});
                    }
                }
            }
        } else if (random.one_in(2)) {
            auto reservation = limiter.reserve("key", units);
            if (reservation) {
                uses.push_back({now, units});
                open.push_back({std::move(reservation), uses.size() - 1});
            }
        } else if (random.one_in(2)) {
            if (limiter.try_consume("key", units)) uses.push_back({now, units});
        } else {
            uses.push_back({now, limiter.try_consume_up_to("key", units).units});
        }
        check(uses);
    }
    for (Open& one : open) uses[one.use].units = 0;
    open.clear();
    check(uses);
}

template <class Check>
void for_histories(const char* what, Check check) {
    Random random{what};
    const int count = cases(5'000);
    for (int i = 0; i != count; ++i) check(random);
}

std::uint64_t used_within(const std::vector<Use>& uses, std::int64_t after, std::int64_t until) {
    std::uint64_t sum = 0;
    for (const Use& use : uses) sum += use.time > after && use.time <= until ? use.units : 0;
    return sum;
}

void expect(bool holds, const std::vector<Use>& uses) {
    if (holds) return;
    std::string text;
    for (const Use& use : uses) text += "\n  " + std::to_string(use.time) + " used " + std::to_string(use.units);
    FAIL("more than the policy allows:" << text);
}

}  // namespace

TEST_CASE("reservations of a fixed window use no more than its limit in each window") {
    for_histories("reservations, fixed window", [](Random& random) {
        const auto limit = random.between<std::uint64_t>(1, 12);
        const auto window = random.between<std::int64_t>(1, 1'000);
        run_history(random, sluice::FixedWindow{limit, nanoseconds{window}}, [&](const std::vector<Use>& uses) {
            if (uses.empty()) return;
            const auto begin = model::floor_div(uses.back().time, window) * window;
            expect(used_within(uses, begin - 1, begin + window - 1) <= limit, uses);
        });
    });
}

TEST_CASE("reservations of an exact log use no more than its limit in any window") {
    for_histories("reservations, sliding window", [](Random& random) {
        const auto limit = random.between<std::uint64_t>(1, 12);
        const auto window = random.between<std::int64_t>(1, 1'000);
        run_history(random, sluice::SlidingWindow{limit, nanoseconds{window}}, [&](const std::vector<Use>& uses) {
            for (const Use& use : uses) expect(used_within(uses, use.time - window, use.time) <= limit, uses);
        });
    });
}

TEST_CASE("reservations of a counter use no more than its limit in each aligned window") {
    for_histories("reservations, sliding window counter", [](Random& random) {
        const auto limit = random.between<std::uint64_t>(1, 12);
        const auto window = random.between<std::int64_t>(1, 1'000);
        run_history(random, sluice::SlidingWindowCounter{limit, nanoseconds{window}},
                    [&](const std::vector<Use>& uses) {
                        if (uses.empty()) return;
                        const auto begin = model::floor_div(uses.back().time, window) * window;
                        expect(used_within(uses, begin - 1, begin + window - 1) <= limit, uses);
                    });
    });
}

TEST_CASE("reservations of a bucket use no more than its capacity and what comes back meanwhile") {
    for_histories("reservations, bucket", [](Random& random) {
        const auto capacity = random.between<std::uint64_t>(1, 12);
        const auto unit = random.between<std::int64_t>(1, 1'000);
        const auto check = [&](const std::vector<Use>& uses) {
            if (uses.empty()) return;
            const auto time = static_cast<std::uint64_t>(uses.back().time - uses.front().time);
            const auto sum = used_within(uses, uses.front().time - 1, uses.back().time);
            expect((sum - capacity) * static_cast<std::uint64_t>(unit) <= time || sum <= capacity, uses);
        };
        run_history(random, sluice::TokenBucket{capacity, sluice::Rate{1, nanoseconds{unit}}}, check);
        run_history(random, sluice::LeakyBucket{capacity, sluice::Rate{1, nanoseconds{unit}}}, check);
    });
}
