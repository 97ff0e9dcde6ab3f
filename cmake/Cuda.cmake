# CUDA: found or not (YOKE_CUDA = AUTO, ON, OFF), and device code as part of a library.
#
# Device code is compiled by nvcc at build time, for Hopper and as PTX for what comes after, and embedded; the driver is
# opened at run time. So a program needs nothing of CUDA to start, and a build without nvcc lacks the device and nothing
# else.

set(YOKE_CUDA_ENABLED OFF)
if(NOT YOKE_CUDA STREQUAL "OFF")
  find_program(YOKE_NVCC nvcc HINTS /usr/local/cuda/bin)
  if(YOKE_NVCC)
    get_filename_component(nvcc_real ${YOKE_NVCC} REALPATH)
    get_filename_component(nvcc_dir ${nvcc_real} DIRECTORY)
    find_path(YOKE_CUDA_INCLUDE cuda.h HINTS ${nvcc_dir}/../include ${nvcc_dir}/../targets/x86_64-linux/include)
  endif()
  if(YOKE_NVCC AND YOKE_CUDA_INCLUDE)
    set(YOKE_CUDA_ENABLED ON)
  elseif(YOKE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "YOKE_CUDA is ON and there is no nvcc; install CUDA 13 or set YOKE_CUDA to AUTO or OFF")
  endif()
endif()
message(STATUS "CUDA device: ${YOKE_CUDA_ENABLED}")

# What every target that includes a header of the CUDA device needs.
add_library(yoke_cuda_headers INTERFACE)
if(YOKE_CUDA_ENABLED)
  target_include_directories(yoke_cuda_headers SYSTEM INTERFACE ${YOKE_CUDA_INCLUDE})
  target_compile_definitions(yoke_cuda_headers INTERFACE YOKE_WITH_CUDA=1)
endif()

# yoke_device_code(TARGET SOURCE SYMBOL [OPTION...]): compiles SOURCE (.cu) into a fat binary that TARGET holds; a build
# with options is for measurements, on Hopper alone. C++ declares it as
#   extern "C" const unsigned char SYMBOL[];
function(yoke_device_code target source symbol)
  get_filename_component(source ${source} ABSOLUTE)
  set(fatbin ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.fatbin)
  set(options -gencode arch=compute_90,code=sm_90 ${ARGN})
  if(NOT ARGN)
    list(APPEND options -lineinfo -Xptxas=-warn-spills -gencode arch=compute_90,code=compute_90)
  endif()
  add_custom_command(OUTPUT ${fatbin}
    COMMAND ${YOKE_NVCC} -fatbin -std=c++20 -O3 -I${CMAKE_SOURCE_DIR}/include -I${CMAKE_SOURCE_DIR}/src
      ${options} -MD -MF ${fatbin}.d -o ${fatbin} ${source}
    DEPENDS ${source} DEPFILE ${fatbin}.d VERBATIM COMMENT "Building device code ${symbol}")
  set(holder ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.cpp)
  file(CONFIGURE OUTPUT ${holder} @ONLY CONTENT [[
asm(".section .rodata\n.balign 64\n.global @symbol@\n.hidden @symbol@\n@symbol@:\n.incbin \"@fatbin@\"\n.previous\n");
]])
  # Not in a unity source: its object would not depend on the fat binary.
  set_source_files_properties(${holder} PROPERTIES OBJECT_DEPENDS ${fatbin} SKIP_UNITY_BUILD_INCLUSION ON)
  target_sources(${target} PRIVATE ${holder})
endfunction()
