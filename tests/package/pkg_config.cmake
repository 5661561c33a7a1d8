# SPDX-License-Identifier: MIT
#
# Compiles the consumer with what pkg-config says of the installed package in PREFIX, and asks for each of COMPONENTS that is
# described there and whose driver pkg-config knows.
cmake_minimum_required(VERSION 3.22)

set(ENV{PKG_CONFIG_PATH} "${PREFIX}/share/pkgconfig:$ENV{PKG_CONFIG_PATH}")
execute_process(COMMAND pkg-config --modversion sluice OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
if(NOT version STREQUAL VERSION)
    message(FATAL_ERROR "pkg-config says ${version}, the project ${VERSION}")
endif()
foreach(component IN ITEMS "" LISTS COMPONENTS)
    set(packages sluice)
    if(component)
        if(NOT EXISTS "${PREFIX}/share/pkgconfig/sluice-${component}.pc")
            continue()
        endif()
        file(STRINGS "${PREFIX}/share/pkgconfig/sluice-${component}.pc" requires REGEX "^Requires: sluice ")
        string(REGEX REPLACE "^Requires: sluice " "" driver "${requires}")
        string(REPLACE " " ";" driver "${driver}")
        execute_process(COMMAND pkg-config --exists ${driver} RESULT_VARIABLE unknown)
        if(unknown)
            continue()
        endif()
        list(APPEND packages sluice-${component})
    endif()
    execute_process(COMMAND pkg-config --cflags --libs ${packages} OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
                    COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(flags)
    execute_process(COMMAND "${COMPILER}" -std=c++20 "${CMAKE_CURRENT_LIST_DIR}/consumer/main.cpp" -o "${PREFIX}/consumer" ${flags}
                    COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND "${PREFIX}/consumer" COMMAND_ERROR_IS_FATAL ANY)
endforeach()
