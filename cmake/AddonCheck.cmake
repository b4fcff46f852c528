# Test `addon-symbols`: what the built addon asks of the machine that loads it. It needs the C library
# and the dynamic loader, no symbol of them newer than the floor below, nothing of C++, and from the
# process only Node-API up to the version that it declares; it exports only Node-API's entry points.
#   cmake -DNM=nm -DREADELF=readelf -DADDON=bpf_kernel.node -DNODE_API=FOLDER-OF-node_api.h
#         -P AddonCheck.cmake
cmake_minimum_required(VERSION 3.22)

# The promised libc floor, in one place: glibc 2.28 is what Node 20 itself needs.
if(NOT FLOOR)
  set(FLOOR 2.28)
endif()

set(failed 0)
set(checked 0)
macro(check wrong what)
  math(EXPR checked "${checked} + 1")
  if(${wrong})
    message("${what}")
    math(EXPR failed "${failed} + 1")
  endif()
endmacro()

# NAPI_VERSION (addon.h) decides which functions the header declares, so one that is newer does not
# compile; here it is enough that the header names it.
set(napi "")
foreach(header node_api.h js_native_api.h)
  file(READ "${NODE_API}/${header}" text)
  string(REGEX MATCHALL "(napi|node_api)_[a-z0-9_]+" names "${text}")
  list(APPEND napi ${names})
endforeach()
list(REMOVE_DUPLICATES napi)

execute_process(COMMAND "${NM}" -D --undefined-only --format=posix "${ADDON}"
                OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${listing}")
set(highest 0)
foreach(line IN LISTS lines)
  string(REGEX MATCH "^([^ @]+)(@+([^ ]+))? ([A-Za-z])" unused "${line}")
  set(name "${CMAKE_MATCH_1}")
  set(version "${CMAKE_MATCH_3}")
  set(kind "${CMAKE_MATCH_4}")
  set(wrong TRUE)
  if(version MATCHES "^GLIBC_([0-9.]+)$")
    set(number "${CMAKE_MATCH_1}")
    if(NOT number VERSION_GREATER FLOOR)
      set(wrong FALSE)
    endif()
    if(number VERSION_GREATER highest)
      set(highest ${number})
    endif()
  elseif(NOT version AND name IN_LIST napi)
    set(wrong FALSE)
  elseif(NOT version AND kind MATCHES "[wv]") # what gcc's start files ask for if it is there
    if(name MATCHES "^(__gmon_start__|_ITM_(de)?registerTMCloneTable|__cxa_finalize)$")
      set(wrong FALSE)
    endif()
    # libuv's, which the addon does without where they are missing (poll.cc).
    if(name MATCHES "^uv_(poll_init|poll_start|poll_stop|close|handle_size|ref|unref)$")
      set(wrong FALSE)
    endif()
  endif()
  check(wrong "${name}@${version} is neither in glibc ${FLOOR} nor in Node-API")
endforeach()
set(imports ${checked})

execute_process(COMMAND "${READELF}" -d "${ADDON}" OUTPUT_VARIABLE dynamic
                COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\\(NEEDED\\)[^\n]*\\[[^]\n]*" needed "${dynamic}")
foreach(line IN LISTS needed)
  string(REGEX REPLACE ".*\\[" "" library "${line}")
  set(wrong TRUE)
  if(library MATCHES "^(libc\\.so\\.6|ld-linux[-a-z0-9_]*\\.so\\.[0-9])$")
    set(wrong FALSE)
  endif()
  check(wrong "it needs ${library}")
endforeach()

execute_process(COMMAND "${NM}" -D --defined-only --format=posix "${ADDON}"
                OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${listing}")
set(entry_points 0)
foreach(line IN LISTS lines)
  string(REGEX REPLACE " .*" "" name "${line}")
  set(wrong TRUE)
  if(name MATCHES "^(napi_register_module_v1|node_api_module_get_api_version_v1)$")
    set(wrong FALSE)
    math(EXPR entry_points "${entry_points} + 1")
  endif()
  check(wrong "it exports ${name}")
endforeach()

# A check that found nothing to check has not checked.
set(wrong FALSE)
if(imports LESS 20 OR NOT needed OR NOT entry_points EQUAL 2 OR highest EQUAL 0)
  set(wrong TRUE)
endif()
check(wrong "no addon: ${imports} imports, libraries '${needed}', ${entry_points} entry points")

math(EXPR passed "${checked} - ${failed}")
message("highest glibc symbol version ${highest}, floor ${FLOOR}")
message("${passed} symbols and libraries are as promised, ${failed} are not")
if(failed)
  message(FATAL_ERROR "${ADDON}: a symbol or library beyond what is promised")
endif()
