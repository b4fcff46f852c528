/* dis.h - what the two listings, dis.c and objdump.c, share; internal to asm/. */
#ifndef EB_DIS_H
#define EB_DIS_H

#include "dialect.h"
#include "object.h"

/* What stands where in one section. */
typedef struct eb_view {
    uint32_t *symbols; /* by value: those with names */
    uint32_t symbol_count;
    uint32_t *relocs; /* by offset */
    uint32_t reloc_count;
    bool anchored; /* a section symbol with an offset that no label has is relocated against */
} eb_view;

/* A view per section. */
eb_view *eb_views_of(const ebpf_object *obj);

static inline bool eb_section_is_code(const eb_section *section) {
    return (section->flags & EB_SHF_EXECINSTR) && section->type == EB_SHT_PROGBITS;
}

/* The instruction at `offset` of a code section; false when its bytes are none. */
bool eb_dis_decode(const ebpf_object *obj, const eb_section *section, uint64_t offset,
                   ebpf_insn *insn, eb_op *op);

/* dis_names.c: how the text calls each symbol; empty for those that it does not name. Names that
 * two symbols have, and those that cannot be written, get another one, and `renamed` tells the
 * assembler what it stands for. */
typedef struct eb_dis_names {
    eb_str *at;       /* by symbol */
    uint8_t *renamed; /* by symbol */
    bool has_functions;
} eb_dis_names;

eb_dis_names eb_dis_name_symbols(const ebpf_object *obj);
bool eb_dis_is_plain(eb_str name);
/* Whether it can stand between quotes as it is: names have no escapes. */
bool eb_dis_is_quotable(eb_str name);
/* `text` as a string literal of the assembler. */
void eb_dis_put_quoted(eb_buf *out, eb_str text);

/* `text` with spaces for what would end a comment. */
void eb_dis_put_comment(eb_buf *out, eb_str text);

/* objdump.c: the text of llvm-objdump -d. */
void eb_objdump(const ebpf_object *obj, uint32_t flags, eb_buf *out);

/* objdump_core.c: a CO-RE relocation as llvm-objdump -r has it: <byte_off> [7] struct s::a (0:0).
 */
void eb_objdump_core(const eb_btf *btf, const eb_core_relo *relo, eb_buf *out);

#endif
