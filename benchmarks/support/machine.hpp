// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_SUPPORT_MACHINE_HPP
#define SLUICE_BENCHMARKS_SUPPORT_MACHINE_HPP

#include <fstream>
#include <string>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace support {

inline std::string processor_name() {
#if defined(__APPLE__)
    char name[256] = "";
    std::size_t size = sizeof name;
    if (sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0) return name;
#else
    std::ifstream file{"/proc/cpuinfo"};
    std::string model, family, number;
    for (std::string line; std::getline(file, line);) {
        const auto value = [&](const char* label, std::string& out) {
            if (out.empty() && line.starts_with(label)) out = line.substr(line.find(": ") + 2);
        };
        value("model name\t", model);
        value("cpu family\t", family);
        value("model\t", number);
    }
    if (!model.empty()) return model + " (family " + family + ", model " + number + ")";
#endif
    return "unknown processor";
}

inline bool has_invariant_tsc() {
#if defined(__x86_64__)
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1U << 8)) != 0;
#else
    return false;
#endif
}

/// One line that says what figures were measured on.
inline std::string machine() {
    return processor_name() + ", " + std::to_string(std::thread::hardware_concurrency()) + " processors, " +
           (has_invariant_tsc() ? "invariant TSC" : "no invariant TSC") +
           ", "
#if defined(__clang__)
           "clang " __clang_version__;
#else
           "g++ " __VERSION__;
#endif
}

}  // namespace support

#endif
