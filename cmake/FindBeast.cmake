# SPDX-License-Identifier: MIT
#
# The target Boost::beast, for `#include <boost/beast.hpp>`: headers alone, with those of Boost.Asio.

if(NOT TARGET Boost::beast)
    find_path(BEAST_INCLUDE_DIR boost/beast.hpp DOC "The folder of boost/beast.hpp")
    mark_as_advanced(BEAST_INCLUDE_DIR)
    find_package(Threads QUIET)
    if(BEAST_INCLUDE_DIR AND TARGET Threads::Threads)
        add_library(Boost::beast INTERFACE IMPORTED)
        set_target_properties(Boost::beast PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${BEAST_INCLUDE_DIR}")
        target_link_libraries(Boost::beast INTERFACE Threads::Threads)
    endif()
endif()

if(TARGET Boost::beast)
    set(Beast_FOUND TRUE)
else()
    set(Beast_FOUND FALSE)
    set(Beast_NOT_FOUND_MESSAGE "Boost.Beast was not found (Debian and Ubuntu: libboost-dev)")
endif()
