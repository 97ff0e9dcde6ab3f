# Runs while installing: writes the files that name their own place, and the configuration where there is none yet.
#
# A prefix of the system (/usr, /usr/local) gets /etc/yoke/yoke.toml, which an administrator may have changed since, so it
# is never replaced. Any other prefix is somebody's own: nothing outside it is touched.
set(prefix "${CMAKE_INSTALL_PREFIX}")

function(write_place template place)
  configure_file("${source}/packaging/${template}" "$ENV{DESTDIR}${prefix}/${place}" @ONLY)
  message(STATUS "Installing: $ENV{DESTDIR}${prefix}/${place}")
  list(APPEND CMAKE_INSTALL_MANIFEST_FILES "${prefix}/${place}")
  set(CMAKE_INSTALL_MANIFEST_FILES "${CMAKE_INSTALL_MANIFEST_FILES}" PARENT_SCOPE)
endfunction()

write_place(yoke.pc.in ${lib}/pkgconfig/yoke.pc)
write_place(systemd/yoked.service.in lib/systemd/system/yoked.service)
write_place(systemd/yoked.socket.in lib/systemd/system/yoked.socket)
write_place(udev/60-yoke.rules lib/udev/rules.d/60-yoke.rules)
write_place(sysusers/yoke.conf lib/sysusers.d/yoke.conf)

if(prefix MATCHES "^/usr(/local)?/?$" AND NOT EXISTS "$ENV{DESTDIR}/etc/yoke/yoke.toml")
  file(INSTALL "${source}/packaging/yoke.toml" DESTINATION "/etc/yoke")
endif()
