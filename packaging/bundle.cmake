# Runs while the GPU bundle is made (cmake/Bundle.cmake): the official vectors as one file, and the baselines of a single
# call (bench/cuda, a project of its own) from $YOKE_MEASURE, where they were built too.
set(to "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")

set(vectors "$ENV{YOKE_VECTORS}")
if(NOT vectors)
  set(vectors /usr/lib/python3/dist-packages/cryptography_vectors)
endif()
file(GLOB hashes RELATIVE "${vectors}" "${vectors}/hashes/SHA2/SHA256*")
if(NOT hashes)
  message(FATAL_ERROR "There are no vectors in ${vectors}; install python3-cryptography-vectors or set YOKE_VECTORS.")
endif()
set(ciphers ECB CBC CTR GCM XTS)
list(TRANSFORM ciphers PREPEND ciphers/AES/)
execute_process(COMMAND ${CMAKE_COMMAND} -E tar czf "${to}/vectors.tar.gz" ${ciphers} ${hashes}
  WORKING_DIRECTORY "${vectors}" COMMAND_ERROR_IS_FATAL ANY)

if(NOT "$ENV{YOKE_MEASURE}" STREQUAL "")
  file(INSTALL "$ENV{YOKE_MEASURE}" DESTINATION "${to}/bin" USE_SOURCE_PERMISSIONS)
endif()
