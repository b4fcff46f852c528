/* btf_read.c - the bytes of .BTF to the model, in either byte order, trusting nothing.
 *
 * Two passes: the first takes every type with its members and checks what can be seen of it alone
 * (sizes, strings, that it lies within the section); the second checks what its references point
 * at, since they may point forwards. Circles are left in: the walks of btf.c are bounded.
 * Sources: btf.rst, the kernel's kernel/bpf/btf.c (which kind may refer to which). */
#include "btf.h"

#include <string.h>

/* A name longer than this is damage; it also bounds the time spent in looking for its end. */
enum { MAGIC = 0xeb9f, HEADER = 24, TYPE = 12, NAME_MOST = 16384, LAST_KIND = EB_BTF_ENUM64 };

typedef struct reader {
    ebpf_ctx *ctx;
    eb_str input;
    bool big;
    const uint8_t *types;
    size_t types_size, at; /* at: in types */
    const char *strings;   /* a copy; ends in NUL */
    size_t strings_size;
    eb_btf *btf;
} reader;

static int damaged(reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int damaged(reader *r, const char *format, ...) {
    eb_buf text = {.arena = &r->ctx->arena};
    va_list args;
    va_start(args, format);
    eb_buf_vfmt(&text, format, args);
    va_end(args);
    eb_buf_byte(&text, 0);
    eb_diag_input(r->ctx, EB_DIAG_BAD_BTF, r->input, -1, (const char *)text.at);
    return EBPF_E_INPUT;
}

static uint32_t take32(reader *r) {
    uint32_t value = eb_get32(r->types + r->at, r->big);
    r->at += 4;
    return value;
}

static bool take_string(reader *r, eb_str *out) {
    uint32_t offset = take32(r);
    if (offset >= r->strings_size)
        return false;
    const char *at = r->strings + offset;
    size_t left = r->strings_size - offset;
    const char *end = memchr(at, 0, left < NAME_MOST ? left : NAME_MOST);
    *out = (eb_str){at, end ? (size_t)(end - at) : 0};
    return end != NULL;
}

/* ---- the header ---- */

static bool lies_within(uint64_t offset, uint64_t length, uint64_t size) {
    return offset <= size && length <= size - offset;
}

static int read_header(reader *r, const uint8_t *bytes, size_t size) {
    if (size < HEADER)
        return damaged(r, "%zu bytes are less than its header", size);
    r->big = bytes[0] == MAGIC >> 8;
    if (eb_get16(bytes, r->big) != MAGIC)
        return damaged(r, "it starts with 0x%02x%02x, not with the magic number 0xeb9f", bytes[0],
                       bytes[1]);
    if (bytes[2] != 1)
        return damaged(r, "version %u is unknown (1 is read)", bytes[2]);
    uint32_t header = eb_get32(bytes + 4, r->big);
    uint32_t type_at = eb_get32(bytes + 8, r->big), type_len = eb_get32(bytes + 12, r->big);
    uint32_t str_at = eb_get32(bytes + 16, r->big), str_len = eb_get32(bytes + 20, r->big);
    if (header < HEADER || header > size)
        return damaged(r, "its header has %u bytes, of %zu", header, size);
    if (type_at % 4 || !lies_within(type_at, type_len, size - header))
        return damaged(r, "its types (%u bytes at %u) do not lie within it", type_len, type_at);
    if (!lies_within(str_at, str_len, size - header))
        return damaged(r, "its strings (%u bytes at %u) do not lie within it", str_len, str_at);
    const char *strings = (const char *)bytes + header + str_at;
    if (!str_len || strings[0] || strings[str_len - 1])
        return damaged(r, "its strings do not start and end with NUL");
    r->types = bytes + header + type_at;
    r->types_size = type_len;
    r->strings = eb_str_copy(&r->ctx->arena, (eb_str){strings, str_len}).at;
    r->strings_size = str_len;
    return EBPF_OK;
}

/* ---- types ---- */

/* Bytes behind the head of each kind: its own, and those of each member. */
static const struct {
    uint8_t own, each;
} layouts[LAST_KIND + 1] = {
    [EB_BTF_INT] = {4, 0},     [EB_BTF_ARRAY] = {12, 0},   [EB_BTF_STRUCT] = {0, 12},
    [EB_BTF_UNION] = {0, 12},  [EB_BTF_ENUM] = {0, 8},     [EB_BTF_FUNC_PROTO] = {0, 8},
    [EB_BTF_VAR] = {4, 0},     [EB_BTF_DATASEC] = {0, 12}, [EB_BTF_DECL_TAG] = {4, 0},
    [EB_BTF_ENUM64] = {0, 12},
};

static bool read_member(reader *r, const eb_btf_type *type, eb_btf_member *m) {
    bool named = true;
    if (type->kind != EB_BTF_DATASEC)
        named = take_string(r, &m->name);
    switch (type->kind) {
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        m->type = take32(r);
        m->offset = take32(r);
        break;
    case EB_BTF_ENUM: {
        uint32_t value = take32(r);
        m->value = type->kind_flag ? (uint64_t)(int64_t)(int32_t)value : value;
        break;
    }
    case EB_BTF_ENUM64:
        m->value = take32(r);
        m->value |= (uint64_t)take32(r) << 32;
        break;
    case EB_BTF_FUNC_PROTO:
        m->type = take32(r);
        break;
    case EB_BTF_DATASEC:
        m->type = take32(r);
        m->offset = take32(r);
        m->size = take32(r);
        break;
    default:
        break;
    }
    return named;
}

/* What a type says of itself, without looking at others; NULL when it is sound. */
static const char *own_fault(const eb_btf_type *t) {
    uint32_t bits = t->extra & 0xff, shift = t->extra >> 16 & 0xff, size = t->size_or_type;
    bool power = size && (size & (size - 1)) == 0;
    switch (t->kind) {
    case EB_BTF_INT:
        return size > 16                 ? "an integer has up to 16 bytes"
               : bits > size * 8         ? "an integer has more bits than its bytes"
               : bits + shift > size * 8 ? "an integer's bits lie outside of it"
                                         : NULL;
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        return !power || size > 8 ? "an enumeration has 1, 2, 4 or 8 bytes" : NULL;
    case EB_BTF_FLOAT:
        return size != 2 && size != 4 && size != 8 && size != 12 && size != 16
                   ? "a float has 2, 4, 8, 12 or 16 bytes"
                   : NULL;
    case EB_BTF_VAR:
        return t->extra > EB_BTF_EXTERN ? "a variable has an unknown linkage" : NULL;
    case EB_BTF_FUNC:
        return t->extra > EB_BTF_EXTERN ? "a function has an unknown linkage" : NULL;
    default:
        return NULL;
    }
}

static int read_type(reader *r) {
    uint32_t id = r->btf->types.len;
    size_t left = r->types_size - r->at;
    if (left < TYPE)
        return damaged(r, "type %u is cut off", id);
    eb_btf_type t = {.first = r->btf->members.len};
    bool named = take_string(r, &t.name);
    uint32_t info = take32(r), low = info & 0xffff;
    t.kind = info >> 24 & 31;
    t.kind_flag = info >> 31;
    t.size_or_type = take32(r);
    if (!named)
        return damaged(r, "the name of type %u lies outside of the strings", id);
    if (t.kind == EB_BTF_VOID || t.kind > LAST_KIND)
        return damaged(r, "type %u has the unknown kind %u", id, t.kind);
    uint32_t own = layouts[t.kind].own, each = layouts[t.kind].each;
    t.count = each ? low : 0;
    if (left - TYPE < own + (size_t)each * t.count)
        return damaged(r, "type %u is cut off", id);
    if (t.kind == EB_BTF_ARRAY) {
        t.size_or_type = take32(r);
        t.index_type = take32(r);
    }
    if (own)
        t.extra = take32(r);
    else if (t.kind == EB_BTF_FUNC)
        t.extra = low;
    const char *fault = own_fault(&t);
    if (fault)
        return damaged(r, "type %u: %s", id, fault);
    for (uint32_t i = 0; i < t.count; i++)
        if (!read_member(r, &t, EB_PUSH(&r->ctx->arena, &r->btf->members)))
            return damaged(r, "the name of member %u of type %u lies outside of the strings", i,
                           id);
    *EB_PUSH(&r->ctx->arena, &r->btf->types) = t;
    return EBPF_OK;
}

/* ---- references ---- */

static bool refers(uint8_t kind) {
    return kind != EB_BTF_VOID && kind != EB_BTF_INT && kind != EB_BTF_FLOAT &&
           kind != EB_BTF_STRUCT && kind != EB_BTF_UNION && kind != EB_BTF_ENUM &&
           kind != EB_BTF_ENUM64 && kind != EB_BTF_FWD && kind != EB_BTF_DATASEC;
}

static bool has_member_types(uint8_t kind) {
    return kind == EB_BTF_STRUCT || kind == EB_BTF_UNION || kind == EB_BTF_FUNC_PROTO ||
           kind == EB_BTF_DATASEC;
}

/* Members, parameters and the like of what a declaration tag names. */
static bool has_component(const eb_btf *btf, const eb_btf_type *tag) {
    int32_t component = (int32_t)tag->extra;
    const eb_btf_type *of = &btf->types.at[tag->size_or_type];
    if (component < 0)
        return component == -1;
    if (of->kind == EB_BTF_FUNC)
        of = &btf->types.at[of->size_or_type];
    return (uint32_t)component < of->count;
}

static int check_members(reader *r, uint32_t id) {
    const eb_btf *btf = r->btf;
    const eb_btf_type *t = &btf->types.at[id];
    if (!has_member_types(t->kind))
        return EBPF_OK;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t to = btf->members.at[t->first + i].type;
        if (to >= btf->types.len)
            return damaged(r, "member %u of type %u refers to type %u of %u", i, id, to,
                           btf->types.len - 1);
        uint8_t kind = btf->types.at[to].kind;
        if (t->kind == EB_BTF_DATASEC && kind != EB_BTF_VAR && kind != EB_BTF_FUNC)
            return damaged(r, "entry %u of data section type %u is no variable or function", i, id);
    }
    return EBPF_OK;
}

