/* btf.c - types by id: what the bytes of one say, sizes and C names; see btf.h.
 *
 * Types refer to one another by id, forwards too, and what somebody builds may do so in circles.
 * Every walk is therefore bounded: by EB_BTF_DEEPEST links, and deeper than that nothing that was
 * read goes either. */
#include "btf_index.h"

enum { POINTER_SIZE = 8 };

const eb_btf_layout eb_btf_layouts[EB_BTF_KINDS] = {
#define BTF(id, number, own, each) [number] = {own, each},
#include "btf.def"
};

/* ---- one type ---- */

const uint8_t *eb_btf_head(const eb_btf *btf, uint32_t id) {
    while (id < btf->first && btf->base)
        btf = btf->base;
    return id >= btf->first && id < btf->count ? btf->types + btf->offsets.at[id - btf->first]
                                               : NULL;
}

static uint8_t kind_at(const eb_btf *btf, const uint8_t *head) {
    return head ? eb_get32(head + 4, btf->big) >> 24 & 31 : EB_BTF_VOID;
}

eb_btf_kind eb_btf_kind_of(const eb_btf *btf, uint32_t id) {
    return (eb_btf_kind)kind_at(btf, eb_btf_head(btf, id));
}

const char *eb_btf_text(const eb_btf *btf, uint32_t offset) {
    while (offset < btf->string_base)
        btf = btf->base;
    return btf->strings + (offset - btf->string_base);
}

bool eb_btf_string(const eb_btf *btf, uint32_t offset, eb_str *out) {
    *out = (eb_str){0};
    if (offset >= btf->string_base + btf->strings_size)
        return false;
    *out = eb_str_from(eb_btf_text(btf, offset));
    return true;
}

static eb_str name_at(const eb_btf *btf, const uint8_t *at) {
    eb_str name;
    uint32_t offset = eb_get32(at, btf->big);
    return offset && eb_btf_string(btf, offset, &name) ? name : (eb_str){"", 0};
}

eb_str eb_btf_name(const eb_btf *btf, uint32_t id) {
    const uint8_t *head = eb_btf_head(btf, id);
    return head ? name_at(btf, head) : (eb_str){"", 0};
}

eb_btf_type eb_btf_at(const eb_btf *btf, uint32_t id) {
    const uint8_t *at = eb_btf_head(btf, id);
    eb_btf_type type = {.name = {"", 0}};
    if (!at)
        return type;
    uint32_t info = eb_get32(at + 4, btf->big);
    type.name = name_at(btf, at);
    type.kind = info >> 24 & 31;
    type.kind_flag = info >> 31;
    type.size_or_type = eb_get32(at + 8, btf->big);
    at += EB_BTF_HEAD;
    switch (type.kind) {
    case EB_BTF_INT:
    case EB_BTF_VAR:
    case EB_BTF_DECL_TAG:
        type.extra = eb_get32(at, btf->big);
        break;
    case EB_BTF_ARRAY:
        type.size_or_type = eb_get32(at, btf->big);
        type.index_type = eb_get32(at + 4, btf->big);
        type.extra = eb_get32(at + 8, btf->big);
        break;
    case EB_BTF_FUNC:
        type.extra = info & 0xffff;
        break;
    default:
        type.count = eb_btf_layouts[type.kind].each ? info & 0xffff : 0;
        type.body = at;
    }
    return type;
}

eb_btf_member eb_btf_member_at(const eb_btf *btf, const eb_btf_type *type, uint32_t i) {
    const uint8_t *at = type->body + (size_t)eb_btf_layouts[type->kind].each * i;
    bool big = btf->big;
    eb_btf_member m = {.name = {"", 0}};
    uint32_t second = eb_get32(at + 4, big), third = 0;
    if (type->kind == EB_BTF_DATASEC) {
        m.type = eb_get32(at, big);
        m.offset = second;
        m.size = eb_get32(at + 8, big);
        return m;
    }
    m.name = name_at(btf, at);
    switch (type->kind) {
    case EB_BTF_ENUM:
        m.value = type->kind_flag ? (uint64_t)(int64_t)(int32_t)second : second;
        break;
    case EB_BTF_ENUM64:
        m.value = (uint64_t)eb_get32(at + 8, big) << 32 | second;
        break;
    case EB_BTF_FUNC_PROTO:
        m.type = second;
        break;
    default:
        third = eb_get32(at + 8, big);
        m.type = second;
        m.offset = type->kind_flag ? third & 0xffffff : third;
        m.bits = type->kind_flag ? third >> 24 : 0;
    }
    return m;
}

