// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_SUPPORT_PROCESSORS_HPP
#define SLUICE_BENCHMARKS_SUPPORT_PROCESSORS_HPP

#include <cstddef>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace support {

/// Binds the calling thread to the index-th of the processors that this process was given. Where the system has no
/// such call (macOS), threads stay free.
inline void pin_thread(std::size_t index) {
#if defined(__linux__)
    static const std::vector<int> processors = [] {
        cpu_set_t given;
        std::vector<int> found;
        if (sched_getaffinity(0, sizeof given, &given) != 0) return found;
        for (int i = 0; i != CPU_SETSIZE; ++i) {
            if (CPU_ISSET(i, &given)) found.push_back(i);
        }
        return found;
    }();
    if (processors.empty()) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processors[index % processors.size()], &one);
    sched_setaffinity(0, sizeof one, &one);
#else
    static_cast<void>(index);
#endif
}

}  // namespace support

#endif
