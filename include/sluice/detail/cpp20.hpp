// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_CPP20_HPP
#define SLUICE_DETAIL_CPP20_HPP

// Included first wherever an include of sluice can begin, so that an older language gives this sentence instead of
// hundreds of syntax errors. A missing file is what ends a compilation at once; #error alone does not.
#if __cplusplus < 202002L
#error sluice needs C++20: compile with -std=c++20 or newer
#include <sluice needs C++20>
#endif

#endif
