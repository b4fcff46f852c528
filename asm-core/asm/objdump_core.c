/* objdump_core.c - a CO-RE relocation as llvm-objdump -r words it:
 *   <byte_off> [8] struct bar::v[2].b (0:1:2:1)
 *   <type_size> [7] struct foo
 *   <enumval_value> [5] enum e::V = 2
 * and, where type and access string do not fit each other, what is wrong:
 *   <byte_off> [4] '0:9' <member index 9 for spec sub-string 1 is out of range>
 * Source: BTFParser::symbolize of LLVM 19. The wording for people that the assembler's text has is
 * eb_core_spell's. */
#include "btf.h"
#include "core.h"
#include "dis.h"

enum { MODIFIERS_MOST = 32 };

typedef struct wording {
    const eb_btf *btf;
    const eb_core_relo *relo;
    eb_buf *out;
    size_t start; /* of this relocation in `out` */
    uint32_t *spec;
    uint32_t count;
} wording;

static void put_kind(wording *w) {
    if (w->relo->kind < EB_CORE_KINDS)
        eb_buf_fmt(w->out, "<%s>", eb_core_kind_name(w->relo->kind));
    else
        eb_buf_fmt(w->out, "<reloc kind #%u>", w->relo->kind);
}

static bool fail(wording *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Say what is wrong instead of what was said so far. */
static bool fail(wording *w, const char *format, ...) {
    va_list args;
    w->out->len = w->start;
    put_kind(w);
    eb_buf_fmt(w->out, " [%u] '%.*s' <", w->relo->type, (int)w->relo->access.len,
               w->relo->access.at);
    va_start(args, format);
    eb_buf_vfmt(w->out, format, args);
    va_end(args);
    eb_buf_byte(w->out, '>');
    return false;
}

/* Numbers with colons between them. */
static bool read_spec(wording *w) {
    eb_str text = w->relo->access;
    w->spec = eb_alloc_array(w->out->arena, text.len / 2 + 1, sizeof *w->spec);
    for (size_t i = 0; i < text.len; i++) {
        size_t from = i;
        uint32_t value = 0;
        for (; i < text.len && text.at[i] >= '0' && text.at[i] <= '9'; i++)
            value = value * 10 + (uint32_t)(text.at[i] - '0');
        if (i == from)
            return fail(w, "spec string is not a number");
        w->spec[w->count++] = value;
        if (i < text.len && text.at[i] != ':')
            return fail(w, "unexpected spec string delimiter: '%c'", text.at[i]);
    }
    return true;
}

static void put_name(wording *w, eb_str name, uint32_t number) {
    if (name.len)
        eb_buf_str(w->out, name);
    else
        eb_buf_fmt(w->out, "<anon %u>", number);
}

static bool put_modifier(wording *w, const eb_btf_type *type) {
    switch (type->kind) {
    case EB_BTF_CONST:
        eb_buf_str(w->out, EB_STR(" const"));
        return true;
    case EB_BTF_VOLATILE:
        eb_buf_str(w->out, EB_STR(" volatile"));
        return true;
    case EB_BTF_RESTRICT:
        eb_buf_str(w->out, EB_STR(" restrict"));
        return true;
    case EB_BTF_TYPE_TAG:
        eb_buf_fmt(w->out, " type_tag(\"%.*s\")", (int)type->name.len, type->name.at);
        return true;
    default:
        return false;
    }
}

static const char *kind_word(const eb_btf_type *type) {
    switch (type->kind) {
    case EB_BTF_TYPEDEF:
        return " typedef";
    case EB_BTF_STRUCT:
        return " struct";
    case EB_BTF_UNION:
        return " union";
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        return " enum";
    case EB_BTF_FWD:
        return type->kind_flag ? " fwd union" : " fwd struct";
    default:
        return "";
    }
}

/* The type with its qualifiers; `id` moves behind those. */
static bool put_type(wording *w, uint32_t *id) {
    if (*id >= w->btf->count)
        return fail(w, "unknown type id: %d", (int)*id);
    eb_buf_fmt(w->out, " [%u]", *id);
    eb_btf_type type = eb_btf_at(w->btf, *id);
    for (unsigned i = 0; put_modifier(w, &type); i++) {
        if (i >= MODIFIERS_MOST)
            return fail(w, "modifiers chain is too long");
        *id = type.size_or_type;
        type = eb_btf_at(w->btf, *id);
    }
    eb_buf_str(w->out, eb_str_from(*id ? kind_word(&type) : " void"));
    if (*id) {
        eb_buf_byte(w->out, ' ');
        put_name(w, type.name, *id);
    }
    return true;
}

/* One function per class of core.def. */

static void put_TYPE(wording *w, uint32_t id) {
    (void)id;
    if (w->count != 1 || w->spec[0])
        fail(w, "unexpected type-based relocation spec: should be '0'");
}

static bool put_ENUMVAL(wording *w, uint32_t id) {
    eb_buf_str(w->out, EB_STR("::"));
    eb_btf_type type = eb_btf_at(w->btf, eb_btf_strip(w->btf, id));
    if (w->count != 1)
        return fail(w, "unexpected enumval relocation spec size");
    if (type.kind != EB_BTF_ENUM && type.kind != EB_BTF_ENUM64)
        return fail(w, "unexpected type kind for enum relocation: %d", type.kind);
    if (w->spec[0] >= type.count)
        return fail(w, "bad value index: %d", (int)w->spec[0]);
    eb_btf_member member = eb_btf_member_at(w->btf, &type, w->spec[0]);
    put_name(w, member.name, w->spec[0]);
    if (type.kind_flag)
        eb_buf_fmt(w->out, " = %lld", (long long)member.value);
    else
        eb_buf_fmt(w->out, " = %llu", (unsigned long long)member.value);
    return true;
}

/* Members and elements from type `id` on. */
static bool put_FIELD(wording *w, uint32_t id) {
    eb_buf_str(w->out, EB_STR("::"));
    if (!w->count)
        return fail(w, "field spec too short");
    if (w->spec[0])
        eb_buf_fmt(w->out, "[%u]", w->spec[0]);
    for (uint32_t i = 1; i < w->count; i++) {
        eb_btf_type type = eb_btf_at(w->btf, eb_btf_strip(w->btf, id));
        uint32_t index = w->spec[i];
        if (type.kind == EB_BTF_ARRAY) {
            eb_buf_fmt(w->out, "[%u]", index);
            id = type.size_or_type;
            continue;
        }
        if (type.kind != EB_BTF_STRUCT && type.kind != EB_BTF_UNION)
            return fail(w, "unexpected type kind %d for spec sub-string %d", type.kind, (int)i);
        if (index >= type.count)
            return fail(w, "member index %d for spec sub-string %d is out of range", (int)index,
                        (int)i);
        eb_btf_member member = eb_btf_member_at(w->btf, &type, index);
        if (i != 1 || w->spec[0])
            eb_buf_byte(w->out, '.');
        put_name(w, member.name, index);
        id = member.type;
    }
    eb_buf_fmt(w->out, " (%.*s)", (int)w->relo->access.len, w->relo->access.at);
    return true;
}

void eb_objdump_core(const eb_btf *btf, const eb_core_relo *relo, eb_buf *out) {
    wording w = {.btf = btf, .relo = relo, .out = out, .start = out->len};
    uint32_t id = relo->type;
    if (!read_spec(&w))
        return;
    put_kind(&w);
    if (!put_type(&w, &id))
        return;
    switch (relo->kind) {
#define CORE(kind, number, class, name)                                                            \
    case EB_CORE_##kind:                                                                           \
        put_##class(&w, id);                                                                       \
        return;
#include "core.def"
    default:
        fail(&w, "unknown relocation kind: %d", (int)relo->kind);
        return;
    }
}
