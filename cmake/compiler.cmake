# Flags of our own code. Floating point is exact as written: no contraction, no reassociation, because results must not
# depend on what the compiler found to fuse (docs/numerics.md).
add_library(citius_flags INTERFACE)
target_compile_options(citius_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wno-unused-parameter -Wno-missing-field-initializers
  -ffp-contract=off -fno-math-errno -fno-trapping-math)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports false positives of these inside libstdc++ when it inlines std::string and std::vector, warns about
  # vector types in signatures (an ABI note for code that crosses libraries; ours does not), and calls libstdc++'s own use
  # of deprecated features ours.
  target_compile_options(citius_flags INTERFACE -Wno-psabi -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
    -Wno-array-bounds -Wno-stringop-overread -Wno-dangling-pointer -Wno-free-nonheap-object)
else()
  # Clang 19 sees that libstdc++ 12's own std::stable_sort uses a function that C++17 deprecated.
  target_compile_options(citius_flags INTERFACE -Wno-gnu-zero-variadic-macro-arguments -Wno-deprecated-declarations)
endif()

if(CITIUS_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(CITIUS_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(NOT CITIUS_SANITIZE STREQUAL "")
  message(FATAL_ERROR "CITIUS_SANITIZE: got '${CITIUS_SANITIZE}', expected address or thread")
endif()
if(CITIUS_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
