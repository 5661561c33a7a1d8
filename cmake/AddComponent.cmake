# SPDX-License-Identifier: MIT
#
# sluice_add_component(<name> PACKAGE <package to find> LINK <target>... [PKGCONFIG <package>...])
#
# One INTERFACE target per component, `sluice::<name>`. A component is always installed, so that the package is the same
# on every machine; whether its driver is there is asked where it is used: in this build the target sluice::<name> exists
# only where PACKAGE is found, and the installed package finds it again when the component is requested. With PKGCONFIG (what
# pkg-config calls the driver) there is a sluice-<name>.pc, too.

include(GNUInstallDirs)
list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}")

function(sluice_add_component name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "PACKAGE" "LINK;PKGCONFIG")

    set(target sluice_${name})
    add_library(${target} INTERFACE)
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
    target_compile_features(${target} INTERFACE cxx_std_20)
    target_include_directories(${target} INTERFACE "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
                               "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    target_link_libraries(${target} INTERFACE ${arg_LINK})

    set_property(GLOBAL APPEND PROPERTY SLUICE_COMPONENTS ${name})
    set_property(GLOBAL PROPERTY SLUICE_PACKAGE_OF_${name} "${arg_PACKAGE}")
    set_property(GLOBAL PROPERTY SLUICE_PKGCONFIG_OF_${name} "${arg_PKGCONFIG}")

    # A driver found here must be visible to the project that added this one as a subdirectory. A target that the user
    # made before us belongs to another directory and cannot be changed, nor need it be.
    set(already_there)
    foreach(driver IN LISTS arg_LINK)
        if(TARGET ${driver})
            list(APPEND already_there ${driver})
        endif()
    endforeach()
    find_package(${arg_PACKAGE} QUIET)
    foreach(driver IN LISTS arg_LINK)
        if(NOT TARGET ${driver})
            set(reason "${arg_PACKAGE} was not found")
            if(${arg_PACKAGE}_NOT_FOUND_MESSAGE)
                set(reason "${${arg_PACKAGE}_NOT_FOUND_MESSAGE}")
            endif()
            message(STATUS "sluice::${name} is left out: ${reason}")
            return()
        endif()
        if(NOT driver IN_LIST already_there AND NOT PROJECT_IS_TOP_LEVEL)
            set_target_properties(${driver} PROPERTIES IMPORTED_GLOBAL TRUE)
        endif()
    endforeach()
    add_library(sluice::${name} ALIAS ${target})
endfunction()
