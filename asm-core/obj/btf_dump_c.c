/* btf_dump_c.c - BTF as C that compiles to the same layout.
 *
 * Two steps per type, as libbpf's dumper has them, whose text this is line by line. Ordering finds
 * what must be defined before: what a record contains must be, what it points to need only be
 * declared, unless that has no name and is therefore spelled out in place. Emitting writes the
 * definitions in that order, with forward declarations where something is mentioned before.
 *
 * BTF knows offsets and sizes but no alignments (btf_align.c infers them): holes that alignment
 * does not explain are filled with unnamed bit-fields. Namesakes get the suffixes ___2, ___3;
 * enumerators and typedefs share one name space.
 *
 * Where libbpf's text compiles to another layout, this is other text: enums of two bytes, unions
 * that are packed or larger than their members, and va_list, which a kernel's compiler knows by
 * another size than BPF's: what stands on __builtin_va_list stands on what that is in BTF.
 *
 * What was read may be built to take for ever: both steps count how deep they are and how long they
 * work, and give up by a diagnostic.
 * Source: libbpf's src/btf_dump.c (1.5), for the text that people's programs are written against.
 */
#include "btf_align.h"
#include "btf_dump.h"
#include "map.h"

enum { DEEPEST = 1000, STEPS = 1 << 20, STEPS_PER_TYPE = 256 };

enum { NOT_YET, NOW, DONE };

/* What is known of a type beside its bytes. */
typedef struct state {
    uint8_t order, emit; /* NOT_YET, NOW, DONE */
    bool declared;       /* its forward declaration stands */
    bool referenced;     /* by any other type */
    uint32_t number;     /* among its namesakes, from 1; 0: not yet named */
} state;

typedef struct dumper {
    ebpf_ctx *ctx;
    const eb_btf *btf;
    eb_buf *out;
    state *states;
    eb_btf_aligns *aligns;
    EB_VEC(uint32_t) queue;   /* definitions in order */
    EB_VEC(uint32_t) chain;   /* a stack of declarations: pointers, arrays, qualifiers */
    eb_map tags, identifiers; /* names to how many had them */
    uint32_t record;          /* the one whose members are written */
    uint32_t depth;
    uint64_t steps; /* that are left */
    bool failed;
} dumper;

/* ---- text ---- */

static void put(dumper *d, eb_str text) {
    eb_buf_put(d->out, text.at, text.len);
}

#define PUT(d, literal) put((d), EB_STR(literal))

/* A new line, `level` tabs deep. */
static void new_line(dumper *d, uint32_t level) {
    static const char tabs[] = "\n\t\t\t\t\t\t\t\t\t\t\t\t\t";
    put(d, (eb_str){tabs, 1 + (level < sizeof tabs - 2 ? level : sizeof tabs - 2)});
}

static void put_number(dumper *d, uint32_t value) {
    char digits[10];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    put(d, (eb_str){digits + at, sizeof digits - at});
}

static int fail(dumper *d, uint32_t id, const char *why) {
    eb_str name = eb_btf_name(d->btf, id);
    if (!d->failed)
        eb_diag_input(d->ctx, EB_DIAG_BTF_NOT_C, d->btf->name, -1, id, (int)name.len, name.at, why);
    d->failed = true;
    return -1;
}

/* Whether one level more may be entered; leave() after it. */
static bool enter(dumper *d, uint32_t id) {
    d->depth++;
    if (d->depth > DEEPEST)
        fail(d, id, "is nested too deeply");
    else if (!d->steps--)
        fail(d, id, "takes too long: its types are built to repeat one another");
    return !d->failed;
}

static void leave(dumper *d) {
    d->depth--;
}

/* ---- names ---- */

/* Which one it is of those with that name, from 1. */
static uint32_t count_name(eb_map *names, eb_str name) {
    bool is_new;
    return ++*eb_map_enter(names, name, &is_new);
}

