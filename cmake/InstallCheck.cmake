# Test `install`: what `cmake --install` leaves is enough for a C program. Everything is installed into
# a prefix, which is moved; examples/c is built there with pkg-config and with find_package, and run;
# the commands run; the headers are C++ without a warning; libkb.a hides what it has inside.
#   cmake -DBUILD=… -DSOURCE=… -DCC=… -DCXX=… -DNM=… -DPKG_CONFIG=… -DLIBDIR=… -DSYSTEM_LIBBPF=…
#         -P InstallCheck.cmake
cmake_minimum_required(VERSION 3.22)
set(work "${BUILD}/install-check")
set(prefix "${work}/moved")
set(example "${SOURCE}/examples/c")

macro(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    string(JOIN " " words ${ARGN})
    message(FATAL_ERROR "${words}\n${out}\n${err}")
  endif()
endmacro()

# Counts calls, or says which capability it lacks.
macro(run_example program)
  execute_process(COMMAND "${program}" RESULT_VARIABLE status OUTPUT_VARIABLE out
                  ERROR_VARIABLE err)
  if(status EQUAL 0 AND NOT out MATCHES "^[1-9][0-9]* system calls in a second")
    message(FATAL_ERROR "${program}: ${out}")
  elseif(NOT status EQUAL 0 AND NOT err MATCHES "\\(EPERM\\)")
    message(FATAL_ERROR "${program}: ${status}: ${out}${err}")
  endif()
  string(STRIP "${out}${err}" said)
  message("${program}: ${said}")
endmacro()

file(REMOVE_RECURSE "${work}")
run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${work}/prefix")
file(RENAME "${work}/prefix" "${prefix}")
foreach(name bin/bpfc bin/kb include/ebpf.h include/ebpf_cc.h include/ebpf_vm.h include/kb.h
             ${LIBDIR}/libebpf.a ${LIBDIR}/libkb.a ${LIBDIR}/pkgconfig/kb.pc
             ${LIBDIR}/pkgconfig/ebpf.pc ${LIBDIR}/cmake/bpf/bpfConfig.cmake)
  if(NOT EXISTS "${prefix}/${name}")
    message(FATAL_ERROR "${name} is not installed")
  endif()
endforeach()
run("${prefix}/bin/bpfc" --version)
run("${prefix}/bin/kb" --version)
# Nothing leads back to where it was built.
file(GLOB texts "${prefix}/${LIBDIR}/pkgconfig/*" "${prefix}/${LIBDIR}/cmake/bpf/*")
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  string(FIND "${content}" "${BUILD}" at)
  if(NOT at EQUAL -1)
    message(FATAL_ERROR "${text} names the build folder")
  endif()
endforeach()

if(PKG_CONFIG)
  set(ENV{PKG_CONFIG_PATH} "${prefix}/${LIBDIR}/pkgconfig")
  run("${PKG_CONFIG}" --cflags --libs kb ebpf)
  separate_arguments(flags UNIX_COMMAND "${out}")
  run("${CC}" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror "${example}/main.c" ${flags} -o
      "${work}/by-pkg-config")
  run_example("${work}/by-pkg-config")
else()
  message("SKIP: no pkg-config")
endif()

run("${CMAKE_COMMAND}" -S "${example}" -B "${work}/build" "-DCMAKE_PREFIX_PATH=${prefix}"
    "-DCMAKE_C_COMPILER=${CC}")
run("${CMAKE_COMMAND}" --build "${work}/build")
run_example("${work}/build/calls")

file(GLOB headers RELATIVE "${prefix}/include" "${prefix}/include/*.h")
set(text "")
foreach(header IN LISTS headers)
  string(APPEND text "#include <${header}>\n")
endforeach()
file(WRITE "${work}/all.cc" "${text}")
run("${CXX}" -std=c++17 -fsyntax-only -Wall -Wextra -Wshadow -Werror "-I${prefix}/include"
    "${work}/all.cc")

if(NOT SYSTEM_LIBBPF)
  run("${NM}" -g --defined-only --format=posix "${prefix}/${LIBDIR}/libkb.a")
  string(REGEX MATCHALL "\n[^ \n]+ [A-Z]" symbols "${out}")
  list(LENGTH symbols count)
  list(FILTER symbols EXCLUDE REGEX "^\nkb_")
  if(symbols OR count LESS 50)
    message(FATAL_ERROR "libkb.a has ${count} symbols, of others: ${symbols}")
  endif()
  message("libkb.a: ${count} symbols, all kb_*")
endif()
