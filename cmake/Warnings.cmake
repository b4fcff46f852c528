# bpf_warnings(TARGET): the warnings that all our code is clean under, with gcc and clang.
# They become errors only with BPF_WERROR, so that a newer compiler never breaks a user's build.
set(BPF_WARNINGS
    -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wvla -Wundef -Wcast-qual
    -Wwrite-strings -Wimplicit-fallthrough)
set(BPF_WARNINGS_C -Wstrict-prototypes -Wmissing-prototypes)

function(bpf_warnings target)
  target_compile_options(${target} PRIVATE
    ${BPF_WARNINGS}
    "$<$<COMPILE_LANGUAGE:C>:${BPF_WARNINGS_C}>"
    -fno-common
    "$<$<BOOL:${BPF_WERROR}>:-Werror>")
endfunction()
