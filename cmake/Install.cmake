# `cmake --install build/release --prefix PREFIX`: for C programs, the libraries ebpf (the toolchain)
# and kb (the running kernel) with their headers, pkg-config files and a CMake package, and for people
# the commands bpfc and kb. A prefix may be moved.
#
# libkb.a is one object that has libbpf, libelf and zlib inside, and hides all but kb_*: it needs
# nothing else, and a program may use a libbpf of its own beside it. With BPF_SYSTEM_LIBBPF it is kb
# alone, which asks for the system's.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/bpf")
set(work "${CMAKE_BINARY_DIR}/install")
file(RELATIVE_PATH pc_to_prefix "/${pc_dir}" "/")
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")

install(TARGETS bpfc ebpf)
file(GLOB ebpf_headers asm-core/include/*.h)
install(FILES ${ebpf_headers} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
set(kb_requires "")

# kb.pc or ebpf.pc.
function(bpf_pc name description requires)
  configure_file(cmake/library.pc.in "${work}/${name}.pc" @ONLY)
  install(FILES "${work}/${name}.pc" DESTINATION "${pc_dir}")
endfunction()
bpf_pc(ebpf "the eBPF toolchain: C compiler, assembler, objects, BTF, CO-RE and a VM" "")

if(TARGET kb)
  if(BPF_SYSTEM_LIBBPF)
    set(kb_requires libbpf)
    set(libkb "$<TARGET_FILE:kb>")
  else()
    set(libkb "${work}/libkb.a")
    get_target_property(inside deps::libbpf INTERFACE_LINK_LIBRARIES)
    add_custom_command(OUTPUT "${libkb}" DEPENDS kb
      COMMAND "${CMAKE_COMMAND}" -E rm -f "${libkb}"
      COMMAND "${CMAKE_C_COMPILER}" -r -nostdlib -o "${work}/kb.o" -Wl,--whole-archive
              "$<TARGET_FILE:kb>" -Wl,--no-whole-archive ${inside}
      COMMAND "${CMAKE_OBJCOPY}" --wildcard "--keep-global-symbol=kb_*" "${work}/kb.o"
      COMMAND "${CMAKE_AR}" rcs "${libkb}" "${work}/kb.o"
      COMMENT "Putting libkb.a together")
    add_custom_target(kb_whole ALL DEPENDS "${libkb}")
  endif()
  install(FILES "${libkb}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS kb_cli)
  install(FILES kernel-backend/include/kb.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  bpf_pc(kb "eBPF objects in the running Linux kernel" "${kb_requires}")
endif()

configure_package_config_file(cmake/bpfConfig.cmake.in "${work}/bpfConfig.cmake"
  INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file("${work}/bpfConfigVersion.cmake" COMPATIBILITY SameMajorVersion)
install(FILES "${work}/bpfConfig.cmake" "${work}/bpfConfigVersion.cmake"
        DESTINATION "${package_dir}")

# Sanitized libraries would ask their users for sanitizers.
if(BPF_TESTS AND TARGET kb AND NOT BPF_SANITIZE)
  find_program(BPF_PKG_CONFIG pkg-config)
  add_test(NAME install COMMAND "${CMAKE_COMMAND}" "-DBUILD=${CMAKE_BINARY_DIR}"
    "-DSOURCE=${CMAKE_SOURCE_DIR}" "-DCC=${CMAKE_C_COMPILER}" "-DCXX=${CMAKE_CXX_COMPILER}"
    "-DNM=${CMAKE_NM}" "-DPKG_CONFIG=${BPF_PKG_CONFIG}" "-DLIBDIR=${CMAKE_INSTALL_LIBDIR}"
    "-DSYSTEM_LIBBPF=${BPF_SYSTEM_LIBBPF}"
    -P "${CMAKE_SOURCE_DIR}/cmake/InstallCheck.cmake")
endif()
