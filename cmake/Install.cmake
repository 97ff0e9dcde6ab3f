# What is installed, and where: programs that people start into bin, the others into lib/yoke, docs and examples beside
# each other. Files that name their own place (pkg-config, systemd units) are written by packaging/install.cmake while
# they are installed, because `cmake --install --prefix` decides only then.
include(GNUInstallDirs)

set(yoke_libexec lib/yoke)
set_target_properties(yoke PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
install(TARGETS yoke DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS yoked yoke-worker yoke-compile DESTINATION ${yoke_libexec})
install(TARGETS yoke_client_shared DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/yoke include/uapi DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES README.md ARCHITECTURE.md LICENSE packaging/yoke.toml DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(FILES examples/depth.toml examples/hello.c examples/hello.cpp examples/python/yoke.py
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(DIRECTORY examples/kernels DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(CODE "
  set(source \"${CMAKE_SOURCE_DIR}\")
  set(version \"${PROJECT_VERSION}\")
  set(libexec \"${yoke_libexec}\")
  set(lib \"${CMAKE_INSTALL_LIBDIR}\")
  set(include \"${CMAKE_INSTALL_INCLUDEDIR}\")
  set(doc \"${CMAKE_INSTALL_DOCDIR}\")")
install(SCRIPT packaging/install.cmake)
