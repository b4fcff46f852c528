/* btf_read.c - the bytes of .BTF to the model, in either byte order, trusting nothing.
 *
 * Read at once or type by type. For those who look at a few types of a large BTF only, opening it
 * finds where types start and that they lie within it, so that nothing that is asked of it reads
 * elsewhere; eb_btf_check tells the rest of one type.
 *
 * At once: three passes over the types. The first looks at each alone and keeps only the largest
 * string offset and type id that anything mentions; the second notes where types start; the third
 * looks at those few kinds that may not refer to just any type. When a largest number is too large,
 * the one who mentioned it is looked for: a sound file does not pay for messages. Sources: btf.rst,
 * the kernel's kernel/bpf/btf.c (which kind may refer to which). */
#include "btf_index.h"

#include <string.h>

/* A name longer than this is damage; it also bounds the time spent in looking for its end. */
enum { MAGIC = 0xeb9f, HEADER = 24, NAME_MOST = 16384 };

/* The largest string offset and type id that somebody mentions. */
typedef struct mentions {
    uint32_t name, type;
} mentions;

typedef struct reader {
    ebpf_ctx *ctx;
    eb_str input;
    const eb_btf *btf;
    mentions most;
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

/* ---- the header ---- */

static bool lies_within(uint64_t offset, uint64_t length, uint64_t size) {
    return offset <= size && length <= size - offset;
}

static int read_order(reader *r, eb_btf *btf, const uint8_t *bytes) {
    btf->big = bytes[0] == MAGIC >> 8;
    if (eb_get16(bytes, btf->big) != MAGIC)
        return damaged(r, "it starts with 0x%02x%02x, not with the magic number 0xeb9f", bytes[0],
                       bytes[1]);
    if (btf->base && btf->base->big != btf->big)
        return damaged(r, "its byte order is not that of its base");
    if (bytes[2] != 1)
        return damaged(r, "version %u is unknown (1 is read)", bytes[2]);
    return EBPF_OK;
}

static int read_header(reader *r, eb_btf *btf, const uint8_t *bytes, size_t size) {
    if (size < HEADER)
        return damaged(r, "%zu bytes are less than its header", size);
    if (read_order(r, btf, bytes))
        return EBPF_E_INPUT;
    bool big = btf->big;
    uint32_t header = eb_get32(bytes + 4, big);
    uint32_t type_at = eb_get32(bytes + 8, big), type_len = eb_get32(bytes + 12, big);
    uint32_t str_at = eb_get32(bytes + 16, big), str_len = eb_get32(bytes + 20, big);
    if (header < HEADER || header > size)
        return damaged(r, "its header has %u bytes, of %zu", header, size);
    if (type_at % 4 || !lies_within(type_at, type_len, size - header))
        return damaged(r, "its types (%u bytes at %u) do not lie within it", type_len, type_at);
    if (!lies_within(str_at, str_len, size - header))
        return damaged(r, "its strings (%u bytes at %u) do not lie within it", str_len, str_at);
    const char *strings = (const char *)bytes + header + str_at;
    if (str_len ? strings[str_len - 1] || (!btf->base && strings[0]) : !btf->base)
        return damaged(r, "its strings do not start and end with NUL");
    if (str_len > UINT32_MAX - btf->string_base)
        return damaged(r, "its strings and those of its base are more than 4 GiB");
    btf->types = bytes + header + type_at;
    btf->types_size = type_len;
    btf->strings = strings;
    btf->strings_size = str_len;
    return EBPF_OK;
}

/* Whether a string is longer than names are; looks at a few bytes in every NAME_MOST. */
static bool has_long_string(const eb_btf *btf) {
    size_t at = 0;
    while (btf->strings_size - at >= NAME_MOST) {
        size_t end = at + NAME_MOST - 1;
        while (end > at && btf->strings[end])
            end--;
        if (btf->strings[end])
            return true;
        at = end + 1;
    }
    return false;
}

/* ---- each type alone ---- */

/* What the head and the words behind it say of themselves; NULL when it is sound. */
static const char *own_fault(uint32_t kind, uint32_t size, uint32_t low, uint32_t extra) {
    uint32_t bits = extra & 0xff, shift = extra >> 16 & 0xff;
    switch (kind) {
    case EB_BTF_INT:
        return size > 16                 ? "an integer has up to 16 bytes"
               : bits > size * 8         ? "an integer has more bits than its bytes"
               : bits + shift > size * 8 ? "an integer's bits lie outside of it"
                                         : NULL;
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        if (!size && !low)
            return NULL; /* declared only: `enum e;` */
        return !size || size > 8 || (size & (size - 1)) ? "an enumeration has 1, 2, 4 or 8 bytes"
                                                        : NULL;
    case EB_BTF_FLOAT:
        return size != 2 && size != 4 && size != 8 && size != 12 && size != 16
                   ? "a float has 2, 4, 8, 12 or 16 bytes"
                   : NULL;
    case EB_BTF_VAR:
        return extra > EB_BTF_EXTERN ? "a variable has an unknown linkage" : NULL;
    case EB_BTF_FUNC:
        return low > EB_BTF_EXTERN ? "a function has an unknown linkage" : NULL;
    default:
        return NULL;
    }
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* Members, parameters, enumerators: a name at the start of each and, but for enumerators, a type
 * behind it. */
static mentions scan_named(const uint8_t *at, const uint8_t *end, uint32_t each, bool typed,
                           bool big) {
    mentions all = {0};
    for (; at < end; at += each) {
        all.name = larger(all.name, eb_get32(at, big));
        all.type = larger(all.type, eb_get32(at + 4, big));
    }
    return (mentions){all.name, typed ? all.type : 0};
}

static mentions scan_variables(const uint8_t *at, const uint8_t *end, bool big) {
    mentions all = {0};
    for (; at < end; at += 12)
        all.type = larger(all.type, eb_get32(at, big));
    return all;
}

/* The number of the first member that starts behind the end of its record, or `count`. */
static uint32_t first_outside(const uint8_t *at, uint32_t count, bool kind_flag, uint32_t size,
                              bool big) {
    uint32_t mask = kind_flag ? 0xffffff : UINT32_MAX, i = 0;
    uint64_t most = (uint64_t)size * 8;
    while (i < count && (eb_get32(at + 12 * (size_t)i + 8, big) & mask) <= most)
        i++;
    return i;
}

static bool refers(uint32_t kind) {
    const uint32_t kinds = EB_BTF_IS(EB_BTF_PTR) | EB_BTF_IS(EB_BTF_TYPEDEF) |
                           EB_BTF_IS(EB_BTF_VOLATILE) | EB_BTF_IS(EB_BTF_CONST) |
                           EB_BTF_IS(EB_BTF_RESTRICT) | EB_BTF_IS(EB_BTF_FUNC) |
                           EB_BTF_IS(EB_BTF_FUNC_PROTO) | EB_BTF_IS(EB_BTF_VAR) |
                           EB_BTF_IS(EB_BTF_DECL_TAG) | EB_BTF_IS(EB_BTF_TYPE_TAG);
    return kinds >> kind & 1;
}

/* The bytes of the type at `at`, of which `left` are there. */
static int measure(reader *r, const uint8_t *at, size_t left, uint32_t id, size_t *bytes) {
    if (left < EB_BTF_HEAD)
        return damaged(r, "type %u is cut off", id);
    uint32_t info = eb_get32(at + 4, r->btf->big), kind = info >> 24 & 31;
    if (kind == EB_BTF_VOID || kind >= EB_BTF_KINDS)
        return damaged(r, "type %u has the unknown kind %u", id, kind);
    eb_btf_layout layout = eb_btf_layouts[kind];
    *bytes = EB_BTF_HEAD + layout.own + (size_t)layout.each * (info & 0xffff);
    return left < *bytes ? damaged(r, "type %u is cut off", id) : EBPF_OK;
}

/* One type of `size` bytes, as measured. */
static int scan_type(reader *r, const uint8_t *at, size_t size, uint32_t id) {
    bool big = r->btf->big;
    uint32_t info = eb_get32(at + 4, big), value = eb_get32(at + 8, big);
    uint32_t kind = info >> 24 & 31, low = info & 0xffff;
    eb_btf_layout layout = eb_btf_layouts[kind];
    const uint8_t *body = at + EB_BTF_HEAD, *end = at + size;
    mentions inside = {0};
    const char *fault = NULL;
    uint32_t sound = low;
    switch (kind) {
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        sound = first_outside(body, low, info >> 31, value, big);
        inside = scan_named(body, end, 12, true, big);
        break;
    case EB_BTF_FUNC_PROTO:
        inside = scan_named(body, end, 8, true, big);
        break;
    case EB_BTF_DATASEC:
        inside = scan_variables(body, end, big);
        break;
    case EB_BTF_ARRAY:
        inside.type = larger(eb_get32(body, big), eb_get32(body + 4, big));
        break;
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        inside = scan_named(body, end, layout.each, false, big);
        fault = own_fault(kind, value, low, 0);
        break;
    default:
        fault = own_fault(kind, value, low, layout.own ? eb_get32(body, big) : 0);
    }
    if (fault)
        return damaged(r, "type %u: %s", id, fault);
    if (sound < low)
        return damaged(r, "member %u of type %u lies outside of its %u bytes", sound, id, value);
    r->most.name = larger(r->most.name, larger(inside.name, eb_get32(at, big)));
    r->most.type = larger(r->most.type, larger(inside.type, refers(kind) ? value : 0));
    return EBPF_OK;
}

/* Fills offsets. */
static int scan(reader *r, eb_btf *btf) {
    uint32_t count = 0;
    for (size_t at = 0, size = 0; at < btf->types_size; at += size, count++) {
        if (count == UINT32_MAX - btf->first)
            return damaged(r, "it and its base have too many types");
        const uint8_t *type = btf->types + at;
        if (measure(r, type, btf->types_size - at, btf->first + count, &size) ||
            scan_type(r, type, size, btf->first + count))
            return EBPF_E_INPUT;
    }
    btf->offsets.at = eb_alloc_array(&r->ctx->arena, count, sizeof *btf->offsets.at);
    btf->offsets.len = btf->offsets.cap = count;
    btf->count = btf->first + count;
    const uint8_t *head = btf->types;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t info = eb_get32(head + 4, btf->big);
        eb_btf_layout layout = eb_btf_layouts[info >> 24 & 31];
        btf->offsets.at[i] = (uint32_t)(head - btf->types);
        head += EB_BTF_HEAD + layout.own + (size_t)layout.each * (info & 0xffff);
    }
    return EBPF_OK;
}

/* ---- who mentioned what is not there ---- */

static bool is_name(const reader *r, uint32_t offset) {
    eb_str name;
    return eb_btf_string(r->btf, offset, &name) && name.len < NAME_MOST;
}

static bool is_type(const reader *r, uint32_t id) {
    return id < r->btf->count;
}

static int check_member(reader *r, uint32_t id, const eb_btf_type *type, uint32_t i) {
    const uint8_t *at = type->body + (size_t)eb_btf_layouts[type->kind].each * i;
    uint32_t first = eb_get32(at, r->btf->big), second = eb_get32(at + 4, r->btf->big);
    bool named = type->kind != EB_BTF_DATASEC;
    bool typed = type->kind != EB_BTF_ENUM && type->kind != EB_BTF_ENUM64;
    uint32_t to = named ? second : first;
    if (named && !is_name(r, first))
        return damaged(r, "the name of member %u of type %u lies outside of the strings", i, id);
    if (typed && !is_type(r, to))
        return damaged(r, "member %u of type %u refers to type %u of %u", i, id, to,
                       r->btf->count - 1);
    return EBPF_OK;
}

static int check_mentions(reader *r, uint32_t id) {
    if (!is_name(r, eb_get32(eb_btf_head(r->btf, id), r->btf->big)))
        return damaged(r, "the name of type %u lies outside of the strings", id);
    eb_btf_type type = eb_btf_at(r->btf, id);
    uint32_t most = r->btf->count - 1;
    bool array = type.kind == EB_BTF_ARRAY;
    if ((refers(type.kind) || array) && !is_type(r, type.size_or_type))
        return damaged(r, "type %u refers to type %u of %u", id, type.size_or_type, most);
    if (array && !is_type(r, type.index_type))
        return damaged(r, "array type %u has index type %u of %u", id, type.index_type, most);
    for (uint32_t i = 0; i < type.count; i++)
        if (check_member(r, id, &type, i))
            return EBPF_E_INPUT;
    return EBPF_OK;
}

static int check_all_mentions(reader *r) {
    bool names = r->most.name < r->btf->string_base + r->btf->strings_size,
         types = is_type(r, r->most.type);
    bool is_long = false;
    for (const eb_btf *btf = r->btf; btf; btf = btf->base)
        is_long |= btf->has_long_string;
    for (uint32_t id = r->btf->first; (!names || !types || is_long) && id < r->btf->count; id++)
        if (check_mentions(r, id))
            return EBPF_E_INPUT;
    return EBPF_OK;
}

/* ---- kinds that may not refer to just any type ---- */

/* Members, parameters and the like of what a declaration tag names. */
static bool has_component(const eb_btf *btf, const eb_btf_type *tag) {
    int32_t component = (int32_t)tag->extra;
    eb_btf_type of = eb_btf_at(btf, tag->size_or_type);
    if (component < 0)
        return component == -1;
    if (of.kind == EB_BTF_FUNC)
        of = eb_btf_at(btf, of.size_or_type);
    return (uint32_t)component < of.count;
}

static int check_datasec(reader *r, uint32_t id) {
    eb_btf_type type = eb_btf_at(r->btf, id);
    for (uint32_t i = 0; i < type.count; i++) {
        eb_btf_kind kind = eb_btf_kind_of(r->btf, eb_btf_member_at(r->btf, &type, i).type);
        if (kind != EB_BTF_VAR && kind != EB_BTF_FUNC)
            return damaged(r, "entry %u of data section type %u is no variable or function", i, id);
    }
    return EBPF_OK;
}

/* Whether typedefs, qualifiers, arrays and variables on top of one another end somewhere. */
static bool ends(const eb_btf *btf, uint32_t id) {
    const uint32_t links = EB_BTF_IS(EB_BTF_TYPEDEF) | EB_BTF_IS(EB_BTF_CONST) |
                           EB_BTF_IS(EB_BTF_VOLATILE) | EB_BTF_IS(EB_BTF_RESTRICT) |
                           EB_BTF_IS(EB_BTF_TYPE_TAG) | EB_BTF_IS(EB_BTF_ARRAY) |
                           EB_BTF_IS(EB_BTF_VAR);
    for (uint32_t depth = 0; depth <= EB_BTF_DEEPEST; depth++) {
        const uint8_t *at = eb_btf_head(btf, id);
        uint32_t kind = at ? eb_get32(at + 4, btf->big) >> 24 & 31 : EB_BTF_VOID;
        if (!(links >> kind & 1))
            return true;
        id = eb_get32(at + (kind == EB_BTF_ARRAY ? EB_BTF_HEAD : 8), btf->big);
    }
    return false;
}

static int check_type(reader *r, uint32_t id) {
    const eb_btf *btf = r->btf;
    const uint8_t *at = btf->types + btf->offsets.at[id - btf->first];
    eb_btf_type tag;
    switch (eb_get32(at + 4, btf->big) >> 24 & 31) {
    case EB_BTF_FUNC:
        if (eb_btf_kind_of(btf, eb_get32(at + 8, btf->big)) != EB_BTF_FUNC_PROTO)
            return damaged(r, "function type %u does not refer to a prototype", id);
        return EBPF_OK;
    case EB_BTF_DATASEC:
        return check_datasec(r, id);
    case EB_BTF_DECL_TAG:
        tag = eb_btf_at(btf, id);
        if (!has_component(btf, &tag))
            return damaged(r, "tag %u names component %d, which type %u does not have", id,
                           (int)tag.extra, tag.size_or_type);
        return EBPF_OK;
    case EB_BTF_TYPEDEF:
    case EB_BTF_CONST:
    case EB_BTF_VOLATILE:
    case EB_BTF_RESTRICT:
    case EB_BTF_TYPE_TAG:
    case EB_BTF_ARRAY:
    case EB_BTF_VAR:
        if (!ends(btf, id))
            return damaged(r, "type %u contains itself, or is nested deeper than %u levels", id,
                           EB_BTF_DEEPEST);
        return EBPF_OK;
    default:
        return EBPF_OK;
    }
}

/* ---- both ways of reading ---- */

static eb_btf *new_btf(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size,
                       const eb_btf *base) {
    eb_btf *btf = eb_alloc(&ctx->arena, sizeof *btf);
    btf->arena = &ctx->arena;
    btf->name = eb_str_copy(&ctx->arena, input);
    btf->base = base;
    btf->first = base ? base->count : 1;
    btf->string_base = base ? base->string_base + (uint32_t)base->strings_size : 0;
    btf->input = bytes;
    btf->input_size = size;
    btf->index = eb_alloc(&ctx->arena, sizeof *btf->index);
    return btf;
}

int eb_btf_read(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size, const eb_btf *base,
                eb_btf **out) {
    eb_btf *btf = new_btf(ctx, input, bytes, size, base);
    reader r = {.ctx = ctx, .input = input, .btf = btf};
    if (read_header(&r, btf, bytes, size))
        return EBPF_E_INPUT;
    btf->has_long_string = has_long_string(btf);
    if (scan(&r, btf) || check_all_mentions(&r))
        return EBPF_E_INPUT;
    for (uint32_t id = btf->first; id < btf->count; id++)
        if (check_type(&r, id))
            return EBPF_E_INPUT;
    *out = btf;
    return EBPF_OK;
}

int eb_btf_read_unchecked(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size,
                          const eb_btf *base, eb_btf **out) {
    eb_btf *btf = new_btf(ctx, input, bytes, size, base);
    reader r = {.ctx = ctx, .input = input, .btf = btf};
    if (read_header(&r, btf, bytes, size))
        return EBPF_E_INPUT;
    uint32_t most = (uint32_t)(btf->types_size / EB_BTF_HEAD), count = 0;
    if (most > UINT32_MAX - btf->first)
        return damaged(&r, "it and its base have too many types");
    /* As many as there can be; the pages behind those that there are stay untouched. */
    uint32_t *offsets = eb_alloc_array(&ctx->arena, most, sizeof *offsets);
    for (size_t at = 0, type = 0; at < btf->types_size; at += type, count++) {
        if (measure(&r, btf->types + at, btf->types_size - at, btf->first + count, &type))
            return EBPF_E_INPUT;
        offsets[count] = (uint32_t)at;
    }
    btf->offsets.at = offsets;
    btf->offsets.len = btf->offsets.cap = count;
    btf->count = btf->first + count;
    *out = btf;
    return EBPF_OK;
}

int eb_btf_check(ebpf_ctx *ctx, const eb_btf *btf, uint32_t id) {
    while (id < btf->first && btf->base)
        btf = btf->base;
    reader r = {.ctx = ctx, .input = btf->name, .btf = btf};
    const uint8_t *at = eb_btf_head(btf, id);
    size_t size;
    if (!at)
        return id ? damaged(&r, "there is no type %u", id) : EBPF_OK;
    return measure(&r, at, (size_t)(btf->types + btf->types_size - at), id, &size) ||
                   scan_type(&r, at, size, id) || check_mentions(&r, id) || check_type(&r, id)
               ? EBPF_E_INPUT
               : EBPF_OK;
}
