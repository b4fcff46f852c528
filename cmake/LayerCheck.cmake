# Test `layers`: proves that a stage of asm-core cannot include a header to its right.
#   cmake -DCOMPILER=… -DSTAGES=FILE -DWORK=DIR -P LayerCheck.cmake
# FILE sets `root`, `stages` and for each stage `dirs_STAGE`, the include folders it compiles with.
# With those alone, each header of a stage that is not to its left must be "not found", and each of
# its own and of those to its left must be found. The order below is the design's, stated apart from
# the build that should follow it. Paths in quotes would step around the include folders, so a slash
# in one is an error too.
cmake_minimum_required(VERSION 3.22)
include("${STAGES}")
set(left_base base)
set(left_isa ${left_base} isa)
set(left_obj ${left_isa} obj)
set(left_asm ${left_obj} asm)
set(left_vm ${left_obj} vm)
set(left_verify ${left_obj} verify)
set(left_ir ${left_obj} ir)
set(left_gen ${left_ir} asm gen)
set(left_cc ${left_ir} cc)
set(left_api ${left_ir} asm gen cc vm verify api)

set(failed 0)
set(checked 0)

# Sets `found` to whether a file of `stage` could include `header`.
function(can_include stage header)
  set(flags "")
  foreach(dir IN LISTS dirs_${stage})
    list(APPEND flags "-I${dir}")
  endforeach()
  file(WRITE "${WORK}/probe.c" "#include \"${header}\"\n")
  execute_process(COMMAND "${COMPILER}" -std=c11 -E ${flags} "${WORK}/probe.c" -o "${WORK}/probe.i"
                  RESULT_VARIABLE status ERROR_VARIABLE said)
  if(NOT status EQUAL 0 AND NOT said MATCHES "${header}.*(No such file|not found)")
    message("${stage}: including ${header} fails in another way:\n${said}")
    set(found broken PARENT_SCOPE)
  elseif(status EQUAL 0)
    set(found yes PARENT_SCOPE)
  else()
    set(found no PARENT_SCOPE)
  endif()
endfunction()

foreach(stage IN LISTS stages)
  foreach(other IN LISTS stages)
    file(GLOB headers RELATIVE "${root}/${other}" "${root}/${other}/*.h")
    set(expected no)
    if(other IN_LIST left_${stage})
      set(expected yes)
    endif()
    foreach(header IN LISTS headers)
      can_include(${stage} ${header})
      math(EXPR checked "${checked} + 1")
      if(NOT found STREQUAL expected)
        message("${stage} may include ${other}/${header}: ${found}, should be ${expected}")
        math(EXPR failed "${failed} + 1")
      endif()
    endforeach()
  endforeach()
endforeach()

file(GLOB_RECURSE sources "${root}/*.c" "${root}/*.h")
foreach(source IN LISTS sources)
  file(STRINGS "${source}" around REGEX "^[ \t]*#[ \t]*include[ \t]*\"[^\"]*/")
  math(EXPR checked "${checked} + 1")
  if(around)
    message("${source}: ${around}: name the header alone")
    math(EXPR failed "${failed} + 1")
  endif()
endforeach()

message("${checked} checks, ${failed} failed")
if(failed OR checked EQUAL 0)
  message(FATAL_ERROR "the layer order does not hold")
endif()