static void put_numbered(dumper *d, eb_str name, uint32_t number) {
    put(d, name);
    if (number > 1) {
        PUT(d, "___");
        put_number(d, number);
    }
}

static void put_type_name(dumper *d, uint32_t id, const eb_btf_type *type) {
    state *s = &d->states[id];
    bool declares = type->kind == EB_BTF_FWD || (type->kind == EB_BTF_ENUM && !type->count);
    if (!type->name.len)
        return;
    if (!s->number)
        s->number = declares ? 1
                             : count_name(type->kind == EB_BTF_TYPEDEF ? &d->identifiers : &d->tags,
                                          type->name);
    put_numbered(d, type->name, s->number);
}

/* ---- layout ---- */

static bool is_record(uint8_t kind) {
    return kind == EB_BTF_STRUCT || kind == EB_BTF_UNION;
}

static bool is_enum(uint8_t kind) {
    return kind == EB_BTF_ENUM || kind == EB_BTF_ENUM64;
}

/* The aligns found no answer: the text would be wrong. */
static void check_aligns(dumper *d) {
    if (d->aligns->fault)
        fail(d, d->aligns->fault_id, d->aligns->fault);
}

static uint32_t align_of(dumper *d, uint32_t id) {
    uint32_t align = eb_btf_align(d->aligns, id);
    check_aligns(d);
    return align;
}

static bool is_packed(dumper *d, const eb_btf_type *type) {
    bool packed = eb_btf_is_packed(d->aligns, type);
    check_aligns(d);
    return packed;
}

/* ---- ordering ---- */

static int order(dumper *d, uint32_t id, bool by_pointer);

static void enqueue(dumper *d, uint32_t id) {
    *EB_PUSH(&d->ctx->arena, &d->queue) = id;
}

static int order_record(dumper *d, uint32_t id, const eb_btf_type *type, bool by_pointer) {
    if (by_pointer && type->name.len)
        return 0;
    d->states[id].order = NOW;
    for (uint32_t i = 0; i < type->count; i++)
        if (order(d, eb_btf_member_at(d->btf, type, i).type, false) < 0)
            return -1;
    if (type->name.len)
        enqueue(d, id);
    d->states[id].order = DONE;
    return 1;
}

static int order_proto(dumper *d, const eb_btf_type *type, bool by_pointer) {
    int strong = order(d, type->size_or_type, by_pointer);
    for (uint32_t i = 0; i < type->count && strong >= 0; i++) {
        int its = order(d, eb_btf_member_at(d->btf, type, i).type, by_pointer);
        strong = its < 0 ? its : strong | its;
    }
    return strong;
}

/* The compiler's own name, which nobody may define: it counts as what it stands for. */
static bool is_builtin(const eb_btf_type *type) {
    return type->kind == EB_BTF_TYPEDEF && eb_str_is(type->name, "__builtin_va_list");
}

static int order_typedef(dumper *d, uint32_t id, const eb_btf_type *type, bool by_pointer) {
    int strong = order(d, type->size_or_type, by_pointer);
    if (strong < 0 || (by_pointer && !strong) || is_builtin(type))
        return strong;
    enqueue(d, id);
    d->states[id].order = DONE;
    return 1;
}

static int order_kind(dumper *d, uint32_t id, const eb_btf_type *type, bool by_pointer) {
    state *s = &d->states[id];
    int strong;
    switch (type->kind) {
    case EB_BTF_PTR:
        strong = order(d, type->size_or_type, true);
        s->order = DONE;
        return strong;
    case EB_BTF_ARRAY:
        return order(d, type->size_or_type, false);
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        return order_record(d, id, type, by_pointer);
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
    case EB_BTF_FWD: /* without a name and not mentioned: constants for everybody */
        if (type->name.len || !s->referenced)
            enqueue(d, id);
        s->order = DONE;
        return 1;
    case EB_BTF_TYPEDEF:
        return order_typedef(d, id, type, by_pointer);
    case EB_BTF_VOLATILE:
    case EB_BTF_CONST:
    case EB_BTF_RESTRICT:
    case EB_BTF_TYPE_TAG:
        return order(d, type->size_or_type, by_pointer);
    case EB_BTF_FUNC_PROTO:
        return order_proto(d, type, by_pointer);
    default:
        s->order = DONE;
        return 0;
    }
}

