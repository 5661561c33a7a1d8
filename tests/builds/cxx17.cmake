# SPDX-License-Identifier: MIT
#
# Every header that a program may include first says in C++17 that it needs C++20, and no more than a few lines.
cmake_minimum_required(VERSION 3.22)

set(sentence "sluice needs C\\+\\+20: compile with -std=c\\+\\+20 or newer")
file(GLOB headers RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/sluice/*.hpp" "${INCLUDE_DIR}/sluice/layers/*.hpp"
     "${INCLUDE_DIR}/sluice/http/*.hpp" "${INCLUDE_DIR}/sluice/http/json/*.hpp" "${INCLUDE_DIR}/sluice/metrics/*.hpp")
foreach(header IN LISTS headers)
    file(WRITE "${PROGRAM}.cpp" "#include <${header}>\nint main() {}\n")
    execute_process(COMMAND "${COMPILER}" -std=c++17 -fsyntax-only "-I${INCLUDE_DIR}" "${PROGRAM}.cpp"
                    RESULT_VARIABLE status ERROR_VARIABLE output)
    string(REGEX MATCH "error:[^\n]*" first "${output}")
    string(REGEX MATCHALL "\n" lines "${output}")
    list(LENGTH lines length)
    if(status EQUAL 0 OR NOT first MATCHES "${sentence}" OR length GREATER 20)
        message(SEND_ERROR "<${header}> says in C++17:\n${output}")
    endif()
endforeach()
