// SPDX-License-Identifier: MIT
// All headers in one translation unit, from the first to the last and then the other way round, as in a unity build.

#include "all_headers.hpp"

#include "all_headers_reversed.hpp"
