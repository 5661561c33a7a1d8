// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_MEMORY_FOOTPRINT_HPP
#define SLUICE_BENCHMARKS_MEMORY_FOOTPRINT_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>

#include "memory/contenders.hpp"
#include "memory/keys.hpp"
#include "support/child.hpp"
#include "support/processors.hpp"

// What is measured once per process: memory, and single calls while a store grows.
namespace memory {

struct Pass {
    double mean_ns = 0;
    double worst_us = 0;
};

/// One call for each of so many keys. Timed from one call's end to the next one's.
template <class Contender>
Pass call_each(Contender& contender, std::size_t keys) {
    using Clock = std::chrono::steady_clock;
    KeyText<7> key;
    Clock::duration worst{0};
    std::size_t denied = 0;
    const auto start = Clock::now();
    auto last = start;
    for (std::size_t i = 0; i != keys; ++i) {
        denied += contender.try_consume(key(i)).allowed ? 0 : 1;
        const auto now = Clock::now();
        worst = std::max(worst, now - last);
        last = now;
    }
    if (denied != 0) std::abort();
    return {std::chrono::duration<double, std::nano>(last - start).count() / static_cast<double>(keys),
            std::chrono::duration<double, std::micro>(worst).count()};
}

struct Growth {
    Pass growing;  // every key is new
    Pass grown;    // the same keys again
    double bytes_per_key = 0;
};

template <class Kind>
Growth grow(const Kind& kind, std::size_t keys) {
    return support::in_child([&] {
        support::pin_thread(0);
        const double before = support::resident_bytes();
        const auto contender = kind({million, 1, keys});
        Growth growth;
        growth.growing = call_each(*contender, keys);
        growth.bytes_per_key = (support::resident_bytes() - before) / static_cast<double>(keys);
        growth.grown = call_each(*contender, keys);
        return growth;
    });
}

struct Flood {
    double mean_ns = 0;
    double bytes = 0;  // the most at any time
};

/// Bytes per key of two policies on one key, after so many keys.
inline double bytes_of_two(std::size_t keys) {
    const auto kind = [](const Bucket& b) {
        using namespace std::chrono_literals;
        const sluice::AllOf both{sluice::TokenBucket{b.capacity, sluice::per_second(b.per_second)},
                                 sluice::FixedWindow{b.capacity, 24h}};
        return make_limiter(both, {.max_keys = b.keys});
    };
    return grow(kind, keys).bytes_per_key;
}

/// So many keys, each asked for once; a state lives for a millisecond.
inline Flood flood(std::size_t keys) {
    return support::in_child([&] {
        support::pin_thread(0);
        const double before = support::resident_bytes();
        const auto limiter = make_limiter(sluice::TokenBucket{1, sluice::per_second(1000)});
        KeyText<8> key;
        Flood flood;
        const auto start = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i != keys; ++i) {
            if (!limiter->try_consume(key(i))) std::abort();
            if (i % million == 0) flood.bytes = std::max(flood.bytes, support::resident_bytes() - before);
        }
        const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
        flood.mean_ns = took.count() / static_cast<double>(keys);
        flood.bytes = std::max(flood.bytes, support::resident_bytes() - before);
        return flood;
    });
}

}  // namespace memory

#endif