/* 1: it has to be defined first; 0: a forward declaration is enough; below 0: failed. */
static int order(dumper *d, uint32_t id, bool by_pointer) {
    uint8_t reached = d->states[id].order;
    if (reached == DONE)
        return 1;
    eb_btf_type type = eb_btf_at(d->btf, id);
    if (reached == NOW)
        return is_record(type.kind) && by_pointer && type.name.len ? 0
                                                                   : fail(d, id, "contains itself");
    int strong = enter(d, id) ? order_kind(d, id, &type, by_pointer) : -1;
    leave(d);
    return strong;
}

/* ---- declarations ---- */

static void put_decl(dumper *d, uint32_t id, eb_str name, uint32_t level);
static void put_record(dumper *d, uint32_t id, const eb_btf_type *type, uint32_t level);
static void put_enum(dumper *d, uint32_t id, const eb_btf_type *type, uint32_t level);

static bool is_qualifier(uint32_t kind) {
    return kind == EB_BTF_CONST || kind == EB_BTF_VOLATILE || kind == EB_BTF_RESTRICT;
}

static eb_str qualifier(uint32_t kind) {
    return kind == EB_BTF_CONST      ? EB_STR("const")
           : kind == EB_BTF_VOLATILE ? EB_STR("volatile")
                                     : EB_STR("restrict");
}

/* Qualifiers on top of the chain: written in front of what they qualify. */
static void put_qualifiers(dumper *d, uint32_t start) {
    while (d->chain.len > start) {
        eb_btf_kind kind = eb_btf_kind_of(d->btf, d->chain.at[d->chain.len - 1]);
        if (!is_qualifier(kind))
            return;
        put(d, qualifier(kind));
        PUT(d, " ");
        d->chain.len--;
    }
}

/* gcc repeats those of its elements for an array, and marks functions that do not return so. */
static void drop_qualifiers(dumper *d, uint32_t start) {
    while (d->chain.len > start) {
        eb_btf_kind kind = eb_btf_kind_of(d->btf, d->chain.at[d->chain.len - 1]);
        if (!is_qualifier(kind) && kind != EB_BTF_TYPE_TAG)
            return;
        d->chain.len--;
    }
}

static void put_name(dumper *d, eb_str name, bool after_star) {
    if (name.len && !after_star)
        PUT(d, " ");
    put(d, name);
}

static void put_reference(dumper *d, uint32_t id, const eb_btf_type *type, eb_str keyword) {
    put(d, keyword);
    put_type_name(d, id, type);
}

static void put_params(dumper *d, const eb_btf_type *proto, uint32_t level) {
    PUT(d, "(");
    for (uint32_t i = 0; i < proto->count && !d->failed; i++) {
        eb_btf_member param = eb_btf_member_at(d->btf, proto, i);
        bool last = i + 1 == proto->count;
        if (last && !param.type) { /* alone: no parameters; behind others: any number of them */
            put(d, i ? EB_STR(", ...") : EB_STR("void"));
            break;
        }
        if (i)
            PUT(d, ", ");
        put_decl(d, param.type, param.name, level);
    }
    put(d, proto->count ? EB_STR(")") : EB_STR("void)"));
}

static void put_chain(dumper *d, uint32_t start, eb_str name, uint32_t level);

