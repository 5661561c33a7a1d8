# SPDX-License-Identifier: MIT
#
# Files that cannot read the version from version.hpp say the same.
cmake_minimum_required(VERSION 3.22)

foreach(place IN ITEMS "packaging/vcpkg/sluice/vcpkg.json|\"version\": \"" "MODULE.bazel|version = \"" "CITATION.cff|^version: ")
    string(REGEX REPLACE "\\|.*$" "" file "${place}")
    string(REGEX REPLACE "^.*\\|" "" before "${place}")
    file(STRINGS "${SOURCE_DIR}/${file}" lines REGEX "${before}[0-9.]+" LIMIT_COUNT 1)
    if(NOT lines MATCHES "${before}([0-9.]+)" OR NOT CMAKE_MATCH_1 STREQUAL VERSION)
        message(FATAL_ERROR "${file} says \"${lines}\", include/sluice/version.hpp ${VERSION}")
    endif()
endforeach()
