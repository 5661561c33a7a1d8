// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SHARED_LIBRARY_FACE_HPP
#define SLUICE_TESTS_SHARED_LIBRARY_FACE_HPP

#include <sys/types.h>

#include <cstdint>
#include <system_error>

#include <sluice/sluice.hpp>

using Limiter = sluice::RateLimiter<sluice::TokenBucket, sluice::MemoryStore<sluice::TokenBucket>>;

/// What a library and a plugin offer: functions that use their own copies of all that sluice keeps in static storage.
struct Face {
    std::error_code (*error)(sluice::Errc);
    bool (*is)(std::error_code, sluice::Errc);
    bool (*is_failure)(std::error_code);
    bool (*are_equal)(const sluice::Decision&, const sluice::Decision&);
    std::int64_t (*now)();
    sluice::Decision (*try_consume)(const Limiter&);
    pid_t (*process_id)();
};

#endif
