/* ebpf_insn.h - one BPF instruction in host form, and its bytes (RFC 9669, section 3).
 *
 * A 64-bit immediate load (lddw) takes two 8-byte slots and is one instruction here. */
#ifndef EBPF_INSN_H
#define EBPF_INSN_H

#include "ebpf.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBPF_SLOT = 8 };

typedef struct ebpf_insn {
    uint8_t code; /* class, operation or size and mode, source bit */
    uint8_t dst, src;
    uint8_t slots; /* 1, or 2 for a 64-bit immediate load */
    int16_t off;
    int64_t imm; /* sign-extended from 32 bits; all 64 of a 64-bit immediate load */
} ebpf_insn;

/* Decode the instruction at `bytes`, of which `size` are readable; returns its slots, or 0 when
 * fewer bytes are left than it needs. Any code decodes: eb_insn_row tells which are valid. */
EBPF_API unsigned ebpf_insn_decode(const void *bytes, size_t size, int endian, ebpf_insn *insn);

/* Encode into `bytes`, which has room for two slots; returns the slots written. */
EBPF_API unsigned ebpf_insn_encode(const ebpf_insn *insn, int endian, void *bytes);

#ifdef __cplusplus
}
#endif
#endif
