# SPDX-License-Identifier: MIT
#
# The target hiredis::hiredis, for `#include <hiredis/hiredis.h>`. Newer releases bring a CMake package of their own;
# Debian 12's package has one without a target.

if(NOT TARGET hiredis::hiredis)
    find_package(hiredis CONFIG QUIET)
endif()
if(NOT TARGET hiredis::hiredis)
    find_path(HIREDIS_INCLUDE_DIR hiredis/hiredis.h)
    find_library(HIREDIS_LIBRARY hiredis)
    mark_as_advanced(HIREDIS_INCLUDE_DIR HIREDIS_LIBRARY)
    if(HIREDIS_INCLUDE_DIR AND HIREDIS_LIBRARY)
        add_library(hiredis::hiredis UNKNOWN IMPORTED)
        set_target_properties(hiredis::hiredis PROPERTIES IMPORTED_LOCATION "${HIREDIS_LIBRARY}"
                              INTERFACE_INCLUDE_DIRECTORIES "${HIREDIS_INCLUDE_DIR}")
    endif()
endif()

if(TARGET hiredis::hiredis)
    set(Hiredis_FOUND TRUE)
else()
    set(Hiredis_FOUND FALSE)
    set(Hiredis_NOT_FOUND_MESSAGE "hiredis was not found (Debian and Ubuntu: libhiredis-dev)")
endif()
