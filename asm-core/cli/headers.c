/* headers.c - the packed header set, linked into the command: `bpfc cc` needs no headers on the
 * machine. The build names the file (CMake's BPF_HEADERS); without one the set is empty. */
#include "cli.h"

#if defined(BPFC_HEADERS) && defined(__APPLE__)
#define SECTION ".const_data"
#define NAME    "_bpfc_headers"
#elif defined(BPFC_HEADERS) && defined(_WIN32)
#define SECTION ".section .rdata"
#define NAME    "bpfc_headers"
#elif defined(BPFC_HEADERS)
#define SECTION ".section .rodata"
#define NAME    "bpfc_headers"
#endif

#if defined(BPFC_HEADERS)
__asm__(SECTION "\n"
                ".globl " NAME "\n" NAME ":\n"
                ".incbin \"" BPFC_HEADERS "\"\n"
                ".globl " NAME "_end\n" NAME "_end:\n"
                ".byte 0\n"
                ".text\n");

extern const char bpfc_headers[], bpfc_headers_end[];

ebpf_bytes header_set(void) {
    return (ebpf_bytes){bpfc_headers, (size_t)(bpfc_headers_end - bpfc_headers)};
}
#else
ebpf_bytes header_set(void) {
    return (ebpf_bytes){0};
}
#endif
