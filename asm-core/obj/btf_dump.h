/* btf_dump.h - BTF as text: C, a line per type, JSON. */
#ifndef EB_BTF_DUMP_H
#define EB_BTF_DUMP_H

#include "btf.h"

/* As C that compiles to the same layout, with all that `roots` need, or everything when there are
 * none. Returns 0, or EBPF_E_INPUT with a diagnostic when no C has that layout. */
int eb_btf_dump_c(ebpf_ctx *ctx, const eb_btf *btf, const uint32_t *roots, uint32_t root_count,
                  eb_buf *out);
/* What stands around it: the guard, preserve_access_index for all records, __ksym and __weak. */
extern const char eb_btf_c_prologue[], eb_btf_c_epilogue[];
/* The types themselves, or all without those of the base, as bpftool's raw format has them. */
void eb_btf_dump_raw(const eb_btf *btf, const uint32_t *roots, uint32_t root_count, eb_buf *out);
/* The same as { "types": [{ "id", "kind", "name", ... }] }, with bpftool's keys. What is above 2^53
 * is a string. */
void eb_btf_dump_json(const eb_btf *btf, const uint32_t *roots, uint32_t root_count, eb_buf *out);

#endif
