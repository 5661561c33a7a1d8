# SPDX-License-Identifier: MIT
#
# docs/plots/*.svg are what docs/plots.cpp draws.
cmake_minimum_required(VERSION 3.22)

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
execute_process(COMMAND "${COMPILER}" -std=c++20 "-I${SOURCE_DIR}/include" "${SOURCE_DIR}/docs/plots.cpp" -o "${WORK_DIR}/draw" -pthread
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/draw" "${WORK_DIR}" COMMAND_ERROR_IS_FATAL ANY)
file(GLOB drawn RELATIVE "${WORK_DIR}" "${WORK_DIR}/*.svg")
file(GLOB kept RELATIVE "${SOURCE_DIR}/docs/plots" "${SOURCE_DIR}/docs/plots/*.svg")
if(NOT drawn OR NOT drawn STREQUAL kept)
    message(FATAL_ERROR "drawn were ${drawn}, docs/plots has ${kept}")
endif()
foreach(plot IN LISTS drawn)
    file(SHA256 "${WORK_DIR}/${plot}" new)
    file(SHA256 "${SOURCE_DIR}/docs/plots/${plot}" old)
    if(NOT new STREQUAL old)
        message(FATAL_ERROR "docs/plots/${plot} is not what the library does now; docs/run draws it anew")
    endif()
endforeach()
