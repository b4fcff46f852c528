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

void eb_disassemble(const ebpf_object *obj, enum ebpf_dialect dialect, uint32_t flags, eb_buf *out);

#endif
