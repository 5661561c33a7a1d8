// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_ALGORITHM_HPP
#define SLUICE_DETAIL_ALGORITHM_HPP

// std::min and std::max of two values, std::fill and std::copy, and no more. libstdc++ has these in a header that <string> includes
// anyway; its <algorithm> brings <functional> and the parallel algorithms, a sixth of what sluice.hpp costs to parse.

#include <version>

#if defined(__GLIBCXX__) && __has_include(<bits/stl_algobase.h>)
#include <bits/stl_algobase.h>
#else
#include <algorithm>
#endif

#endif
