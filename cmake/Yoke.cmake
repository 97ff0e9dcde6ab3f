# Build rules shared by all rooms: warnings, sanitizers, and one function per kind of target.
#
# A room is a static library of the .cpp files in its folder; X_test.cpp beside X.cpp goes into the room's test program,
# X_fuzz.cpp is a fuzz target of its own, and X_main.cpp belongs to a program that the room names itself.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(OpenSSL 3 REQUIRED COMPONENTS Crypto)
find_package(PNG REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(tl-expected REQUIRED)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
find_package(OpenCL REQUIRED)
if(YOKE_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

add_library(yoke_flags INTERFACE)
target_compile_options(yoke_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Wold-style-cast>
  # At -O3 GCC 12 sees std::string copy onto itself where it cannot (GCC bug 105329).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
target_include_directories(yoke_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(yoke_flags INTERFACE Threads::Threads)
if(YOKE_SANITIZE)
  target_compile_options(yoke_flags INTERFACE -fsanitize=${YOKE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # AddressSanitizer stops at null pointers anyway, and asking at every reference takes a third of the compiler's time.
  target_compile_options(yoke_flags INTERFACE -fno-sanitize=null)
  target_link_options(yoke_flags INTERFACE -fsanitize=${YOKE_SANITIZE})
endif()

# All that the ThreadSanitizer and the fuzz builds need: the rest of the product is not compiled there.
add_custom_target(tsan_tests)
add_custom_target(fuzz_targets)

# The sources of test programs are half of all: optimising them takes long, and what they test is in libraries. Without
# any optimisation where AddressSanitizer doubles what it takes, and without UBSan, which adds another third.
function(yoke_test_options target)
  if(YOKE_SANITIZE MATCHES "address")
    target_compile_options(${target} PRIVATE -O0 -fno-sanitize=undefined)
  else()
    target_compile_options(${target} PRIVATE -O1)
  endif()
endfunction()

# Programs that read command lines: nearly all of their code is a library's templates.
function(yoke_main_options)
  if(YOKE_SANITIZE MATCHES "address")
    foreach(target ${ARGN})
      target_compile_options(${target} PRIVATE -O0 -fno-sanitize=undefined)
    endforeach()
  endif()
endfunction()

# Rooms without a hot path, whose data is all their own: there AddressSanitizer's build neither optimises nor asks at each
# reference whether it is aligned.
function(yoke_cold_options target)
  if(YOKE_SANITIZE MATCHES "address")
    target_compile_options(${target} PRIVATE -O0 -fno-sanitize=alignment)
  endif()
endfunction()

# With YOKE_PRECOMPILED, for builds of everything at once: headers that most files include are parsed once for all rooms,
# once for all cold ones, and once for all tests. Only such headers that no definition of a target changes.
set(precompiled_libraries fmt::fmt nlohmann_json::nlohmann_json tl::expected)
set(precompiled_headers <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <cstdint> <cstring> <deque>
  <filesystem> <fstream> <functional> <map> <memory> <mutex> <optional> <random> <set> <span> <string> <string_view>
  <system_error> <thread> <unordered_map> <utility> <variant> <vector> <fmt/format.h> <nlohmann/json.hpp>
  <tl/expected.hpp>)
if(YOKE_PRECOMPILED)
  set(nothing ${CMAKE_BINARY_DIR}/precompiled.cpp)
  file(CONFIGURE OUTPUT ${nothing} CONTENT "int main() {}\n")
  add_library(yoke_precompiled STATIC ${nothing})
  add_library(yoke_cold_precompiled STATIC ${nothing})
  yoke_cold_options(yoke_cold_precompiled)
  set(targets yoke_precompiled yoke_cold_precompiled)
  if(YOKE_TESTS)
    # A program, since those are compiled with other flags than libraries.
    add_executable(yoke_test_precompiled ${nothing})
    set_target_properties(yoke_test_precompiled PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    target_link_libraries(yoke_test_precompiled PRIVATE GTest::gmock)
    yoke_test_options(yoke_test_precompiled)
    target_precompile_headers(yoke_test_precompiled PRIVATE <gtest/gtest.h> <gmock/gmock.h>)
    list(APPEND targets yoke_test_precompiled)
  endif()
  foreach(target ${targets})
    target_link_libraries(${target} PRIVATE yoke_flags ${precompiled_libraries})
    target_precompile_headers(${target} PRIVATE ${precompiled_headers})
  endforeach()
endif()
function(yoke_use_precompiled target from)
  if(YOKE_PRECOMPILED)
    # GCC 12 forgets that what it finds in such a file is the library's, and warns of code in std::string (GCC bug 105329).
    target_compile_options(${target} PRIVATE
      $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:RelWithDebInfo>>:-Wno-array-bounds;-Wno-stringop-overflow>)
    target_precompile_headers(${target} REUSE_FROM ${from})
    target_link_libraries(${target} PRIVATE ${precompiled_libraries}) # their include paths and definitions
  endif()
endfunction()

# yoke_room(NAME DEPS targets... [TEST_DEPS targets...] [SUBDIRS folders...] [ALONE files...] [TSAN] [COLD])
# TSAN: the room's tests also run in the ThreadSanitizer build; their label is "tsan" there, else the room's name.
# COLD: see yoke_cold_options().
# ALONE: sources that the presets' unity builds (six files at a time: half the time) compile by themselves, since a name
# of theirs, local to the file, is another file's as well.
function(yoke_room name)
  cmake_parse_arguments(ROOM "TSAN;COLD" "" "DEPS;TEST_DEPS;SUBDIRS;ALONE" ${ARGN})
  set(patterns *.cpp)
  set(test_patterns *_test.cpp)
  foreach(dir ${ROOM_SUBDIRS})
    list(APPEND patterns ${dir}/*.cpp)
    list(APPEND test_patterns ${dir}/*_test.cpp)
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${patterns})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|main)\\.cpp$")
  set_source_files_properties(${ROOM_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  if(sources)
    add_library(yoke_${name} STATIC ${sources})
    target_link_libraries(yoke_${name} PUBLIC yoke_flags ${ROOM_DEPS})
    if(ROOM_COLD)
      yoke_cold_options(yoke_${name})
      yoke_use_precompiled(yoke_${name} yoke_cold_precompiled)
    else()
      yoke_use_precompiled(yoke_${name} yoke_precompiled)
    endif()
  else()
    add_library(yoke_${name} INTERFACE)
    target_link_libraries(yoke_${name} INTERFACE yoke_flags ${ROOM_DEPS})
  endif()
  if(YOKE_TESTS)
    file(GLOB tests CONFIGURE_DEPENDS ${test_patterns})
    if(tests)
      add_executable(${name}_test ${tests})
      target_link_libraries(${name}_test PRIVATE yoke_${name} ${ROOM_TEST_DEPS} GTest::gmock GTest::gtest_main)
      yoke_test_options(${name}_test)
      yoke_use_precompiled(${name}_test yoke_test_precompiled)
      set(label ${name})
      if(ROOM_TSAN)
        add_dependencies(tsan_tests ${name}_test)
        if(YOKE_SANITIZE STREQUAL "thread")
          set(label tsan)
        endif()
      endif()
      gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS ${label} TIMEOUT 300)
    endif()
  endif()
  file(GLOB fuzzers CONFIGURE_DEPENDS *_fuzz.cpp)
  if(YOKE_FUZZ)
    foreach(source ${fuzzers})
      get_filename_component(target ${source} NAME_WE)
      add_executable(${target} ${source})
      target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
      target_link_libraries(${target} PRIVATE yoke_${name} ${ROOM_TEST_DEPS})
      add_dependencies(fuzz_targets ${target})
    endforeach()
  endif()
endfunction()
