# cmake --install: the binary, the headers and a CMake package. An outside program says find_package(citius) and links
# citius::citius, which stands for the libraries of all folders but the command line.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(folders GLOBAL PROPERTY CITIUS_FOLDERS)
list(REMOVE_ITEM folders citius_cli)
add_library(citius_library INTERFACE)
set_target_properties(citius_library PROPERTIES EXPORT_NAME citius)
target_link_libraries(citius_library INTERFACE ${folders})
target_compile_features(citius_library INTERFACE cxx_std_20)
add_library(citius::citius ALIAS citius_library)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/citius)
install(TARGETS citius RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS citius_library ${folders} EXPORT citiusTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/citius)
install(EXPORT citiusTargets NAMESPACE citius:: DESTINATION ${package_dir})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/citius
  FILES_MATCHING PATTERN "*.h" PATTERN "*.inc"
  PATTERN "cli" EXCLUDE PATTERN "cpu" EXCLUDE PATTERN "ref" EXCLUDE PATTERN "network" EXCLUDE)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/citiusConfig.cmake.in ${CMAKE_BINARY_DIR}/citiusConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/citiusConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/citiusConfig.cmake ${CMAKE_BINARY_DIR}/citiusConfigVersion.cmake
  ${CMAKE_SOURCE_DIR}/cmake/dependencies.cmake DESTINATION ${package_dir})
