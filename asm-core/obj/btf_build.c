/* btf_build.c - adding types to a BTF, one at a time: each is appended to the bytes as the file has
 * it. What was read is copied at its first change; see btf.h. */
#include "btf_index.h"

enum { MOST_MEMBERS = 0xffff };

/* ---- the bytes ---- */

static eb_btf *new_btf(eb_arena *arena, bool big) {
    eb_btf *btf = eb_alloc(arena, sizeof *btf);
    btf->arena = arena;
    btf->name = EB_STR("BTF");
    btf->big = big;
    btf->first = btf->count = 1;
    btf->own_types.arena = btf->own_strings.arena = arena;
    btf->index = eb_alloc(arena, sizeof *btf->index);
    return btf;
}

/* The buffers may have moved, or grown. */
static void renew(eb_btf *btf) {
    btf->types = btf->own_types.at;
    btf->types_size = btf->own_types.len;
    btf->strings = (const char *)btf->own_strings.at;
    btf->strings_size = btf->own_strings.len;
}

/* From now on the bytes are its own. */
static void own(eb_btf *btf) {
    if (!btf->input)
        return;
    btf->input = NULL;
    btf->own_types = (eb_buf){.arena = btf->arena};
    btf->own_strings = (eb_buf){.arena = btf->arena};
    eb_buf_put(&btf->own_types, btf->types, btf->types_size);
    eb_buf_put(&btf->own_strings, btf->strings, btf->strings_size);
    renew(btf);
}

eb_btf *eb_btf_new(eb_arena *arena, bool big) {
    eb_btf *btf = new_btf(arena, big);
    eb_buf_byte(&btf->own_strings, 0);
    renew(btf);
    return btf;
}

eb_btf *eb_btf_new_split(eb_arena *arena, const eb_btf *base) {
    eb_btf *btf = new_btf(arena, base->big);
    btf->base = base;
    btf->first = btf->count = base->count;
    btf->string_base = base->string_base + (uint32_t)base->strings_size;
    return btf;
}

uint32_t eb_btf_add_string(eb_btf *btf, eb_str text) {
    if (!text.len)
        return 0;
    uint32_t offset = eb_btf_find_string(btf, text);
    if (offset)
        return offset;
    own(btf);
    if (text.len >= UINT32_MAX - btf->string_base - btf->strings_size)
        eb_fail(btf->arena, EBPF_E_LIMIT);
    offset = btf->string_base + (uint32_t)btf->strings_size;
    eb_buf_str(&btf->own_strings, text);
    eb_buf_byte(&btf->own_strings, 0);
    renew(btf);
    return offset;
}

/* ---- types ---- */

static void put32(eb_btf *btf, uint32_t value) {
    eb_set32(eb_buf_room(&btf->own_types, 4), btf->big, value);
    renew(btf);
}

static uint32_t add(eb_btf *btf, eb_btf_kind kind, bool kind_flag, eb_str name, uint32_t low,
                    uint32_t size_or_type) {
    own(btf);
    if (btf->types_size > UINT32_MAX - 64 || btf->count == UINT32_MAX)
        eb_fail(btf->arena, EBPF_E_LIMIT);
    *EB_PUSH(btf->arena, &btf->offsets) = (uint32_t)btf->types_size;
    put32(btf, eb_btf_add_string(btf, name));
    put32(btf, (uint32_t)kind_flag << 31 | (uint32_t)kind << 24 | low);
    put32(btf, size_or_type);
    return btf->count++;
}

static uint8_t *own_head(eb_btf *btf, uint32_t id) {
    own(btf);
    return btf->own_types.at + btf->offsets.at[id - btf->first];
}

/* The last type gets one more member: two or three words. */
static void add_words(eb_btf *btf, uint32_t a, uint32_t b, const uint32_t *c) {
    uint8_t *info = own_head(btf, btf->count - 1) + 4;
    uint32_t value = eb_get32(info, btf->big);
    if ((value & MOST_MEMBERS) == MOST_MEMBERS || btf->types_size > UINT32_MAX - 64)
        eb_fail(btf->arena, EBPF_E_LIMIT);
    eb_set32(info, btf->big, value + 1);
    put32(btf, a);
    put32(btf, b);
    if (c)
        put32(btf, *c);
}

