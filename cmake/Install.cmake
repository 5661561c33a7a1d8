# SPDX-License-Identifier: MIT
#
# Installs every header, a CMake package with one file of targets per component, files for pkg-config, and what a packager
# wants beside them. `cpack -G DEB` makes a Debian package of it.

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

# write_pkgconfig(<file name> <what it is for> <requires> <libs>)
function(sluice_write_pkgconfig name description requires libs)
    string(REPLACE ";" " " requires "${requires}")
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/")
    file(WRITE "${PROJECT_BINARY_DIR}/pkgconfig/${name}.pc"
"prefix=\${pcfiledir}/${up}
includedir=\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}

Name: ${name}
Description: ${description}
Version: ${PROJECT_VERSION}
Requires: ${requires}
Cflags: -I\${includedir}
Libs: ${libs}
")
    install(FILES "${PROJECT_BINARY_DIR}/pkgconfig/${name}.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
endfunction()

sluice_write_pkgconfig(sluice "${PROJECT_DESCRIPTION}" "" "-pthread")
foreach(component IN LISTS sluice_components)
    get_property(requires GLOBAL PROPERTY SLUICE_PKGCONFIG_OF_${component})
    if(requires)
        sluice_write_pkgconfig(sluice-${component} "${PROJECT_DESCRIPTION}: ${component}" "sluice;${requires}" "")
    endif()
endforeach()

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md" "${PROJECT_SOURCE_DIR}/CHANGELOG.md"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")

if(PROJECT_IS_TOP_LEVEL)
    set(CPACK_PACKAGE_NAME libsluice-dev)
    set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
    set(CPACK_PACKAGE_CONTACT "The sluice developers")
    set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
    set(CPACK_GENERATOR "DEB;TGZ")
    set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
    set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
    set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
    set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
    set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libhiredis-dev, libpq-dev, libcpp-httplib-dev, nlohmann-json3-dev, libssl-dev, libasio-dev")
    include(CPack)
endif()
