// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_ENTROPY_HPP
#define SLUICE_DETAIL_ENTROPY_HPP

#include <cstdint>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <system_error>

#include <sluice/detail/exceptions.hpp>
#else
#include <random>
#endif

namespace sluice::detail {

/// A number that nobody can foretell, from the operating system, as std::random_device gives it; throws std::system_error
/// where there is none. (Linux: without <random>, a tenth of what sluice.hpp costs to parse.)
inline std::uint64_t random_word() {
#if defined(__linux__)
    std::uint64_t word = 0;
    ssize_t size = -1;
    do size = ::getrandom(&word, sizeof word, 0);
    while (size < 0 && errno == EINTR);
    if (size == sizeof word) return word;
    // An old kernel, or a sandbox that forbids the call.
    if (const int file = ::open("/dev/urandom", O_RDONLY | O_CLOEXEC); file >= 0) {
        do size = ::read(file, &word, sizeof word);
        while (size < 0 && errno == EINTR);
        ::close(file);
        if (size == sizeof word) return word;
    }
    throw_or_abort(std::system_error{errno, std::system_category(), "sluice: no random numbers"});
#else
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
#endif
}

}  // namespace sluice::detail

#endif
