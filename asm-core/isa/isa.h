/* isa.h - what isa/ keeps in the context: indices over its tables, built on first use because
 * asm-core has no mutable globals. Internal to isa/. */
#ifndef EB_ISA_H
#define EB_ISA_H

#include "insn.h"

struct eb_isa {
    uint16_t first[256];          /* by code: 1 + the first operation with it, or 0 */
    uint16_t next[EB_OP_COUNT];   /* 1 + the next operation with the same code, or 0 */
    uint32_t free[EB_FORM_COUNT]; /* EB_FREE_... */
    struct eb_trie *tries[EBPF_DIALECT_COUNT];
};

struct eb_isa *eb_isa_of(ebpf_ctx *ctx);

#endif
