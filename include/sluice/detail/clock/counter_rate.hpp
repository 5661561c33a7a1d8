// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_CLOCK_COUNTER_RATE_HPP
#define SLUICE_DETAIL_CLOCK_COUNTER_RATE_HPP

#include <cstdint>
#include <limits>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/int128.hpp>

namespace sluice::detail {

/// A counter and steady_clock at one moment, within `error_ns`.
struct CounterSample {
    std::uint64_t count = 0;
    std::int64_t steady_ns = 0;
    std::int64_t error_ns = -1;  // negative: no sample

    explicit operator bool() const noexcept { return error_ns >= 0; }
};

/// Of a few readings the one that took least, in case an interrupt came between.
template <class Counter, class Clocks>
CounterSample sample_counter() noexcept {
    CounterSample best;
    std::int64_t before = Clocks::steady_ns();
    for (int i = 0; i != 3; ++i) {
        const std::uint64_t count = Counter::read();
        const std::int64_t after = Clocks::steady_ns();
        const std::int64_t error = (after - before + 1) / 2;
        if (!best || error < best.error_ns) best = {count, before + (after - before) / 2, error};
        before = after;
    }
    return best;
}

/// Measures how long a count takes, from samples that come one at a time, and whether the counter can be relied on: one
/// that differs between processors, or changes its rate, jumps time and again.
class CounterRate {
public:
    static constexpr int bits = 32;  // rates are nanoseconds per count * 2^32
    static constexpr std::int64_t shortest_ns = 20'000;

    struct Measured {
        std::uint64_t rate = 0;        // 0: not known yet
        std::int64_t measured_ns = 0;  // over so long a time
    };

    constexpr CounterRate() = default;

    Measured measure(const CounterSample& here) noexcept {
        if (here.error_ns > 10'000) return {};  // held up all the time: the next will do
        if (!reference_) {
            reference_ = here;
            return {};
        }
        if (previous_ && differs(here)) return jumped(here);
        // Long enough after the reference to be right within 1/512.
        const std::int64_t age = here.steady_ns - reference_.steady_ns;
        if (age < std::max(shortest_ns, 512 * (here.error_ns + reference_.error_ns))) return {};
        const auto counts = std::max<std::uint64_t>(here.count - reference_.count, 1);
        const uint128 exact = (uint128{static_cast<std::uint64_t>(age)} << bits) / counts;
        if (exact < least_rate_ || exact > most_rate_) return jumped(here);
        const auto rate = static_cast<std::uint64_t>(exact);
        least_rate_ = rate - rate / 64;
        most_rate_ = rate + rate / 64;
        previous_ = here;
        rate_ = rate;
        // Now and then a new reference, to follow changes of steady_clock's rate.
        if (age > 1'000'000'000) reference_ = here;
        return {rate, age};
    }

    /// More than one suspend or migration of a virtual machine in ten seconds, say.
    bool is_unreliable() const noexcept { return jumps_ >= 4; }

    /// The samples, where they may be half-written, but not what was learnt.
    void forget_samples() noexcept { reference_ = previous_ = {}; }

    /// Nanoseconds from one count to another; saturates.
    static std::int64_t elapsed_ns(std::uint64_t from, std::uint64_t to, std::uint64_t rate) noexcept {
        constexpr std::uint64_t most = std::uint64_t{1} << 62;
        const bool back = to - from > std::numeric_limits<std::uint64_t>::max() / 2;
        const auto ns =
            static_cast<std::int64_t>(std::min<uint128>((uint128{back ? from - to : to - from} * rate) >> bits, most));
        return back ? -ns : ns;
    }

private:
    /// Whether the counter tells another time than steady_clock since the previous sample, by more than the rate's error.
    bool differs(const CounterSample& here) const noexcept {
        const std::int64_t passed = here.steady_ns - previous_.steady_ns;
        const std::int64_t difference = elapsed_ns(previous_.count, here.count, rate_) - passed;
        return std::max(difference, -difference) > 20'000 + passed / 256;
    }

    Measured jumped(const CounterSample& here) noexcept {
        if (jumps_ == 0 || here.steady_ns - first_jump_ns_ > 10'000'000'000) {
            first_jump_ns_ = here.steady_ns;
            jumps_ = 0;
        }
        ++jumps_;
        reference_ = here;
        previous_ = {};
        return {};
    }

    CounterSample reference_{};
    CounterSample previous_{};  // that gave the rate below
    std::uint64_t rate_ = 0;
    std::uint64_t least_rate_ = 1;  // of the next
    std::uint64_t most_rate_ = std::uint64_t{1000} << bits;
    int jumps_ = 0;
    std::int64_t first_jump_ns_ = 0;
};

}  // namespace sluice::detail

#endif