static void put_array(dumper *d, uint32_t start, const eb_btf_type *type, eb_str name,
                      uint32_t level, bool after_star) {
    drop_qualifiers(d, start);
    if (d->chain.len == start) {
        put_name(d, name, after_star);
    } else {
        uint32_t next = d->chain.at[d->chain.len - 1];
        bool more = eb_btf_kind_of(d->btf, next) == EB_BTF_ARRAY;
        if (name.len && !after_star)
            PUT(d, " ");
        if (!more)
            PUT(d, "(");
        put_chain(d, start, name, level);
        if (!more)
            PUT(d, ")");
    }
    PUT(d, "[");
    put_number(d, type->extra);
    PUT(d, "]");
}

static void put_proto(dumper *d, uint32_t start, const eb_btf_type *type, eb_str name,
                      uint32_t level, bool after_star) {
    drop_qualifiers(d, start);
    if (d->chain.len > start) {
        PUT(d, " (");
        put_chain(d, start, name, level);
        PUT(d, ")");
    } else {
        put_name(d, name, after_star);
    }
    put_params(d, type, level);
}

/* What a chain ends in: something with a name, or spelled out. */
static void put_base(dumper *d, uint32_t start, uint32_t id, const eb_btf_type *type,
                     uint32_t level) {
    put_qualifiers(d, start);
    switch (type->kind) {
    case EB_BTF_VOID:
        PUT(d, "void");
        break;
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        if (type->name.len)
            put_reference(d, id, type,
                          type->kind == EB_BTF_STRUCT ? EB_STR("struct ") : EB_STR("union "));
        else
            put_record(d, id, type, level);
        break;
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        if (type->name.len)
            put_reference(d, id, type, EB_STR("enum "));
        else
            put_enum(d, id, type, level);
        break;
    case EB_BTF_FWD:
        put_reference(d, id, type, type->kind_flag ? EB_STR("union ") : EB_STR("struct "));
        break;
    case EB_BTF_TYPEDEF:
        put_type_name(d, id, type);
        break;
    default: /* an integer or a float */
        put(d, type->name);
    }
}

static void put_tag(dumper *d, uint32_t start, const eb_btf_type *type) {
    put_qualifiers(d, start);
    PUT(d, " __attribute__((");
    if (type->kind_flag) { /* an attribute by itself */
        put(d, type->name);
    } else {
        PUT(d, "btf_type_tag(\"");
        put(d, type->name);
        PUT(d, "\")");
    }
    PUT(d, "))");
}

/* The chain above `start`, from its end inwards, around `name`. */
static void put_chain(dumper *d, uint32_t start, eb_str name, uint32_t level) {
    bool after_star = true; /* a lone star gets no space before it */
    while (d->chain.len > start && !d->failed) {
        uint32_t id = d->chain.at[--d->chain.len];
        eb_btf_type type = eb_btf_at(d->btf, id);
        switch (type.kind) {
        case EB_BTF_PTR:
            put(d, after_star ? EB_STR("*") : EB_STR(" *"));
            break;
        case EB_BTF_CONST:
        case EB_BTF_VOLATILE:
        case EB_BTF_RESTRICT: /* of a pointer, or of something through a tag */
            PUT(d, " ");
            put(d, qualifier(type.kind));
            break;
        case EB_BTF_TYPE_TAG:
            put_tag(d, start, &type);
            break;
        case EB_BTF_ARRAY:
            put_array(d, start, &type, name, level, after_star);
            return;
        case EB_BTF_FUNC_PROTO:
            put_proto(d, start, &type, name, level, after_star);
            return;
        default:
            put_base(d, start, id, &type, level);
        }
        after_star = type.kind == EB_BTF_PTR;
    }
    put_name(d, name, after_star);
}

