# The GPU part of tests and benchmarks as a relocatable archive (component `gpu`, not part of an installation): programs,
# the libraries that they need beyond the C library, official vectors, and scripts/gpu, which runs it all. `cpack` makes
# it of what is built; scripts/bundle builds it first.

if(NOT YOKE_CUDA_ENABLED OR NOT YOKE_TESTS OR NOT YOKE_BENCH)
  return()
endif()

set(bundled gpu_test device_gpu_test program_gpu_test nsk_bench beside_bench idle_bench graph_cuda_bench
  gesture_cuda_bench)
set_target_properties(${bundled} PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
list(APPEND bundled yoke yoked yoke-worker yoke-compile) # find libraries where scripts/gpu says
add_custom_target(bundled_programs DEPENDS ${bundled} yoke_client_shared)
install(TARGETS ${bundled} RUNTIME_DEPENDENCY_SET bundled_libraries
  RUNTIME DESTINATION bin COMPONENT gpu EXCLUDE_FROM_ALL)
install(TARGETS yoke_client_shared
  LIBRARY DESTINATION lib COMPONENT gpu NAMELINK_SKIP EXCLUDE_FROM_ALL)
# The C library and its loader are those of the machine.
install(RUNTIME_DEPENDENCY_SET bundled_libraries
  PRE_EXCLUDE_REGEXES "^lib(c|m|dl|pthread|rt|resolv)\\.so" "^ld-linux"
  LIBRARY DESTINATION lib COMPONENT gpu EXCLUDE_FROM_ALL)
install(PROGRAMS scripts/gpu DESTINATION . COMPONENT gpu EXCLUDE_FROM_ALL)
install(FILES examples/depth.toml DESTINATION examples COMPONENT gpu EXCLUDE_FROM_ALL)
install(DIRECTORY examples/kernels DESTINATION examples COMPONENT gpu EXCLUDE_FROM_ALL)
install(DIRECTORY examples/gesture DESTINATION examples COMPONENT gpu EXCLUDE_FROM_ALL FILES_MATCHING PATTERN "*.cl")
install(SCRIPT packaging/bundle.cmake COMPONENT gpu EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR TGZ)
set(CPACK_COMPONENTS_ALL gpu)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY OFF)
set(CPACK_PACKAGE_FILE_NAME yoke-gpu)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
