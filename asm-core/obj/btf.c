/* btf.c - the BTF model: building it, looking types up, their sizes and C names; see btf.h.
 *
 * Types refer to one another by id, forwards too, and what was read may do so in circles. Every
 * walk is therefore bounded: chains of qualifiers by DEEPEST links (the kernel allows 32). */
#include "btf.h"

enum { DEEPEST = 32, POINTER_SIZE = 8 };

/* ---- building ---- */

eb_btf *eb_btf_new(eb_arena *arena) {
    eb_btf *btf = eb_alloc(arena, sizeof *btf);
    btf->arena = arena;
    EB_PUSH(arena, &btf->types)->kind = EB_BTF_VOID;
    return btf;
}

static uint32_t add(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t size_or_type) {
    *EB_PUSH(btf->arena, &btf->types) = (eb_btf_type){.name = name,
                                                      .kind = (uint8_t)kind,
                                                      .size_or_type = size_or_type,
                                                      .first = btf->members.len};
    return btf->types.len - 1;
}

static eb_btf_member *add_member(eb_btf *btf) {
    btf->types.at[btf->types.len - 1].count++;
    return EB_PUSH(btf->arena, &btf->members);
}

uint32_t eb_btf_add_int(eb_btf *btf, eb_str name, uint32_t size, uint32_t encoding) {
    uint32_t id = add(btf, EB_BTF_INT, name, size);
    btf->types.at[id].extra = encoding << 24 | size * 8;
    return id;
}

uint32_t eb_btf_add_float(eb_btf *btf, eb_str name, uint32_t size) {
    return add(btf, EB_BTF_FLOAT, name, size);
}

uint32_t eb_btf_add_ref(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t type) {
    bool forward = kind == EB_BTF_FWD;
    uint32_t id = add(btf, kind, name, forward ? 0 : type);
    btf->types.at[id].kind_flag = forward && type;
    return id;
}

uint32_t eb_btf_add_array(eb_btf *btf, uint32_t type, uint32_t index_type, uint32_t count) {
    uint32_t id = add(btf, EB_BTF_ARRAY, (eb_str){0}, type);
    btf->types.at[id].index_type = index_type;
    btf->types.at[id].extra = count;
    return id;
}

uint32_t eb_btf_add_record(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t size) {
    return add(btf, kind, name, size);
}

void eb_btf_add_member(eb_btf *btf, eb_str name, uint32_t type, uint32_t bit_offset) {
    *add_member(btf) = (eb_btf_member){.name = name, .type = type, .offset = bit_offset};
}

uint32_t eb_btf_add_enum(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t size,
                         bool is_signed) {
    uint32_t id = add(btf, kind, name, size);
    btf->types.at[id].kind_flag = is_signed;
    return id;
}

void eb_btf_add_enumerator(eb_btf *btf, eb_str name, uint64_t value) {
    *add_member(btf) = (eb_btf_member){.name = name, .value = value};
}

uint32_t eb_btf_add_proto(eb_btf *btf, uint32_t result) {
    return add(btf, EB_BTF_FUNC_PROTO, (eb_str){0}, result);
}

void eb_btf_add_param(eb_btf *btf, eb_str name, uint32_t type) {
    *add_member(btf) = (eb_btf_member){.name = name, .type = type};
}

uint32_t eb_btf_add_func(eb_btf *btf, eb_str name, uint32_t proto, uint32_t linkage) {
    uint32_t id = add(btf, EB_BTF_FUNC, name, proto);
    btf->types.at[id].extra = linkage;
    return id;
}

uint32_t eb_btf_add_var(eb_btf *btf, eb_str name, uint32_t type, uint32_t linkage) {
    uint32_t id = add(btf, EB_BTF_VAR, name, type);
    btf->types.at[id].extra = linkage;
    return id;
}

uint32_t eb_btf_add_datasec(eb_btf *btf, eb_str name, uint32_t size) {
    return add(btf, EB_BTF_DATASEC, name, size);
}

void eb_btf_add_datasec_var(eb_btf *btf, uint32_t var, uint32_t offset, uint32_t size) {
    *add_member(btf) = (eb_btf_member){.type = var, .offset = offset, .size = size};
}

uint32_t eb_btf_add_decl_tag(eb_btf *btf, eb_str tag, uint32_t type, int32_t component) {
    uint32_t id = add(btf, EB_BTF_DECL_TAG, tag, type);
    btf->types.at[id].extra = (uint32_t)component;
    return id;
}

/* ---- looking up ---- */

uint32_t eb_btf_find(const eb_btf *btf, eb_btf_kind kind, eb_str name) {
    for (uint32_t id = 1; id < btf->types.len; id++)
        if (btf->types.at[id].kind == kind && eb_str_eq(btf->types.at[id].name, name))
            return id;
    return 0;
}

static bool is_alias(uint8_t kind) {
    return kind == EB_BTF_TYPEDEF || kind == EB_BTF_VOLATILE || kind == EB_BTF_CONST ||
           kind == EB_BTF_RESTRICT || kind == EB_BTF_TYPE_TAG;
}

uint32_t eb_btf_strip(const eb_btf *btf, uint32_t id) {
    for (int depth = 0; depth <= DEEPEST; depth++) {
        if (id >= btf->types.len)
            return 0;
        if (!is_alias(btf->types.at[id].kind))
            return id;
        id = btf->types.at[id].size_or_type;
    }
    return 0;
}

