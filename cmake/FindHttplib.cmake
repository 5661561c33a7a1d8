# SPDX-License-Identifier: MIT
#
# The target httplib::httplib, for `#include <httplib.h>`. Debian compiles cpp-httplib into a shared library whose flags
# only pkg-config knows; elsewhere it is one header with a CMake package of its own.

if(NOT TARGET httplib::httplib)
    find_package(httplib CONFIG QUIET)
endif()
if(NOT TARGET httplib::httplib)
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
        pkg_check_modules(HTTPLIB QUIET IMPORTED_TARGET cpp-httplib)
    endif()
    if(TARGET PkgConfig::HTTPLIB)
        find_package(Threads QUIET)
        add_library(httplib::httplib INTERFACE IMPORTED)
        target_link_libraries(httplib::httplib INTERFACE PkgConfig::HTTPLIB Threads::Threads)
    endif()
endif()

if(TARGET httplib::httplib)
    set(Httplib_FOUND TRUE)
else()
    set(Httplib_FOUND FALSE)
    set(Httplib_NOT_FOUND_MESSAGE "cpp-httplib was not found (Debian and Ubuntu: libcpp-httplib-dev, pkg-config)")
endif()
