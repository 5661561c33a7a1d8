// SPDX-License-Identifier: MIT
#ifndef SLUICE_VERSION_HPP
#define SLUICE_VERSION_HPP

#include <sluice/detail/cpp20.hpp>

// The single source of the version: CMake reads these three lines.
#define SLUICE_VERSION_MAJOR 0
#define SLUICE_VERSION_MINOR 1
#define SLUICE_VERSION_PATCH 0

#endif
