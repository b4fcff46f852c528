/* raw_btf.h - BTF written down as `bpftool btf dump` prints it (and bpfc's --format raw), so that a
 * test can be read: a line per type, a line for each of its members below it,
 *
 *     [1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
 *     [2] STRUCT 'pair' size=8 vlen=2
 *             'first' type_id=1 bits_offset=0
 *             'second' type_id=1 bits_offset=32
 *
 * Ids must ascend from 1, or from where the base ends; a name may be (anon). No variables and data
 * sections. */
#ifndef RAW_BTF_H
#define RAW_BTF_H

#include <stdlib.h>
#include <string.h>

#include "btf.h"

/* The number behind `key`, or 0. */
static inline int64_t raw_number(const char *line, const char *key) {
    const char *at = strstr(line, key);
    return at ? strtoll(at + strlen(key), NULL, 0) : 0;
}

static inline bool raw_has(const char *line, const char *text) {
    return strstr(line, text) != NULL;
}

static inline eb_str raw_name(const char *line) {
    const char *from = strchr(line, '\''), *to = from ? strchr(from + 1, '\'') : NULL;
    eb_str name = {from ? from + 1 : "", to ? (size_t)(to - from - 1) : 0};
    return eb_str_is(name, "(anon)") ? (eb_str){"", 0} : name;
}

static inline void raw_member(eb_btf *btf, eb_btf_kind kind, const char *line) {
    eb_str name = raw_name(line);
    uint32_t type = (uint32_t)raw_number(line, "type_id=");
    uint32_t offset = (uint32_t)raw_number(line, "bits_offset=");
    uint32_t bits = (uint32_t)raw_number(line, "bitfield_size=");
    if (kind == EB_BTF_FUNC_PROTO)
        eb_btf_add_param(btf, name, type);
    else if (kind == EB_BTF_ENUM || kind == EB_BTF_ENUM64)
        eb_btf_add_enumerator(btf, name, (uint64_t)raw_number(line, "val="));
    else if (bits)
        eb_btf_add_bitfield(btf, name, type, offset, bits);
    else
        eb_btf_add_member(btf, name, type, offset);
}

static inline eb_btf_kind raw_kind(const char *line) {
    static const char *const names[EB_BTF_KINDS] = {
#define BTF(id, number, own, each) [EB_BTF_##id] = #id,
#include "btf.def"
    };
    const char *at = strstr(line, "] ");
    for (unsigned kind = 1; at && kind < EB_BTF_KINDS; kind++) {
        size_t length = strlen(names[kind]);
        if (strncmp(at + 2, names[kind], length) == 0 && at[2 + length] == ' ')
            return (eb_btf_kind)kind;
    }
    return EB_BTF_VOID;
}

static inline void raw_type(eb_btf *btf, eb_btf_kind kind, const char *line) {
    eb_str name = raw_name(line);
    uint32_t size = (uint32_t)raw_number(line, " size="), linkage;
    uint32_t type = (uint32_t)raw_number(line, " type_id=");
    switch (kind) {
    case EB_BTF_INT:
        eb_btf_add_int(btf, name, size,
                       raw_has(line, "=SIGNED") ? EB_BTF_SIGNED
                       : raw_has(line, "=BOOL") ? EB_BTF_BOOL
                       : raw_has(line, "=CHAR") ? EB_BTF_CHAR
                                                : 0);
        break;
    case EB_BTF_FLOAT:
        eb_btf_add_float(btf, name, size);
        break;
    case EB_BTF_ARRAY:
        eb_btf_add_array(btf, type, (uint32_t)raw_number(line, "index_type_id="),
                         (uint32_t)raw_number(line, "nr_elems="));
        break;
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        eb_btf_add_record(btf, kind, name, size);
        break;
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        eb_btf_add_enum(btf, kind, name, size, raw_has(line, "=SIGNED"));
        break;
    case EB_BTF_FUNC_PROTO:
        eb_btf_add_proto(btf, (uint32_t)raw_number(line, "ret_type_id="));
        break;
    case EB_BTF_FUNC:
        linkage = raw_has(line, "=extern") ? EB_BTF_EXTERN : EB_BTF_STATIC;
        eb_btf_add_func(btf, name, type, linkage);
        break;
    case EB_BTF_DECL_TAG:
        eb_btf_add_decl_tag(btf, name, type, (int32_t)raw_number(line, "component_idx="));
        break;
    case EB_BTF_FWD:
        eb_btf_add_ref(btf, kind, name, raw_has(line, "=union"));
        break;
    default:
        eb_btf_add_ref(btf, kind, name, type);
    }
}

/* What the lines say, as the bytes of .BTF in `out`; the BTF, or NULL where a line says nothing. */
static inline eb_btf *raw_btf(ebpf_ctx *ctx, eb_str lines, const eb_btf *base, bool big,
                              eb_buf *out) {
    eb_arena *arena = &ctx->arena;
    eb_btf *btf = base ? eb_btf_new_split(arena, base) : eb_btf_new(arena, big);
    eb_btf_kind kind = EB_BTF_VOID;
    for (size_t at = 0, end; at < lines.len; at = end + 1) {
        for (end = at; end < lines.len && lines.at[end] != '\n';)
            end++;
        eb_str line = eb_str_copy(arena, (eb_str){lines.at + at, end - at});
        if (!line.len)
            continue;
        if (line.at[0] != '[' && kind) {
            raw_member(btf, kind, line.at);
            continue;
        }
        kind = raw_kind(line.at);
        if (!kind || raw_number(line.at, "[") != (int64_t)btf->count)
            return NULL;
        raw_type(btf, kind, line.at);
    }
    eb_btf_write(btf, out);
    return btf;
}

#endif
