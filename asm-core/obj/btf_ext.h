/* btf_ext.h - .BTF.ext: what is known of single instructions - their source lines, the types of
 * functions, and the CO-RE relocations. The records live in the object's sections (object.h).
 * Source: Documentation/bpf/btf.rst, ".BTF.ext section". */
#ifndef EB_BTF_EXT_H
#define EB_BTF_EXT_H

#include "btf.h"

/* Fill the sections' records and obj->ext_order from .BTF.ext, if there is one; a part of
 * eb_object_index, when obj->btf is read. A damaged one is ignored as a whole, with a warning. */
void eb_btf_ext_read(ebpf_object *obj);

/* The records as .BTF.ext in the byte order of `btf`, which their strings enter: so this comes
 * before eb_btf_write. Producers push records to sections in any order; here they are sorted, and
 * where a section has functions but no lines, lines come from where its instructions were written
 * (eb_section.locs). */
void eb_btf_ext_write(ebpf_object *obj, eb_btf *btf, eb_buf *out);

/* The object gets both: `btf` as its section .BTF and, when there are records, .BTF.ext. */
void eb_btf_store(ebpf_object *obj, eb_btf *btf);

/* The line that the instruction at `offset` bytes comes from, or NULL. */
const eb_line *eb_line_of(const eb_section *section, uint64_t offset);
/* Its text without the white space around it. */
eb_str eb_line_text(const eb_line *line);
/* The CO-RE relocation of the instruction at `offset`, or NULL; there is one at most. */
const eb_core_relo *eb_core_of(const eb_section *section, uint64_t offset);
/* The BTF type of the function that starts at `offset`, or 0. */
uint32_t eb_func_type_of(const eb_section *section, uint64_t offset);

#endif
