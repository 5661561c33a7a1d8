# SPDX-License-Identifier: MIT
#
# The core as one file says its version and compiles alone, twice in a program, without a warning.
cmake_minimum_required(VERSION 3.22)

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}/sluice")
execute_process(COMMAND "${SOURCE_DIR}/scripts/single_header" OUTPUT_FILE "${WORK_DIR}/sluice/sluice.hpp"
                COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS "${WORK_DIR}/sluice/sluice.hpp" says_which REGEX "^// sluice ${VERSION}, in one file")
if(NOT says_which)
    message(FATAL_ERROR "The file does not say that it is sluice ${VERSION}")
endif()
string(REPLACE "." ";" version_list "${VERSION}")
list(GET version_list 0 major)
list(GET version_list 1 minor)
file(WRITE "${WORK_DIR}/second.cpp"
     "#include <sluice/sluice.hpp>\n#include <sluice/sluice.hpp>\n"
     "static_assert(SLUICE_VERSION_MAJOR == ${major} && SLUICE_VERSION_MINOR == ${minor});\n")
execute_process(COMMAND "${COMPILER}" -std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror "-I${WORK_DIR}"
                        "${CMAKE_CURRENT_LIST_DIR}/consumer/main.cpp" "${WORK_DIR}/second.cpp" -o "${WORK_DIR}/consumer" -pthread
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/consumer" COMMAND_ERROR_IS_FATAL ANY)
