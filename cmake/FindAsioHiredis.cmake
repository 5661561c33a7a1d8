# SPDX-License-Identifier: MIT
#
# What sluice::asio needs: the targets Asio::Asio, for `#include <asio.hpp>` (standalone, 1.22 or later; Debian and Ubuntu:
# libasio-dev), and hiredis::hiredis.

find_package(Hiredis QUIET)
if(NOT TARGET Asio::Asio)
    find_path(ASIO_INCLUDE_DIR asio.hpp)
    mark_as_advanced(ASIO_INCLUDE_DIR)
    find_package(Threads QUIET)
    set(asio_version 0)
    if(ASIO_INCLUDE_DIR)
        file(STRINGS "${ASIO_INCLUDE_DIR}/asio/version.hpp" asio_version REGEX "^#define ASIO_VERSION [0-9]+")
        string(REGEX REPLACE "^#define ASIO_VERSION ([0-9]+).*$" "\\1" asio_version "${asio_version}")
    endif()
    if(asio_version GREATER_EQUAL 102200 AND TARGET Threads::Threads)
        add_library(Asio::Asio INTERFACE IMPORTED)
        set_target_properties(Asio::Asio PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${ASIO_INCLUDE_DIR}"
                              INTERFACE_COMPILE_DEFINITIONS ASIO_STANDALONE)
        target_link_libraries(Asio::Asio INTERFACE Threads::Threads)
    endif()
endif()

if(TARGET Asio::Asio AND TARGET hiredis::hiredis)
    set(AsioHiredis_FOUND TRUE)
else()
    set(AsioHiredis_FOUND FALSE)
    set(AsioHiredis_NOT_FOUND_MESSAGE
        "Asio 1.22 or later and hiredis were not both found (Debian and Ubuntu: libasio-dev, libhiredis-dev)")
endif()
