# SPDX-License-Identifier: MIT
#
# The target Crow::Crow, for `#include <crow.h>`: from Crow's own CMake package, or from its sources with
# -DCROW_INCLUDE_DIR=<the folder of crow.h>, or that in the environment, and Asio (Debian and Ubuntu: libasio-dev).

if(NOT TARGET Crow::Crow AND NOT CROW_INCLUDE_DIR AND NOT DEFINED ENV{CROW_INCLUDE_DIR})
    find_package(Crow CONFIG QUIET)
endif()
if(NOT TARGET Crow::Crow)
    find_path(CROW_INCLUDE_DIR crow.h HINTS ENV CROW_INCLUDE_DIR DOC "The folder of crow.h")
    find_path(ASIO_INCLUDE_DIR asio.hpp)
    mark_as_advanced(ASIO_INCLUDE_DIR)
    find_package(Threads QUIET)
    if(CROW_INCLUDE_DIR AND ASIO_INCLUDE_DIR AND TARGET Threads::Threads)
        add_library(Crow::Crow INTERFACE IMPORTED)
        set_target_properties(Crow::Crow PROPERTIES
                              INTERFACE_INCLUDE_DIRECTORIES "${CROW_INCLUDE_DIR};${ASIO_INCLUDE_DIR}"
                              INTERFACE_COMPILE_DEFINITIONS ASIO_STANDALONE)
        target_link_libraries(Crow::Crow INTERFACE Threads::Threads)
    endif()
endif()

if(TARGET Crow::Crow)
    set(Crow_FOUND TRUE)
else()
    set(Crow_FOUND FALSE)
    set(Crow_NOT_FOUND_MESSAGE "Crow was not found: get https://github.com/CrowCpp/Crow, and give \
-DCROW_INCLUDE_DIR=<its folder include>; it needs Asio (Debian and Ubuntu: libasio-dev)")
endif()
