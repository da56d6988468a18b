# Compiler settings that every target shares, and the few functions that CMakeLists.txt files use.

option(HC_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(HC_FUZZ "Build the libFuzzer targets (clang only)" OFF)

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_library(hc_options INTERFACE)
target_include_directories(hc_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(hc_options INTERFACE HC_VERSION="${PROJECT_VERSION}" _FILE_OFFSET_BITS=64)
target_compile_options(hc_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # At -O2, GCC 12 sees an overlap in every `"text" + std::string(...)` (its bug 105651), and unset values in an empty
  # std::optional (80635).
  target_compile_options(hc_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(HC_SANITIZE)
  target_compile_options(hc_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
                                              -fno-omit-frame-pointer)
  target_link_options(hc_options INTERFACE -fsanitize=address,undefined)
endif()
if(HC_FUZZ)
  target_compile_options(hc_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(hc_options INTERFACE _GLIBCXX_ASSERTIONS)
endif()

# hc_library(NAME SOURCES ... LIBS ...): one static library of one layer. LIBS are public, so that a user of the
# layer finds its headers.
function(hc_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS;PRIVATE_LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC hc_options ${ARG_LIBS} PRIVATE ${ARG_PRIVATE_LIBS})
endfunction()

# hc_program(NAME [COMPONENT tools] SOURCES ... LIBS ...): what is not of the component `tools` belongs on a node.
function(hc_program name)
  cmake_parse_arguments(ARG "" "COMPONENT" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_COMPONENT)
    set(ARG_COMPONENT node)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE hc_options ${ARG_LIBS})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${ARG_COMPONENT})
endfunction()

# hc_descriptions(NAME SECTION [COMPONENT tools]): the manual page and the completions of a program that has
# add_descriptions(), made by the program itself.
function(hc_descriptions name section)
  cmake_parse_arguments(ARG "" "COMPONENT" "" ${ARGN})
  if(NOT ARG_COMPONENT)
    set(ARG_COMPONENT node)
  endif()
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}-descriptions)
  file(MAKE_DIRECTORY ${out})
  add_custom_command(
    OUTPUT ${out}/${name}.${section} ${out}/bash ${out}/zsh ${out}/fish
    COMMAND ${name} --man >${out}/${name}.${section}
    COMMAND ${name} --completion bash >${out}/bash
    COMMAND ${name} --completion zsh >${out}/zsh
    COMMAND ${name} --completion fish >${out}/fish
    DEPENDS ${name})
  add_custom_target(${name}-descriptions ALL DEPENDS ${out}/bash)
  install(FILES ${out}/${name}.${section} DESTINATION share/man/man${section} COMPONENT ${ARG_COMPONENT})
  install(FILES ${out}/bash DESTINATION share/bash-completion/completions RENAME ${name} COMPONENT ${ARG_COMPONENT})
  install(FILES ${out}/zsh DESTINATION share/zsh/vendor-completions RENAME _${name} COMPONENT ${ARG_COMPONENT})
  install(FILES ${out}/fish DESTINATION share/fish/vendor_completions.d RENAME ${name}.fish
          COMPONENT ${ARG_COMPONENT})
endfunction()
