// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_CLOCK_CYCLE_COUNTER_HPP
#define SLUICE_DETAIL_CLOCK_CYCLE_COUNTER_HPP

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

// What an AnchoredClock counts with: read() goes up at a steady rate, whatever that is.
namespace sluice::detail {

struct SteadyCounter {
    static std::uint64_t read() noexcept {
        return static_cast<std::uint64_t>(
            std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count());
    }
};

#if defined(__x86_64__)
/// The processor's time stamp counter where it is invariant, that is, runs at one rate in all power states and cores
/// (Intel SDM volume 3, "Invariant TSC": CPUID leaf 0x80000007, EDX bit 8; AMD's the same); steady_clock otherwise.
struct CycleCounter {
    using Otherwise = SteadyCounter;
    static std::uint64_t read() noexcept { return __builtin_ia32_rdtsc(); }
    static bool is_usable() noexcept {
        unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
        return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1U << 8)) != 0;
    }
};
#else
using CycleCounter = SteadyCounter;
#endif

}  // namespace sluice::detail

#endif
