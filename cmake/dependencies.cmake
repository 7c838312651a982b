# Everything outside the forward pass, kernels, compression and search comes from Debian's packages
# (scripts/apt-packages.txt).
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ICU REQUIRED COMPONENTS uc i18n)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
if(CITIUS_NETWORK)
  find_package(CURL REQUIRED)
  pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
endif()
# A program that links the installed library needs no command line.
if(NOT CITIUS_LIBRARY_ONLY)
  find_package(CLI11 REQUIRED)
endif()
