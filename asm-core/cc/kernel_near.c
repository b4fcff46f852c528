/* kernel_near.c - the name of a kernel's BTF that somebody may have meant: the whole BTF is gone
 * through for each name that nobody knows, since only the names that the unit mentions are kept. */
#include "kernel.h"

static void try_name(const eb_btf *btf, const uint8_t *at, eb_near *near) {
    eb_str name;
    if (eb_btf_string(btf, eb_get32(at, btf->big), &name) && name.len)
        eb_near_try(near, name, EB_RANK_KERNEL);
}

static void try_enumerators(const eb_btf *btf, const uint8_t *head, eb_near *near) {
    uint32_t info = eb_get32(head + 4, btf->big);
    uint32_t each = eb_btf_layouts[info >> 24 & 31].each;
    const uint8_t *at = head + EB_BTF_HEAD;
    for (uint32_t i = 0; i < (info & 0xffff); i++, at += each)
        try_name(btf, at, near);
}

/* A function that programs may call is tagged as such. */
static void try_kfunc(const eb_btf *btf, const uint8_t *head, eb_near *near) {
    eb_str tag;
    const uint8_t *func = eb_btf_head(btf, eb_get32(head + 8, btf->big));
    if (func && eb_btf_string(btf, eb_get32(head, btf->big), &tag) && eb_str_is(tag, "bpf_kfunc"))
        try_name(btf, func, near);
}

static void try_type(const eb_kernel *k, const eb_btf *btf, const uint8_t *head, eb_meaning meaning,
                     eb_near *near) {
    uint32_t kind = eb_get32(head + 4, btf->big) >> 24 & 31;
    bool is_enum = kind == EB_BTF_ENUM || kind == EB_BTF_ENUM64;
    if (meaning == EB_MEANT_TAG) {
        if (kind == EB_BTF_STRUCT || kind == EB_BTF_UNION)
            try_name(btf, head, near);
    } else if (meaning == EB_MEANT_TYPE) {
        if (kind == EB_BTF_TYPEDEF)
            try_name(btf, head, near);
    } else if (is_enum) {
        try_enumerators(btf, head, near);
    } else if (kind == EB_BTF_DECL_TAG && k->kfuncs) {
        try_kfunc(btf, head, near);
    }
}

void eb_kernel_near(const eb_unit *u, eb_meaning meaning, eb_near *near) {
    const eb_kernel *k = u->kernel;
    for (uint32_t n = 0; k && n < k->count; n++) {
        const eb_btf *btf = k->btfs[n].btf;
        for (uint32_t i = 0; i < btf->offsets.len; i++)
            try_type(k, btf, btf->types + btf->offsets.at[i], meaning, near);
    }
}
