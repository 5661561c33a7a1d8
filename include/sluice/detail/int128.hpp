// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_INT128_HPP
#define SLUICE_DETAIL_INT128_HPP

#include <sluice/detail/cpp20.hpp>

#if !defined(__SIZEOF_INT128__)
#include <sluice/detail/wide.hpp>
#endif

namespace sluice::detail {

#if defined(__SIZEOF_INT128__)
// GCC and Clang have them on every 64-bit target; __extension__ keeps -Wpedantic quiet about them.
__extension__ using uint128 = unsigned __int128;
__extension__ using int128 = __int128;
#else
using uint128 = Wide<false>;
using int128 = Wide<true>;
#endif

}  // namespace sluice::detail

#endif
