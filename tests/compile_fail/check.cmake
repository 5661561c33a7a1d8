# SPDX-License-Identifier: MIT
cmake_minimum_required(VERSION 3.22)

file(STRINGS "${SOURCE}" expected REGEX "^// expect: ")
string(REGEX REPLACE "^// expect: " "" expected "${expected}")
if(NOT expected)
    message(FATAL_ERROR "${SOURCE} has no line '// expect: '")
endif()

set(compile "${COMPILER}" -std=c++20 -fsyntax-only "-I${INCLUDE_DIR}" "${SOURCE}")
execute_process(COMMAND ${compile} RESULT_VARIABLE status ERROR_VARIABLE output)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "without -DWRONG this should compile:\n${output}")
endif()

execute_process(COMMAND ${compile} -DWRONG RESULT_VARIABLE status ERROR_VARIABLE output)
if(status EQUAL 0)
    message(FATAL_ERROR "with -DWRONG this should not compile")
endif()
string(FIND "${output}" "${expected}" found)
if(found EQUAL -1)
    message(FATAL_ERROR "the compiler's message does not say '${expected}':\n${output}")
endif()
