// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_CLOCK_CYCLE_COUNTER_HPP
#define SLUICE_DETAIL_CLOCK_CYCLE_COUNTER_HPP

#if defined(__x86_64__)

#include <cstdint>

#include <cpuid.h>

#if defined(__linux__)
#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <ctime>
#include <string_view>
#endif

namespace sluice::detail {

/// The x86 time stamp counter, for an AnchoredClock.
struct CycleCounter {
    static std::uint64_t read() noexcept { return __builtin_ia32_rdtsc(); }

    /// Whether it counts at one rate in all power states and cores (Intel SDM volume 3, "Invariant TSC": CPUID leaf
    /// 0x80000007, EDX bit 8; AMD's the same), and the kernel goes by it, too.
    static bool is_usable() noexcept {
        unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
        return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1U << 8)) != 0 && is_the_kernels();
    }

#if defined(__linux__)
    /// Also for threads that may not read it: by system calls, since the C library reads it itself.
    struct ClocksWithout {
        static std::int64_t steady_ns() noexcept { return read_clock(CLOCK_MONOTONIC); }
        static std::int64_t wall_ns() noexcept { return read_clock(CLOCK_REALTIME); }

    private:
        static std::int64_t read_clock(clockid_t clock) noexcept {
            timespec time{};
            ::syscall(SYS_clock_gettime, clock, &time);
            return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
        }
    };
#endif

    /// Whether this thread may read it: prctl(PR_SET_TSC) can forbid that, on pain of SIGSEGV.
    static bool is_permitted() noexcept {
#if defined(__linux__)
        const int saved = errno;
        int mode = PR_TSC_ENABLE;
        ::prctl(PR_GET_TSC, &mode, 0, 0, 0);
        errno = saved;
        return mode == PR_TSC_ENABLE;
#else
        return true;
#endif
    }

private:
    /// Linux compares the counters of all processors and goes by another clock if they differ. Where it does not tell (no
    /// /sys), CPUID's word must do.
    static bool is_the_kernels() noexcept {
#if defined(__linux__)
        const int saved_errno = errno;
        // These calls are cancellation points, and nothing may be thrown from here.
        int cancelable = 0;
        ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelable);
        char name[16];
        ssize_t size = -1;
        const int file =
            ::open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            size = ::read(file, name, sizeof name);
            ::close(file);
        }
        ::pthread_setcancelstate(cancelable, nullptr);
        errno = saved_errno;
        return size <= 0 || std::string_view{name, static_cast<std::size_t>(size)} == "tsc\n";
#else
        return true;
#endif
    }
};

}  // namespace sluice::detail

#endif

#endif