/* A declaration of `name`, which may be empty, as a type. */
static void put_decl(dumper *d, uint32_t id, eb_str name, uint32_t level) {
    const uint32_t links = EB_BTF_IS(EB_BTF_PTR) | EB_BTF_IS(EB_BTF_CONST) |
                           EB_BTF_IS(EB_BTF_VOLATILE) | EB_BTF_IS(EB_BTF_RESTRICT) |
                           EB_BTF_IS(EB_BTF_TYPE_TAG) | EB_BTF_IS(EB_BTF_ARRAY) |
                           EB_BTF_IS(EB_BTF_FUNC_PROTO);
    uint32_t start = d->chain.len;
    eb_btf_type type = eb_btf_at(d->btf, id);
    for (; (links >> type.kind & 1 || is_builtin(&type)) && d->chain.len - start < DEEPEST;
         id = type.size_or_type, type = eb_btf_at(d->btf, id))
        if (!is_builtin(&type))
            *EB_PUSH(&d->ctx->arena, &d->chain) = id;
    *EB_PUSH(&d->ctx->arena, &d->chain) = id;
    if (enter(d, id))
        put_chain(d, start, name, level);
    leave(d);
    d->chain.len = start;
}

/* ---- records ---- */

static uint64_t round_up(uint64_t value, uint32_t to) {
    return (value + to - 1) / to * to;
}

static void put_pad(dumper *d, const char *type, uint64_t bits, uint32_t level) {
    new_line(d, level);
    put(d, eb_str_from(type));
    PUT(d, ": ");
    put_number(d, (uint32_t)bits);
    PUT(d, ";");
}

/* Fill the bits from `at` to `next`, where something of `align` bytes follows, as far as its
 * alignment does not. Large types do it in few lines: an unnamed field of type long and no bits
 * goes on at the next multiple of 64. */
static void put_padding(dumper *d, uint64_t at, uint64_t next, uint32_t align, bool in_bitfield,
                        uint32_t level) {
    static const struct {
        const char *name;
        uint32_t bits;
    } pads[] = {{"long", 64}, {"int", 32}, {"short", 16}, {"char", 8}};
    unsigned pad = 0, last = sizeof pads / sizeof *pads - 1;
    if (at >= next)
        return;
    while (pad < last && round_up(at, pads[pad].bits) > next)
        pad++;
    uint32_t bits = pads[pad].bits;
    uint64_t start = round_up(at, bits);
    if (start > at && start <= next) {
        bool aligned = align && round_up(at, align * 8) == start;
        if (in_bitfield || (start == next && !aligned) ||
            (start != next && next - start <= start - at))
            put_pad(d, pads[pad].name, in_bitfield ? start - at : 0, level);
        at = start;
    }
    uint64_t lines = (next - at) / bits;
    if (lines > d->steps) {
        fail(d, d->record, "has a hole that is too large to be filled");
        return;
    }
    d->steps -= lines;
    for (; next - at >= bits; at += bits)
        put_pad(d, pads[pad].name, bits, level);
    if (at == next)
        return;
    while (last && pads[last].bits < next - at)
        last--;
    put_pad(d, pads[last].name, next - at, level);
}

/* A union that is larger than its members gets one more without a name, a bit-field or many. */
static void put_union_size(dumper *d, uint64_t bits, uint32_t level) {
    bool many = bits > 64;
    if (many) {
        new_line(d, level);
        PUT(d, "struct {");
    }
    put_padding(d, 0, bits, 1, false, level + many);
    if (many) {
        new_line(d, level);
        PUT(d, "};");
    }
}

static void put_members(dumper *d, uint32_t id, const eb_btf_type *type, bool packed,
                        uint32_t level) {
    uint64_t at = 0, most = 0, size = (uint64_t)type->size_or_type * 8;
    bool in_bitfield = false;
    for (uint32_t i = 0; i < type->count && !d->failed; i++) {
        eb_btf_member m = eb_btf_member_at(d->btf, type, i);
        uint32_t align = packed ? 1 : align_of(d, m.type);
        d->record = id;
        put_padding(d, at, m.offset, align, in_bitfield && m.bits, level);
        new_line(d, level);
        put_decl(d, m.type, m.name, level);
        in_bitfield = m.bits;
        if (m.bits) {
            PUT(d, ": ");
            put_number(d, m.bits);
        }
        at = m.offset + (m.bits ? m.bits : (uint64_t)eb_btf_size(d->btf, m.type) * 8);
        PUT(d, ";");
        most = at > most ? at : most;
    }
    d->record = id;
    if (type->kind == EB_BTF_STRUCT)
        put_padding(d, at, size, align_of(d, id), false, level);
    else if (round_up(most, 8 * (packed ? 1 : eb_btf_align_of_members(d->aligns, type))) < size)
        put_union_size(d, size, level);
}

