# SPDX-License-Identifier: MIT
#
# Compiles the C++ blocks of PAGE; a block with a main() is also run.
cmake_minimum_required(VERSION 3.22)

file(REMOVE_RECURSE "${WORK_DIR}")
execute_process(COMMAND "${SOURCE_DIR}/scripts/snippets" "${PAGE}" "${WORK_DIR}" COMMAND_ERROR_IS_FATAL ANY)
set(flags -std=c++20 -w "-I${SOURCE_DIR}/include")
string(REPLACE "," ";" INCLUDES "${INCLUDES}")
foreach(folder IN LISTS INCLUDES)
    list(APPEND flags -isystem "${folder}")
endforeach()
file(GLOB sources "${WORK_DIR}/*.cpp")
foreach(source IN LISTS sources)
    if(source MATCHES "-[0-9]+\\.cpp$")
        execute_process(COMMAND "${COMPILER}" ${flags} "${source}" -o "${source}.program" -pthread COMMAND_ERROR_IS_FATAL ANY)
        execute_process(COMMAND "${source}.program" COMMAND_ERROR_IS_FATAL ANY)
    else()
        execute_process(COMMAND "${COMPILER}" ${flags} -fsyntax-only "${source}" COMMAND_ERROR_IS_FATAL ANY)
    endif()
endforeach()