uint32_t eb_btf_add_int(eb_btf *btf, eb_str name, uint32_t size, uint32_t encoding) {
    uint32_t id = add(btf, EB_BTF_INT, false, name, 0, size);
    put32(btf, encoding << 24 | size * 8);
    return id;
}

uint32_t eb_btf_add_float(eb_btf *btf, eb_str name, uint32_t size) {
    return add(btf, EB_BTF_FLOAT, false, name, 0, size);
}

uint32_t eb_btf_add_ref(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t type) {
    bool forward = kind == EB_BTF_FWD;
    return add(btf, kind, forward && type, name, 0, forward ? 0 : type);
}

uint32_t eb_btf_add_array(eb_btf *btf, uint32_t type, uint32_t index_type, uint32_t count) {
    uint32_t id = add(btf, EB_BTF_ARRAY, false, (eb_str){0}, 0, 0);
    put32(btf, type);
    put32(btf, index_type);
    put32(btf, count);
    return id;
}

uint32_t eb_btf_add_record(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t size) {
    return add(btf, kind, false, name, 0, size);
}

void eb_btf_add_member(eb_btf *btf, eb_str name, uint32_t type, uint32_t bit_offset) {
    add_words(btf, eb_btf_add_string(btf, name), type, &bit_offset);
}

void eb_btf_add_bitfield(eb_btf *btf, eb_str name, uint32_t type, uint32_t bit_offset,
                         uint32_t bits) {
    uint8_t *info = own_head(btf, btf->count - 1) + 4;
    eb_set32(info, btf->big, eb_get32(info, btf->big) | 1u << 31);
    eb_btf_add_member(btf, name, type, bits << 24 | bit_offset);
}

uint32_t eb_btf_add_enum(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t size,
                         bool is_signed) {
    return add(btf, kind, is_signed, name, 0, size);
}

void eb_btf_add_enumerator(eb_btf *btf, eb_str name, uint64_t value) {
    uint32_t high = (uint32_t)(value >> 32);
    bool wide = eb_btf_kind_of(btf, btf->count - 1) == EB_BTF_ENUM64;
    add_words(btf, eb_btf_add_string(btf, name), (uint32_t)value, wide ? &high : NULL);
}

uint32_t eb_btf_add_proto(eb_btf *btf, uint32_t result) {
    return add(btf, EB_BTF_FUNC_PROTO, false, (eb_str){0}, 0, result);
}

void eb_btf_add_param(eb_btf *btf, eb_str name, uint32_t type) {
    add_words(btf, eb_btf_add_string(btf, name), type, NULL);
}

uint32_t eb_btf_add_func(eb_btf *btf, eb_str name, uint32_t proto, uint32_t linkage) {
    return add(btf, EB_BTF_FUNC, false, name, linkage, proto);
}

uint32_t eb_btf_add_var(eb_btf *btf, eb_str name, uint32_t type, uint32_t linkage) {
    uint32_t id = add(btf, EB_BTF_VAR, false, name, 0, type);
    put32(btf, linkage);
    return id;
}

uint32_t eb_btf_add_datasec(eb_btf *btf, eb_str name, uint32_t size) {
    return add(btf, EB_BTF_DATASEC, false, name, 0, size);
}

void eb_btf_add_datasec_var(eb_btf *btf, uint32_t var, uint32_t offset, uint32_t size) {
    add_words(btf, var, offset, &size);
}

uint32_t eb_btf_add_decl_tag(eb_btf *btf, eb_str tag, uint32_t type, int32_t component) {
    uint32_t id = add(btf, EB_BTF_DECL_TAG, false, tag, 0, type);
    put32(btf, (uint32_t)component);
    return id;
}

/* ---- completing ---- */

void eb_btf_set_size_or_type(eb_btf *btf, uint32_t id, uint32_t value) {
    eb_set32(own_head(btf, id) + 8, btf->big, value);
}

void eb_btf_set_place(eb_btf *btf, uint32_t datasec, uint32_t i, uint32_t offset) {
    eb_set32(own_head(btf, datasec) + EB_BTF_HEAD + (size_t)12 * i + 4, btf->big, offset);
}
