/* btf_align.h - what BTF does not say of a record's layout: which alignment C gives it, and whether
 * it is packed. Inferred as libbpf's dumper infers it, for the dumper and for the compiler alike.
 */
#ifndef EB_BTF_ALIGN_H
#define EB_BTF_ALIGN_H

#include "btf.h"

typedef struct eb_btf_aligns eb_btf_aligns;
struct eb_btf_aligns {
    const eb_btf *btf;
    eb_btf_aligns *base; /* that of the BTF it is split on, or NULL */
    uint8_t *known;      /* per own type: in bytes; 0: not computed */
    uint32_t depth;
    uint64_t steps; /* that are left */
    /* Why there is no answer, of which type: BTF can be built to take for ever. NULL: all is well.
     */
    const char *fault;
    uint32_t fault_id;
};

/* `base` is of btf->base; NULL makes one. */
eb_btf_aligns *eb_btf_aligns_new(eb_arena *arena, const eb_btf *btf, eb_btf_aligns *base);
/* The alignment that a type needs in C, in bytes; 0 when it has none, or after a fault. */
uint32_t eb_btf_align(eb_btf_aligns *aligns, uint32_t id);
/* The largest that a member of the record asks for. */
uint32_t eb_btf_align_of_members(eb_btf_aligns *aligns, const eb_btf_type *record);
/* Whether C would lay the record out otherwise unless it is packed. */
bool eb_btf_is_packed(eb_btf_aligns *aligns, const eb_btf_type *record);

#endif
