# SPDX-License-Identifier: MIT
#
# Configures, builds and runs the consumer project against the sources (USE=subdirectory) or the package in PREFIX
# (USE=<version wanted>). REFUSED: the configuration must fail, and what it says match this. HIDE: a package that must
# not be found, as if it were not installed; OPTION: one more for CMake.
cmake_minimum_required(VERSION 3.22)

set(options "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCOMPONENT=${COMPONENT}" "-DOPTIONAL_COMPONENT=${OPTIONAL_COMPONENT}"
    "-DPROGRAM=${PROGRAM}" ${OPTION})
if(USE STREQUAL "subdirectory")
    list(APPEND options "-DSLUICE_SOURCE_DIR=${SOURCE_DIR}")
else()
    list(APPEND options "-DWANTED_VERSION=${USE}" "-DCMAKE_PREFIX_PATH=${PREFIX}")
endif()
if(HIDE)
    list(APPEND options "-DCMAKE_DISABLE_FIND_PACKAGE_${HIDE}=ON")
endif()

file(REMOVE_RECURSE "${WORK_DIR}")
execute_process(COMMAND "${CMAKE_COMMAND}" -G "${GENERATOR}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${WORK_DIR}" ${options}
                RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(REFUSED)
    if(status EQUAL 0 OR NOT output MATCHES "${REFUSED}")
        message(FATAL_ERROR "this should have been refused:\n${output}")
    endif()
    return()
endif()
if(NOT status EQUAL 0)
    message(FATAL_ERROR "${output}")
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${WORK_DIR}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/consumer" COMMAND_ERROR_IS_FATAL ANY)
