// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_INT128_HPP
#define SLUICE_DETAIL_INT128_HPP

#include <sluice/detail/cpp20.hpp>

#if !defined(__SIZEOF_INT128__)
#error "sluice needs 128-bit integers, which GCC and Clang have on 64-bit targets alone (x86-64, 64-bit Arm, ...)"
#endif

namespace sluice::detail {

// GCC and Clang have 128-bit integers on every 64-bit target; __extension__ keeps -Wpedantic quiet about them.
__extension__ using uint128 = unsigned __int128;
__extension__ using int128 = __int128;

}  // namespace sluice::detail

#endif
