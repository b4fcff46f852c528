/* assemble.h - text to Object and back. */
#ifndef EB_ASSEMBLE_H
#define EB_ASSEMBLE_H

#include "object.h"

/* 0, or EBPF_E_INPUT with diagnostics. `text` must outlive the context. */
int eb_assemble(ebpf_ctx *ctx, eb_str name, eb_str text, enum ebpf_dialect dialect, bool big,
                ebpf_object **out);
void eb_disassemble(const ebpf_object *obj, enum ebpf_dialect dialect, uint32_t flags, eb_buf *out);

#endif
