// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_STOP_TOKEN_HPP
#define SLUICE_DETAIL_STOP_TOKEN_HPP

#include <sluice/detail/cpp20.hpp>

#include <version>

#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

namespace sluice::detail {

#ifdef __cpp_lib_jthread
using StopToken = std::stop_token;
template <class F>
using StopCallback = std::stop_callback<F>;
#else
/// Where the library has no std::stop_token, nothing stops.
struct StopToken {
    static constexpr bool stop_requested() noexcept { return false; }
};
template <class F>
struct StopCallback {
    StopCallback(const StopToken&, F) noexcept {}
};
#endif

}  // namespace sluice::detail

#endif