/* ---- through typedefs and qualifiers ---- */

static bool is_alias(uint8_t kind) {
    return kind == EB_BTF_TYPEDEF || kind == EB_BTF_VOLATILE || kind == EB_BTF_CONST ||
           kind == EB_BTF_RESTRICT || kind == EB_BTF_TYPE_TAG;
}

uint32_t eb_btf_strip(const eb_btf *btf, uint32_t id) {
    for (int depth = 0; depth <= EB_BTF_DEEPEST; depth++) {
        const uint8_t *at = eb_btf_head(btf, id);
        if (!at)
            return 0;
        if (!is_alias(kind_at(btf, at)))
            return id;
        id = eb_get32(at + 8, btf->big);
    }
    return 0;
}

uint32_t eb_btf_size(const eb_btf *btf, uint32_t id) {
    uint64_t times = 1, size = 0;
    for (int depth = 0; depth <= EB_BTF_DEEPEST && times <= UINT32_MAX; depth++) {
        const uint8_t *at = eb_btf_head(btf, id);
        uint8_t kind = kind_at(btf, at);
        if (!at)
            return 0;
        switch (kind) {
        case EB_BTF_INT:
        case EB_BTF_FLOAT:
        case EB_BTF_ENUM:
        case EB_BTF_ENUM64:
        case EB_BTF_STRUCT:
        case EB_BTF_UNION:
        case EB_BTF_DATASEC:
            size = eb_get32(at + 8, btf->big) * times;
            return size <= UINT32_MAX ? (uint32_t)size : 0;
        case EB_BTF_PTR:
            size = POINTER_SIZE * times;
            return size <= UINT32_MAX ? (uint32_t)size : 0;
        case EB_BTF_ARRAY:
            times *= eb_get32(at + EB_BTF_HEAD + 8, btf->big);
            id = eb_get32(at + EB_BTF_HEAD, btf->big);
            continue;
        case EB_BTF_VAR:
            break;
        default:
            if (!is_alias(kind))
                return 0;
        }
        id = eb_get32(at + 8, btf->big);
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
    for (int depth = 0; depth <= EB_BTF_DEEPEST; depth++) {
        const uint8_t *at = eb_btf_head(btf, id);
        uint8_t kind = kind_at(btf, at);
        if (!is_qualifier(kind) && kind != EB_BTF_TYPE_TAG)
            return kind;
        id = eb_get32(at + 8, btf->big);
    }
    return EB_BTF_VOID;
}

static void spell_left(spelling s, uint32_t id, int depth) {
    const eb_btf_type type = eb_btf_at(s.btf, id);
    if (depth > EB_BTF_DEEPEST) {
        eb_buf_str(s.out, EB_STR("..."));
        return;
    }
    uint32_t next = type.size_or_type;
    uint8_t below = bare_kind(s.btf, next);
    switch (type.kind) {
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
            eb_buf_fmt(s.out, " %s", qualifier(type.kind));
            return;
        }
        eb_buf_fmt(s.out, "%s ", qualifier(type.kind));
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
        eb_buf_str(s.out, eb_str_from(keyword(&type)));
        eb_buf_str(s.out, type.name.len ? type.name : EB_STR("(anon)"));
    }
}

static void spell_right(spelling s, uint32_t id, int depth) {
    if (depth > EB_BTF_DEEPEST)
        return;
    const eb_btf_type type = eb_btf_at(s.btf, id);
    uint8_t below = bare_kind(s.btf, type.size_or_type);
    switch (type.kind) {
    case EB_BTF_PTR:
        if (below == EB_BTF_ARRAY || below == EB_BTF_FUNC_PROTO)
            eb_buf_byte(s.out, ')');
        break;
    case EB_BTF_ARRAY:
        eb_buf_fmt(s.out, "[%u]", type.extra);
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
    spell_right(s, type.size_or_type, depth + 1);
}

void eb_btf_spell(const eb_btf *btf, uint32_t id, eb_buf *out) {
    spelling s = {btf, out};
    spell_left(s, id, 0);
    spell_right(s, id, 0);
}
