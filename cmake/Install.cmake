# SPDX-License-Identifier: MIT
#
# Installs every header, and a CMake package with one file of targets per component.

if(NOT SLUICE_INSTALL)
    return()
endif()

include(CMakePackageConfigHelpers)
set(sluice_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/sluice")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp")
file(GLOB sluice_finders CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/Find*.cmake")
install(FILES ${sluice_finders} DESTINATION ${sluice_package_dir})

get_property(sluice_components GLOBAL PROPERTY SLUICE_COMPONENTS)
set(sluice_component_packages "")
foreach(component IN LISTS sluice_components)
    get_property(package GLOBAL PROPERTY SLUICE_PACKAGE_OF_${component})
    string(APPEND sluice_component_packages "set(_sluice_package_of_${component} ${package})\n")
    install(TARGETS sluice_${component} EXPORT sluice-${component}-targets)
    install(EXPORT sluice-${component}-targets NAMESPACE sluice:: DESTINATION ${sluice_package_dir})
endforeach()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/sluiceConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/sluiceConfig.cmake" INSTALL_DESTINATION ${sluice_package_dir})
# While the version is 0.x, a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/sluiceConfigVersion.cmake" COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/sluiceConfig.cmake" "${PROJECT_BINARY_DIR}/sluiceConfigVersion.cmake"
        DESTINATION ${sluice_package_dir})
