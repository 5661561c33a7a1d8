// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_CHECK_OPTIONS_HPP
#define SLUICE_REMOTE_CHECK_OPTIONS_HPP

#include <cstdint>
#include <string>

#include <sluice/detail/validate.hpp>

namespace sluice::detail::remote {

/// Throws std::invalid_argument unless 1 <= value <= most.
template <Integer I>
void check_option(const char* owner, const char* what, I value, std::uint64_t most) {
    static_cast<void>(checked_units((std::string{owner} + "::" + what).c_str(), value, most));
}

/// What the options of all stores on servers have in common.
template <class Options>
void check_options(const char* owner, const Options& options) {
    check_option(owner, "timeout", options.timeout.count(), 60'000);
    check_option(owner, "connections", options.connections, 64);
    check_option(owner, "breaker.failures_to_open", options.breaker.failures_to_open, 1'000'000);
    check_option(owner, "breaker.first_pause", options.breaker.first_pause.count(), 60'000);
    check_option(owner, "breaker.longest_pause", options.breaker.longest_pause.count(), 3'600'000);
    check_option(owner, "max_waiting", options.max_waiting, 1'000'000);
    check_option(owner, "max_idle", options.max_idle.count(), 3'600'000);
}

}  // namespace sluice::detail::remote

#endif
