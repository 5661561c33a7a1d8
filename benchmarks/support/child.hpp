// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_SUPPORT_CHILD_HPP
#define SLUICE_BENCHMARKS_SUPPORT_CHILD_HPP

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <type_traits>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace support {

/// Bytes of memory that this process has in use now (where that is not told: the most that it ever had).
inline double resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    double all = 0, resident = 0;
    if (file >> all >> resident) return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss);
}

/// What `measure` returns when run in a process of its own, so that no contender finds memory that another has left.
template <class Measure>
auto in_child(Measure measure) {
    using Result = decltype(measure());
    static_assert(std::is_trivially_copyable_v<Result>);
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    const pid_t child = fork();
    if (child == 0) {
        const Result result = measure();
        _exit(write(ends[1], &result, sizeof result) == sizeof result ? 0 : 1);
    }
    close(ends[1]);
    Result result{};
    const bool complete = child > 0 && read(ends[0], &result, sizeof result) == sizeof result;
    close(ends[0]);
    if (child > 0) waitpid(child, nullptr, 0);
    if (!complete) {
        std::fputs("a measuring process failed (out of memory?)\n", stderr);
        std::exit(1);
    }
    return result;
}

}  // namespace support

#endif