static void put_record(dumper *d, uint32_t id, const eb_btf_type *type, uint32_t level) {
    bool packed = is_packed(d, type);
    put(d, type->kind == EB_BTF_STRUCT ? EB_STR("struct") : EB_STR("union"));
    if (type->name.len)
        PUT(d, " ");
    put_type_name(d, id, type);
    PUT(d, " {");
    put_members(d, id, type, packed, level + 1);
    if (type->count || type->size_or_type)
        new_line(d, level);
    PUT(d, "}");
    if (packed)
        PUT(d, " __attribute__((packed))");
}

/* ---- enums ---- */

static void put_enumerator(dumper *d, const eb_btf_type *type, const eb_btf_member *m) {
    put_numbered(d, m->name, count_name(&d->identifiers, m->name));
    bool wide = type->kind == EB_BTF_ENUM64;
    if (type->kind_flag)
        eb_buf_fmt(d->out, wide ? " = %lldLL," : " = %lld,", (long long)m->value);
    else
        eb_buf_fmt(d->out, wide ? " = %lluULL," : " = %llu,", (unsigned long long)m->value);
}

/* An enum that is not as large as its values ask for. */
static void put_mode(dumper *d, const eb_btf_type *type) {
    bool wide = false;
    for (uint32_t i = 0; type->kind == EB_BTF_ENUM64 && i < type->count; i++)
        wide |= eb_btf_member_at(d->btf, type, i).value >> 32 != 0;
    if (type->size_or_type == 1)
        PUT(d, " __attribute__((mode(byte)))");
    else if (type->size_or_type == 2)
        PUT(d, " __attribute__((mode(HI)))");
    else if (type->size_or_type == 8 && !wide)
        PUT(d, " __attribute__((mode(word)))");
}

static void put_enum(dumper *d, uint32_t id, const eb_btf_type *type, uint32_t level) {
    put(d, type->name.len ? EB_STR("enum ") : EB_STR("enum"));
    put_type_name(d, id, type);
    if (!type->count)
        return;
    PUT(d, " {");
    for (uint32_t i = 0; i < type->count; i++) {
        eb_btf_member m = eb_btf_member_at(d->btf, type, i);
        new_line(d, level + 1);
        put_enumerator(d, type, &m);
    }
    new_line(d, level);
    PUT(d, "}");
    put_mode(d, type);
}

/* ---- emitting ---- */

static void emit(dumper *d, uint32_t id, uint32_t within);

