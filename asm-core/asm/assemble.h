/* assemble.h - text to Object and back. */
#ifndef EB_ASSEMBLE_H
#define EB_ASSEMBLE_H

#include "object.h"

/* 0, or EBPF_E_INPUT with diagnostics. `text` must outlive the context. */
int eb_assemble(ebpf_ctx *ctx, eb_str name, eb_str text, enum ebpf_dialect dialect, bool big,
                ebpf_object **out);

/* The same in steps, for whoever makes one object of many texts, as a compiler does of its inline
 * assembly: each goes on in the section and with the labels, macros and symbols that the one before
 * has left. */
typedef struct eb_asm eb_asm;

eb_asm *eb_asm_new(ebpf_ctx *ctx, eb_str name, enum ebpf_dialect dialect, bool big);
/* Statements into the current section; what is wrong is among the context's diagnostics. */
void eb_asm_text(eb_asm *as, eb_str name, eb_str text);
/* Resolve what is open. 0, or EBPF_E_INPUT when there were errors since eb_asm_new. */
int eb_asm_finish(eb_asm *as, ebpf_object **out);

/* What a piece refers to and does not have. */
typedef enum eb_piece_ref_kind {
    EB_REF_JUMP,
    EB_REF_JUMP32,
    EB_REF_CALL,
    EB_REF_IMM64, /* a 64-bit load */
    EB_REF_DATA   /* `size` bytes of data */
} eb_piece_ref_kind;

typedef struct eb_piece_ref {
    uint8_t kind, size;
    uint32_t offset; /* of the instruction or data, in the piece */
    eb_str name;
    int64_t addend;
    eb_loc lo, hi;
} eb_piece_ref;

typedef struct eb_piece_label {
    eb_str name;
    uint32_t offset;
} eb_piece_label;

/* Assembly that stands inside of code which something else makes. */
typedef struct eb_piece {
    eb_buf bytes;
    EB_VEC(eb_piece_ref) refs;
    EB_VEC(eb_piece_label) labels;
    uint32_t start; /* the user's: where it stands */
} eb_piece;

/* Statements in the llvm dialect as such a piece, in no section of their own. `lo` to `hi` is what
 * they come from, where diagnostics lead back to. False after diagnostics. */
bool eb_asm_piece(ebpf_ctx *ctx, eb_str name, eb_str text, bool big, eb_loc lo, eb_loc hi,
                  eb_piece *out);

void eb_disassemble(const ebpf_object *obj, enum ebpf_dialect dialect, uint32_t flags, eb_buf *out);

#endif
