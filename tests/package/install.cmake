# SPDX-License-Identifier: MIT
#
# Installs into an empty PREFIX; every header of the sources must be there, and nothing else under include/.
cmake_minimum_required(VERSION 3.22)

file(REMOVE_RECURSE "${PREFIX}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${PREFIX}" COMMAND_ERROR_IS_FATAL ANY
                OUTPUT_QUIET)
file(GLOB_RECURSE wanted RELATIVE "${SOURCE_DIR}/include" "${SOURCE_DIR}/include/*")
file(GLOB_RECURSE installed RELATIVE "${PREFIX}/include" "${PREFIX}/include/*")
if(NOT installed OR NOT wanted STREQUAL installed)
    message(FATAL_ERROR "the sources have\n${wanted}\nbut installed were\n${installed}")
endif()