/* gcc has types of its own for Arm's vectors, which clang does not know. */
static void emit_alias(dumper *d, const eb_btf_type *type) {
    static const struct {
        const char *name, *meaning;
    } aliases[] = {{"__Poly8_t", "unsigned char"},
                   {"__Poly16_t", "unsigned short"},
                   {"__Poly64_t", "unsigned long long"},
                   {"__Poly128_t", "unsigned __int128"}};
    for (unsigned i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (eb_str_is(type->name, aliases[i].name))
            eb_buf_fmt(d->out, "typedef %s %s;\n\n", aliases[i].meaning, aliases[i].name);
}

/* Of old gcc's other name for its own BTF says void. */
static void emit_typedef(dumper *d, uint32_t id, const eb_btf_type *type) {
    PUT(d, "typedef ");
    if (!type->size_or_type && eb_str_is(type->name, "__gnuc_va_list")) {
        PUT(d, "__builtin_va_list __gnuc_va_list");
    } else {
        /* Counted before it is written: what it stands on may have namesakes. */
        if (!d->states[id].number)
            d->states[id].number = count_name(&d->identifiers, type->name);
        eb_str name = type->name;
        if (d->states[id].number > 1)
            name = eb_str_fmt(&d->ctx->arena, "%.*s___%u", (int)name.len, name.at,
                              d->states[id].number);
        put_decl(d, type->size_or_type, name, 0);
    }
    PUT(d, ";\n\n");
}

static void declare(dumper *d, uint32_t id, const eb_btf_type *type) {
    put_reference(d, id, type, type->kind == EB_BTF_STRUCT ? EB_STR("struct ") : EB_STR("union "));
    PUT(d, ";\n\n");
    d->states[id].declared = true;
}

/* It is mentioned while it is being defined: by itself, or by what it needs. */
static void emit_again(dumper *d, uint32_t id, const eb_btf_type *type, uint32_t within) {
    state *s = &d->states[id];
    if (s->declared)
        return;
    if (is_record(type->kind)) {
        if (id == within)
            return;
        if (type->name.len)
            declare(d, id, type);
        else
            fail(d, id, "contains itself");
    } else if (type->kind == EB_BTF_TYPEDEF) {
        emit_typedef(d, id, type);
        s->declared = true;
    }
}

static void emit_record(dumper *d, uint32_t id, const eb_btf_type *type, uint32_t within) {
    state *s = &d->states[id];
    s->emit = NOW;
    if (!within || !type->name.len) {
        uint32_t inside = type->name.len ? id : within;
        for (uint32_t i = 0; i < type->count && !d->failed; i++)
            emit(d, eb_btf_member_at(d->btf, type, i).type, inside);
    } else if (!s->declared && id != within) {
        declare(d, id, type);
    }
    s->emit = within ? NOT_YET : DONE;
    if (within)
        return;
    put_record(d, id, type, 0);
    PUT(d, ";\n\n");
}

static void emit_kind(dumper *d, uint32_t id, const eb_btf_type *type, uint32_t within) {
    state *s = &d->states[id];
    switch (type->kind) {
    case EB_BTF_INT:
        emit_alias(d, type);
        s->emit = DONE;
        break;
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        if (!within) {
            put_enum(d, id, type, 0);
            PUT(d, ";\n\n");
        }
        s->emit = DONE;
        break;
    case EB_BTF_PTR:
    case EB_BTF_VOLATILE:
    case EB_BTF_CONST:
    case EB_BTF_RESTRICT:
    case EB_BTF_TYPE_TAG:
    case EB_BTF_ARRAY:
        emit(d, type->size_or_type, within);
        break;
    case EB_BTF_FWD:
        put_reference(d, id, type, type->kind_flag ? EB_STR("union ") : EB_STR("struct "));
        PUT(d, ";\n\n");
        s->emit = DONE;
        break;
    case EB_BTF_TYPEDEF:
        if (is_builtin(type)) {
            emit(d, type->size_or_type, within);
            break;
        }
        s->emit = NOW;
        emit(d, type->size_or_type, id);
        if (!s->declared)
            emit_typedef(d, id, type);
        s->emit = DONE;
        break;
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        emit_record(d, id, type, within);
        break;
    case EB_BTF_FUNC_PROTO:
        emit(d, type->size_or_type, within);
        for (uint32_t i = 0; i < type->count && !d->failed; i++)
            emit(d, eb_btf_member_at(d->btf, type, i).type, within);
        break;
    default:
        break;
    }
}

/* What has to stand before `id` is mentioned in the definition of `within`; 0: its definition. */
static void emit(dumper *d, uint32_t id, uint32_t within) {
    if (d->states[id].emit == DONE)
        return;
    eb_btf_type type = eb_btf_at(d->btf, id);
    if (d->states[id].emit == NOW)
        emit_again(d, id, &type, within);
    else if (enter(d, id)) {
        emit_kind(d, id, &type, within);
        leave(d);
    }
}

/* ---- all of it ---- */

static void refer(dumper *d, uint32_t id) {
    d->states[id].referenced = true;
}

/* Who is mentioned by anybody. */
static void mark_referenced(dumper *d) {
    for (uint32_t id = 1; id < d->btf->count; id++) {
        const uint32_t sized = EB_BTF_IS(EB_BTF_INT) | EB_BTF_IS(EB_BTF_STRUCT) |
                               EB_BTF_IS(EB_BTF_UNION) | EB_BTF_IS(EB_BTF_ENUM) |
                               EB_BTF_IS(EB_BTF_ENUM64) | EB_BTF_IS(EB_BTF_FWD) |
                               EB_BTF_IS(EB_BTF_FLOAT) | EB_BTF_IS(EB_BTF_DATASEC);
        eb_btf_type type = eb_btf_at(d->btf, id);
        if (!(sized >> type.kind & 1) && type.kind != EB_BTF_FUNC_PROTO)
            refer(d, type.size_or_type);
        if (type.kind == EB_BTF_ARRAY)
            refer(d, type.index_type);
        for (uint32_t i = 0; !is_enum(type.kind) && i < type.count; i++)
            refer(d, eb_btf_member_at(d->btf, &type, i).type);
    }
}

static void dump_type(dumper *d, uint32_t id) {
    d->queue.len = 0;
    if (order(d, id, false) < 0)
        return;
    for (uint32_t i = 0; i < d->queue.len && !d->failed; i++)
        emit(d, d->queue.at[i], 0);
}

/* Functions of the kernel that programs may call: those tagged so. */
static void dump_kfuncs(dumper *d) {
    PUT(d, "\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n");
    for (uint32_t id = 0;
         (id = eb_btf_next(d->btf, EB_BTF_IS(EB_BTF_DECL_TAG), EB_STR("bpf_kfunc"), id)) != 0;) {
        eb_btf_type tag = eb_btf_at(d->btf, id), func = eb_btf_at(d->btf, tag.size_or_type);
        if (tag.extra != UINT32_MAX || func.kind != EB_BTF_FUNC)
            continue;
        PUT(d, "extern ");
        put_decl(d, func.size_or_type, func.name, 0);
        PUT(d, " __weak __ksym;\n");
    }
    PUT(d, "#endif\n\n");
}

const char eb_btf_c_prologue[] =
    "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n"
    "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n"
    "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n"
    "#endif\n\n"
    "#ifndef __ksym\n#define __ksym __attribute__((section(\".ksyms\")))\n#endif\n\n"
    "#ifndef __weak\n#define __weak __attribute__((weak))\n#endif\n\n";

const char eb_btf_c_epilogue[] =
    "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n"
    "#endif\n\n#endif /* __VMLINUX_H__ */\n";

int eb_btf_dump_c(ebpf_ctx *ctx, const eb_btf *btf, const uint32_t *roots, uint32_t root_count,
                  eb_buf *out) {
    dumper d = {.ctx = ctx,
                .btf = btf,
                .out = out,
                .states = eb_alloc_array(&ctx->arena, btf->count, sizeof(state)),
                .aligns = eb_btf_aligns_new(&ctx->arena, btf, NULL),
                .steps = STEPS + (uint64_t)STEPS_PER_TYPE * btf->count,
                .tags = {.arena = &ctx->arena},
                .identifiers = {.arena = &ctx->arena}};
    d.states[0] = (state){.order = DONE, .emit = DONE};
    mark_referenced(&d);
    put(&d, eb_str_from(eb_btf_c_prologue));
    for (uint32_t i = 0; i < root_count && !d.failed; i++)
        dump_type(&d, roots[i]);
    for (uint32_t id = 1; !root_count && id < btf->count && !d.failed; id++)
        dump_type(&d, id);
    if (!root_count && !d.failed)
        dump_kfuncs(&d);
    put(&d, eb_str_from(eb_btf_c_epilogue));
    return d.failed ? EBPF_E_INPUT : EBPF_OK;
}
