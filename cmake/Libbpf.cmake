# Defines deps::libbpf: the include folder and libraries to link libbpf with, either from BPF_DEPS
# (libbpf, libelf and its libeu built with -fPIC by scripts/setup.mjs, all static, hidden from the
# addon's exports by its own link options) or, with BPF_SYSTEM_LIBBPF, the system's shared library.
# Without either the target is not defined and the kernel folders are left out.
if(BPF_SYSTEM_LIBBPF)
  find_library(BPF_LIBBPF_SHARED NAMES bpf REQUIRED)
  find_path(BPF_LIBBPF_INCLUDE bpf/libbpf.h REQUIRED)
  add_library(deps::libbpf INTERFACE IMPORTED GLOBAL)
  target_include_directories(deps::libbpf INTERFACE "${BPF_LIBBPF_INCLUDE}")
  target_link_libraries(deps::libbpf INTERFACE "${BPF_LIBBPF_SHARED}")
elseif(EXISTS "${BPF_DEPS}/lib/libbpf.a")
  find_library(BPF_LIBZ NAMES libz.a REQUIRED)
  add_library(deps::libbpf INTERFACE IMPORTED GLOBAL)
  target_include_directories(deps::libbpf SYSTEM INTERFACE "${BPF_DEPS}/include")
  target_link_libraries(deps::libbpf INTERFACE
    "${BPF_DEPS}/lib/libbpf.a" "${BPF_DEPS}/lib/libelf.a" "${BPF_DEPS}/lib/libeu.a" "${BPF_LIBZ}")
else()
  message(STATUS "No libbpf in ${BPF_DEPS}: kernel-backend and the addon are left out "
                 "(run `node scripts/setup.mjs demo`, or pass -DBPF_SYSTEM_LIBBPF=ON)")
endif()