uint32_t eb_btf_size(const eb_btf *btf, uint32_t id) {
    uint64_t times = 1, size = 0;
    for (int depth = 0; depth <= DEEPEST && id < btf->types.len && times <= UINT32_MAX; depth++) {
        const eb_btf_type *type = &btf->types.at[id];
        switch (type->kind) {
        case EB_BTF_INT:
        case EB_BTF_FLOAT:
        case EB_BTF_ENUM:
        case EB_BTF_ENUM64:
        case EB_BTF_STRUCT:
        case EB_BTF_UNION:
        case EB_BTF_DATASEC:
            size = type->size_or_type * times;
            return size <= UINT32_MAX ? (uint32_t)size : 0;
        case EB_BTF_PTR:
            size = POINTER_SIZE * times;
            return size <= UINT32_MAX ? (uint32_t)size : 0;
        case EB_BTF_ARRAY:
            times *= type->extra;
            break;
        case EB_BTF_VAR:
            break;
        default:
            if (!is_alias(type->kind))
                return 0;
        }
        id = type->size_or_type;
    }
    return 0;
}

/* ---- spelling ---- */

/* C declares inside out: a type is what stands to the left of a name and what to its right, `int
 * (*` and `)[4]` for a pointer to an array. spell_left and spell_right write the two. */
typedef struct spelling {
    const eb_btf *btf;
    eb_buf *out;
} spelling;

static const char *keyword(const eb_btf_type *type) {
    switch (type->kind) {
    case EB_BTF_STRUCT:
        return "struct ";
    case EB_BTF_UNION:
        return "union ";
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        return "enum ";
    case EB_BTF_FWD:
        return type->kind_flag ? "union " : "struct ";
    default:
        return "";
    }
}

static bool is_qualifier(uint8_t kind) {
    return kind == EB_BTF_CONST || kind == EB_BTF_VOLATILE || kind == EB_BTF_RESTRICT;
}

static const char *qualifier(uint8_t kind) {
    return kind == EB_BTF_CONST ? "const" : kind == EB_BTF_VOLATILE ? "volatile" : "restrict";
}

/* The type below tags and qualifiers. */
static uint8_t bare_kind(const eb_btf *btf, uint32_t id) {
    for (int depth = 0; depth <= DEEPEST && id < btf->types.len; depth++) {
        const eb_btf_type *type = &btf->types.at[id];
        if (!is_qualifier(type->kind) && type->kind != EB_BTF_TYPE_TAG)
            return type->kind;
        id = type->size_or_type;
    }
    return EB_BTF_VOID;
}

static void spell_left(spelling s, uint32_t id, int depth) {
    const eb_btf_type *type = &s.btf->types.at[id < s.btf->types.len ? id : 0];
    if (depth > DEEPEST) {
        eb_buf_str(s.out, EB_STR("..."));
        return;
    }
    uint32_t next = type->size_or_type;
    uint8_t below = bare_kind(s.btf, next);
    switch (type->kind) {
    case EB_BTF_VOID:
        eb_buf_str(s.out, EB_STR("void"));
        return;
    case EB_BTF_PTR:
        spell_left(s, next, depth + 1);
        eb_buf_str(s.out, below == EB_BTF_ARRAY || below == EB_BTF_FUNC_PROTO ? EB_STR(" (*")
                          : below == EB_BTF_PTR                               ? EB_STR("*")
                                                                              : EB_STR(" *"));
        return;
    case EB_BTF_CONST:
    case EB_BTF_VOLATILE:
    case EB_BTF_RESTRICT:
        if (below == EB_BTF_PTR) { /* a qualified pointer: behind its star */
            spell_left(s, next, depth + 1);
            eb_buf_fmt(s.out, " %s", qualifier(type->kind));
            return;
        }
        eb_buf_fmt(s.out, "%s ", qualifier(type->kind));
        spell_left(s, next, depth + 1);
        return;
    case EB_BTF_TYPE_TAG:
    case EB_BTF_ARRAY:
    case EB_BTF_FUNC_PROTO:
    case EB_BTF_VAR:
    case EB_BTF_FUNC:
        spell_left(s, next, depth + 1);
        return;
    default:
        eb_buf_str(s.out, eb_str_from(keyword(type)));
        eb_buf_str(s.out, type->name.len ? type->name : EB_STR("(anon)"));
    }
}

static void spell_right(spelling s, uint32_t id, int depth) {
    if (depth > DEEPEST || id >= s.btf->types.len)
        return;
    const eb_btf_type *type = &s.btf->types.at[id];
    uint8_t below = bare_kind(s.btf, type->size_or_type);
    switch (type->kind) {
    case EB_BTF_PTR:
        if (below == EB_BTF_ARRAY || below == EB_BTF_FUNC_PROTO)
            eb_buf_byte(s.out, ')');
        break;
    case EB_BTF_ARRAY:
        eb_buf_fmt(s.out, "[%u]", type->extra);
        break;
    case EB_BTF_FUNC_PROTO:
        eb_buf_str(s.out, EB_STR("()"));
        break;
    case EB_BTF_CONST:
    case EB_BTF_VOLATILE:
    case EB_BTF_RESTRICT:
    case EB_BTF_TYPE_TAG:
    case EB_BTF_VAR:
    case EB_BTF_FUNC:
        break;
    default:
        return;
    }
    spell_right(s, type->size_or_type, depth + 1);
}

void eb_btf_spell(const eb_btf *btf, uint32_t id, eb_buf *out) {
    spelling s = {btf, out};
    spell_left(s, id, 0);
    spell_right(s, id, 0);
}