static int check_type(reader *r, uint32_t id) {
    const eb_btf *btf = r->btf;
    const eb_btf_type *t = &btf->types.at[id];
    if (refers(t->kind) && t->size_or_type >= btf->types.len)
        return damaged(r, "type %u refers to type %u of %u", id, t->size_or_type,
                       btf->types.len - 1);
    if (t->kind == EB_BTF_ARRAY && t->index_type >= btf->types.len)
        return damaged(r, "array type %u has index type %u of %u", id, t->index_type,
                       btf->types.len - 1);
    if (t->kind == EB_BTF_FUNC && btf->types.at[t->size_or_type].kind != EB_BTF_FUNC_PROTO)
        return damaged(r, "function type %u does not refer to a prototype", id);
    return check_members(r, id);
}

int eb_btf_read(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size, eb_btf **out) {
    reader r = {.ctx = ctx, .input = input};
    if (read_header(&r, bytes, size))
        return EBPF_E_INPUT;
    r.btf = eb_btf_new(&ctx->arena);
    while (r.at < r.types_size)
        if (read_type(&r))
            return EBPF_E_INPUT;
    for (uint32_t id = 1; id < r.btf->types.len; id++)
        if (check_type(&r, id))
            return EBPF_E_INPUT;
    for (uint32_t id = 1; id < r.btf->types.len; id++) {
        const eb_btf_type *t = &r.btf->types.at[id];
        if (t->kind == EB_BTF_DECL_TAG && !has_component(r.btf, t))
            return damaged(&r, "tag %u names component %d, which type %u does not have", id,
                           (int)t->extra, t->size_or_type);
    }
    *out = r.btf;
    return EBPF_OK;
}
