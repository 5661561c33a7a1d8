# SPDX-License-Identifier: MIT
#
# cmake -DINPUT=<file> -DOUTPUT=<header> -DNAME=<constant> -P embed.cmake
# A header with the file's text as a constant, in pieces that every compiler takes as a literal.

file(READ "${INPUT}" text)
string(LENGTH "${text}" length)
set(pieces "")
set(at 0)
while(at LESS length)
    string(SUBSTRING "${text}" ${at} 4000 piece)
    string(APPEND pieces "\n    R\"embedded(${piece})embedded\"")
    math(EXPR at "${at} + 4000")
endwhile()
file(WRITE "${OUTPUT}" "namespace demo {\ninline constexpr std::string_view ${NAME} =${pieces};\n}\n")
