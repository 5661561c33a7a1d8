// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_INT128_HPP
#define SLUICE_DETAIL_INT128_HPP

#include <sluice/detail/cpp20.hpp>

namespace sluice::detail {

// GCC and Clang have 128-bit integers on every 64-bit target; __extension__ keeps -Wpedantic quiet about them.
__extension__ using uint128 = unsigned __int128;
__extension__ using int128 = __int128;

}  // namespace sluice::detail

#endif
