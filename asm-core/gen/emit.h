/* emit.h - what emit.c, inline.c, link.c and data.c share: code and assembly on their way into the
 * object. */
#ifndef EB_EMIT_H
#define EB_EMIT_H

#include "assemble.h"
#include "mach.h"

/* A call of a function or a 64-bit load of an address; functions have places when all of them are
 * written. */
typedef struct eb_link {
    uint32_t section, offset; /* of the instruction, in bytes */
    uint32_t symbol;          /* of the unit */
    int64_t addend;
    bool calls;
    uint32_t from; /* the function that it is in */
} eb_link;

typedef struct eb_links {
    EB_VEC(eb_link) links;
    uint32_t unique; /* number of assemblies so far: %= */
} eb_links;

/* How templates' labels (%l) of a function's blocks are called for the assembler. */
#define EB_BLOCK_LABEL ".Lblock."
/* And symbols that have no name. */
#define EB_SYMBOL_LABEL ".Lsymbol."

void eb_gen_emit(eb_mfn *mfn, ebpf_object *obj, eb_links *links);

/* inline.c: the bytes of an assembly whose operands have registers; it stands at the end of, or in,
 * `block`. Diagnostics are about the C text. */
void eb_piece_make(const eb_mfn *mfn, const eb_masm *masm, const eb_mblock *block, uint32_t unique,
                   eb_piece *out);
/* A name outside of the assembly, which stands at `start` bytes of the section. */
void eb_piece_link(eb_mfn *mfn, ebpf_object *obj, eb_links *links, uint32_t section, uint32_t start,
                   const eb_piece_ref *ref);

/* link.c: resolve all of them, in place or by relocations. */
void eb_link_all(eb_ir_unit *unit, ebpf_object *obj, const eb_links *links);
/* frame.c: in the symbols, how much stack functions take with what they call, and in the unit,
 * those that call themselves. `frames` is what each takes alone, by symbol. */
void eb_gen_chains(eb_ir_unit *unit, const eb_links *links, const uint32_t *frames);
/* The symbol of a section, made when it is new. */
uint32_t eb_gen_section_symbol(ebpf_object *obj, uint32_t section);

#endif
