/* type.c - see type.h. */
#include "type.h"

static const struct {
    const char *name;
    uint8_t size; /* and alignment */
    bool is_unsigned;
} basics[EB_TYPE_BASIC_COUNT] = {
    [EB_TYPE_ERROR] = {"<error>", 1, false},
    [EB_TYPE_VOID] = {"void", 1, false},
    [EB_TYPE_BOOL] = {"_Bool", 1, true},
    [EB_TYPE_CHAR] = {"char", 1, false},
    [EB_TYPE_SCHAR] = {"signed char", 1, false},
    [EB_TYPE_UCHAR] = {"unsigned char", 1, true},
    [EB_TYPE_SHORT] = {"short", 2, false},
    [EB_TYPE_USHORT] = {"unsigned short", 2, true},
    [EB_TYPE_INT] = {"int", 4, false},
    [EB_TYPE_UINT] = {"unsigned int", 4, true},
    [EB_TYPE_LONG] = {"long", 8, false},
    [EB_TYPE_ULONG] = {"unsigned long", 8, true},
    [EB_TYPE_LLONG] = {"long long", 8, false},
    [EB_TYPE_ULLONG] = {"unsigned long long", 8, true},
    [EB_TYPE_INT128] = {"__int128", 16, false},
    [EB_TYPE_UINT128] = {"unsigned __int128", 16, true},
    [EB_TYPE_FLOAT] = {"float", 4, false},
    [EB_TYPE_DOUBLE] = {"double", 8, false},
    [EB_TYPE_LDOUBLE] = {"long double", 8, false},
};

enum { POINTER_SIZE = 8 };

/* ---- making ---- */

static bool is_sugar(const eb_type *type) {
    return type->kind >= EB_TYPE_TYPEDEF;
}

static eb_type *make(eb_types *types, eb_type_kind kind, eb_type *base) {
    eb_type *type = eb_alloc(&types->ctx->arena, sizeof *type);
    type->kind = (uint8_t)kind;
    type->base = base;
    return type;
}

void eb_types_init(eb_types *types, ebpf_ctx *ctx, eb_words *words, bool unsigned_char) {
    *types = (eb_types){.ctx = ctx, .words = words};
    for (unsigned kind = 0; kind < EB_TYPE_BASIC_COUNT; kind++)
        types->basic[kind] =
            (eb_type){.kind = (uint8_t)kind, .is_unsigned = basics[kind].is_unsigned};
    types->basic[EB_TYPE_CHAR].is_unsigned = unsigned_char;
}

eb_type *eb_type_basic(eb_types *types, eb_type_kind kind) {
    return &types->basic[kind];
}

eb_type *eb_type_pointer(eb_types *types, eb_type *to) {
    if (to->kind == EB_TYPE_ERROR)
        return to; /* what is made of it is as silent */
    if (!to->pointer)
        to->pointer = make(types, EB_TYPE_POINTER, to);
    return to->pointer;
}

eb_type *eb_type_array(eb_types *types, eb_type *of, uint64_t count) {
    if (of->kind == EB_TYPE_ERROR)
        return of;
    eb_type *type = make(types, EB_TYPE_ARRAY, of);
    type->count = count;
    return type;
}

eb_type *eb_type_function(eb_types *types, eb_type *result, const eb_param *params, uint64_t count,
                          bool variadic) {
    eb_type *type = make(types, EB_TYPE_FUNCTION, result);
    type->of.params = params;
    type->count = count;
    type->variadic = variadic;
    return type;
}

eb_type *eb_type_typedef(eb_types *types, uint32_t name, eb_type *of) {
    eb_type *type = make(types, EB_TYPE_TYPEDEF, of);
    type->of.name = name;
    return type;
}

eb_type *eb_type_qualified(eb_types *types, eb_type *type, unsigned quals) {
    if (type->kind == EB_TYPE_QUALIFIED) {
        quals |= type->quals;
        if (quals == type->quals)
            return type;
        type = type->base;
    }
    if (!quals)
        return type;
    eb_type *made = make(types, EB_TYPE_QUALIFIED, type);
    made->quals = (uint8_t)quals;
    return made;
}

eb_type *eb_type_with_tags(eb_types *types, eb_type *type, const eb_tags *tags) {
    for (uint32_t n = 0; n < tags->len; n++) {
        type = make(types, EB_TYPE_TAGGED, type);
        type->of.tag = tags->at[n];
    }
    return type;
}

eb_record *eb_record_new(eb_types *types, bool is_union, uint32_t name, eb_loc loc) {
    eb_record *record = eb_alloc(&types->ctx->arena, sizeof *record);
    record->is_union = is_union;
    record->name = name;
    record->loc = loc;
    record->align = 1;
    record->type = make(types, is_union ? EB_TYPE_UNION : EB_TYPE_STRUCT, NULL);
    record->type->of.record = record;
    return record;
}

bool eb_record_is_defined(const eb_record *record) {
    return record->complete || record->body || record->reading || record->btf;
}

eb_enum *eb_enum_new(eb_types *types, uint32_t name, eb_loc loc) {
    eb_enum *e = eb_alloc(&types->ctx->arena, sizeof *e);
    e->name = name;
    e->loc = loc;
    e->integer = eb_type_basic(types, EB_TYPE_UINT);
    e->type = make(types, EB_TYPE_ENUM, NULL);
    e->type->of.enumeration = e;
    return e;
}

/* ---- questions ---- */

eb_type *eb_type_plain(eb_type *type) {
    while (is_sugar(type))
        type = type->base;
    return type;
}

unsigned eb_type_quals(const eb_type *type) {
    unsigned quals = 0;
    for (; is_sugar(type) || type->kind == EB_TYPE_ARRAY; type = type->base)
        quals |= type->kind == EB_TYPE_QUALIFIED ? type->quals : 0;
    return quals;
}

eb_type *eb_type_unqualified(eb_types *types, eb_type *type) {
    if (type->kind == EB_TYPE_QUALIFIED)
        return eb_type_unqualified(types, type->base);
    /* A typedef of a qualified type: its name goes with the qualifiers. */
    if (type->kind == EB_TYPE_TYPEDEF && eb_type_quals(type) && !eb_type_is(type, EB_TYPE_ARRAY))
        return eb_type_unqualified(types, type->base);
    return type;
}

/* The tag that says so, or NULL. */
static const eb_type *space_tag(const eb_type *type) {
    for (; is_sugar(type) || type->kind == EB_TYPE_ARRAY; type = type->base)
        if (type->kind == EB_TYPE_TAGGED && eb_str_starts(type->of.tag, "address_space("))
            return type;
    return NULL;
}

unsigned eb_type_space(const eb_type *type) {
    const eb_type *tag = space_tag(type);
    unsigned space = 0;
    if (tag)
        for (const char *c = tag->of.tag.at + sizeof "address_space(" - 1; *c != ')'; c++)
            space = space * 10 + (unsigned)(*c - '0');
    return space;
}

static eb_type *in_space(eb_types *types, eb_type *type, const eb_type *tag) {
    eb_type *made = make(types, EB_TYPE_TAGGED, type);
    made->of.tag = tag->of.tag;
    return made;
}

eb_type *eb_type_part(eb_types *types, eb_type *type, const eb_type *whole) {
    unsigned quals = eb_type_quals(whole);
    const eb_type *tag = space_tag(type) ? NULL : space_tag(whole);
    if (!quals && !tag)
        return type;
    eb_type *plain = eb_type_plain(type);
    if (plain->kind == EB_TYPE_ARRAY)
        return eb_type_array(types, eb_type_part(types, plain->base, whole), plain->count);
    return eb_type_qualified(types, tag ? in_space(types, type, tag) : type, quals);
}

bool eb_type_is(eb_type *type, eb_type_kind kind) {
    return eb_type_plain(type)->kind == kind;
}

bool eb_type_is_integer(eb_type *type) {
    unsigned kind = eb_type_plain(type)->kind;
    return (kind >= EB_TYPE_BOOL && kind <= EB_TYPE_UINT128) || kind == EB_TYPE_ENUM;
}

bool eb_type_is_floating(eb_type *type) {
    unsigned kind = eb_type_plain(type)->kind;
    return kind >= EB_TYPE_FLOAT && kind <= EB_TYPE_LDOUBLE;
}

bool eb_type_is_wide(eb_type *type) {
    unsigned kind = eb_type_plain(type)->kind;
    return kind == EB_TYPE_INT128 || kind == EB_TYPE_UINT128;
}

bool eb_type_is_arithmetic(eb_type *type) {
    return eb_type_is_integer(type) || eb_type_is_floating(type);
}

bool eb_type_is_scalar(eb_type *type) {
    return eb_type_is_arithmetic(type) || eb_type_is(type, EB_TYPE_POINTER);
}

bool eb_type_is_record(eb_type *type) {
    return eb_type_is(type, EB_TYPE_STRUCT) || eb_type_is(type, EB_TYPE_UNION);
}

bool eb_type_is_unsigned(eb_type *type) {
    type = eb_type_plain(type);
    if (type->kind == EB_TYPE_ENUM)
        return eb_type_is_unsigned(type->of.enumeration->integer);
    return type->kind == EB_TYPE_POINTER || (type->kind < EB_TYPE_BASIC_COUNT && type->is_unsigned);
}

bool eb_type_is_complete(eb_type *type) {
    type = eb_type_plain(type);
    switch (type->kind) {
    case EB_TYPE_VOID:
        return false;
    case EB_TYPE_ARRAY:
        return type->count != EB_ARRAY_OPEN && eb_type_is_complete(type->base);
    case EB_TYPE_STRUCT:
    case EB_TYPE_UNION:
        return type->of.record->complete;
    case EB_TYPE_ENUM:
        return type->of.enumeration->complete;
    default:
        return true;
    }
}

uint64_t eb_type_size(eb_type *type) {
    type = eb_type_plain(type);
    switch (type->kind) {
    case EB_TYPE_ENUM:
        return eb_type_size(type->of.enumeration->integer);
    case EB_TYPE_POINTER:
        return POINTER_SIZE;
    case EB_TYPE_ARRAY:
        return type->count == EB_ARRAY_OPEN ? 0 : type->count * eb_type_size(type->base);
    case EB_TYPE_FUNCTION:
        return 1;
    case EB_TYPE_STRUCT:
    case EB_TYPE_UNION:
        return type->of.record->size;
    default:
        return basics[type->kind].size;
    }
}

uint32_t eb_type_align(eb_type *type) {
    uint32_t said = 0;
    for (; is_sugar(type); type = type->base)
        if (!said && type->align)
            said = type->align;
    if (said)
        return said;
    switch (type->kind) {
    case EB_TYPE_ARRAY:
        return eb_type_align(type->base);
    case EB_TYPE_STRUCT:
    case EB_TYPE_UNION:
        return type->of.record->align;
    case EB_TYPE_FUNCTION:
        return POINTER_SIZE;
    default:
        return (uint32_t)eb_type_size(type);
    }
}

/* Chains of typedefs make types of any depth, and functions of functions any number of ways through
 * them: what is not decided within `steps` counts as compatible. */
static bool compatible(eb_type *a, eb_type *b, bool loose, unsigned depth, unsigned *steps);

static bool same_params(const eb_type *a, const eb_type *b, unsigned depth, unsigned *steps) {
    if (a->no_prototype || b->no_prototype)
        return true;
    if (a->count != b->count || a->variadic != b->variadic)
        return false;
    for (uint64_t n = 0; n < a->count; n++)
        if (!compatible(a->of.params[n].type, b->of.params[n].type, true, depth, steps))
            return false;
    return true;
}

/* Records of the same tag and members from BTF and from the program are different types, as two
 * definitions in one unit would be. */
static bool compatible(eb_type *a, eb_type *b, bool loose, unsigned depth, unsigned *steps) {
    if (!depth || !*steps)
        return true;
    --*steps;
    if (!loose && eb_type_quals(a) != eb_type_quals(b))
        return false;
    a = eb_type_plain(a);
    b = eb_type_plain(b);
    if (a == b || a->kind == EB_TYPE_ERROR || b->kind == EB_TYPE_ERROR)
        return true;
    if (a->kind == EB_TYPE_ENUM && b->kind != EB_TYPE_ENUM)
        return b->kind == eb_type_plain(a->of.enumeration->integer)->kind;
    if (b->kind == EB_TYPE_ENUM && a->kind != EB_TYPE_ENUM)
        return a->kind == eb_type_plain(b->of.enumeration->integer)->kind;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case EB_TYPE_POINTER:
        return compatible(a->base, b->base, false, depth - 1, steps);
    case EB_TYPE_ARRAY:
        return (a->count == b->count || a->count == EB_ARRAY_OPEN || b->count == EB_ARRAY_OPEN) &&
               compatible(a->base, b->base, loose, depth - 1, steps);
    case EB_TYPE_FUNCTION:
        return compatible(a->base, b->base, true, depth - 1, steps) &&
               same_params(a, b, depth - 1, steps);
    case EB_TYPE_ENUM:
    case EB_TYPE_STRUCT:
    case EB_TYPE_UNION:
        return false;
    default:
        return true;
    }
}

bool eb_type_compatible(eb_type *a, eb_type *b, bool loose) {
    enum { DEPTH_MOST = 1000, STEPS_MOST = 10000 };
    unsigned steps = STEPS_MOST;
    return compatible(a, b, loose, DEPTH_MOST, &steps);
}

/* ---- conversions ---- */

eb_type *eb_type_promoted(eb_types *types, eb_type *type) {
    eb_type *plain = eb_type_plain(type);
    if (plain->kind == EB_TYPE_ENUM)
        plain = eb_type_plain(plain->of.enumeration->integer);
    if (plain->kind >= EB_TYPE_BOOL && plain->kind < EB_TYPE_INT)
        return eb_type_basic(types, EB_TYPE_INT); /* all of their values fit */
    return plain->kind < EB_TYPE_BASIC_COUNT && plain->kind != eb_type_plain(type)->kind
               ? plain
               : eb_type_unqualified(types, type);
}

eb_type *eb_type_common(eb_types *types, eb_type *a, eb_type *b) {
    a = eb_type_promoted(types, a);
    b = eb_type_promoted(types, b);
    /* The kinds stand in the order of their rank, unsigned behind signed. */
    unsigned x = eb_type_plain(a)->kind, y = eb_type_plain(b)->kind;
    if (x == y)
        return a;
    unsigned high = x > y ? x : y, low = x > y ? y : x;
    /* long long against unsigned long: neither holds all values of the other. */
    if (high == EB_TYPE_LLONG && low == EB_TYPE_ULONG)
        return eb_type_basic(types, EB_TYPE_ULLONG);
    return x > y ? a : b;
}

/* ---- records ---- */

typedef struct layout {
    uint64_t at; /* the next free bit */
    uint64_t end;
    uint32_t align; /* bytes */
} layout;

static uint64_t align_to(uint64_t value, uint64_t to) {
    return (value + to - 1) / to * to;
}

static uint32_t member_align(const eb_record *record, const eb_member *member) {
    bool packed = record->packed || member->packed;
    uint32_t align = packed ? 1 : eb_type_align(member->type);
    if (record->pack && align > record->pack)
        align = record->pack;
    return member->align > align ? member->align : align;
}

static void place_field(const eb_record *record, eb_member *member, layout *l) {
    uint64_t unit = eb_type_size(member->type) * 8;
    uint32_t align = member_align(record, member);
    bool packed = record->packed || member->packed || (record->pack && record->pack < align);
    if (member->bits == 0) { /* the next field starts a new unit */
        l->at = align_to(l->at, (uint64_t)eb_type_align(member->type) * 8);
        member->offset = l->at;
        return;
    }
    uint64_t at = record->is_union ? 0 : l->at;
    if (member->align)
        at = align_to(at, (uint64_t)member->align * 8);
    else if (!packed && at / unit != (at + member->bits - 1) / unit)
        at = align_to(at, (uint64_t)align * 8);
    member->offset = at;
    l->at = at + member->bits;
    if (member->name && align > l->align)
        l->align = align;
}

static void place(const eb_record *record, eb_member *member, layout *l) {
    uint32_t align = member_align(record, member);
    member->offset = record->is_union ? 0 : align_to(l->at, (uint64_t)align * 8);
    l->at = member->offset + eb_type_size(member->type) * 8;
    if (align > l->align)
        l->align = align;
}

bool eb_record_lay_out(eb_record *record) {
    layout l = {.align = 1};
    for (uint32_t n = 0; n < record->members.len; n++) {
        eb_member *member = &record->members.at[n];
        if (eb_type_size(member->type) > EB_OBJECT_MOST || l.end > EB_OBJECT_MOST * 8)
            return false;
        if (member->is_field)
            place_field(record, member, &l);
        else
            place(record, member, &l);
        if (l.at > l.end)
            l.end = l.at;
    }
    if (record->least_align > l.align)
        l.align = record->least_align;
    record->align = l.align;
    record->size = align_to(align_to(l.end, 8) / 8, l.align);
    record->complete = record->laid_out = true;
    return record->size <= EB_OBJECT_MOST;
}

/* ---- finding members ---- */

/* The record that an unnamed member is; NULL for others. */
static eb_record *anonymous(const eb_member *member) {
    bool is = !member->name && !member->is_field && eb_type_is_record(member->type);
    return is ? eb_type_plain(member->type)->of.record : NULL;
}

static uint32_t count_names(const eb_record *record) {
    uint32_t count = record->members.len;
    for (uint32_t n = 0; n < record->members.len; n++)
        if (anonymous(&record->members.at[n]))
            count += count_names(anonymous(&record->members.at[n]));
    return count;
}

static eb_named *slot_of(const eb_record *record, uint32_t name) {
    enum { SPREAD = 0x9e3779b1 };
    uint32_t at = name * (uint32_t)SPREAD >> 7 & record->index_mask;
    while (record->index[at].name && record->index[at].name != name)
        at = (at + 1) & record->index_mask;
    return &record->index[at];
}

/* Enters the names of `inner`, which is `record` itself or in its member number `at`. */
static void enter_names(eb_record *record, const eb_record *inner, uint32_t at) {
    for (uint32_t n = 0; n < inner->members.len; n++) {
        const eb_member *member = &inner->members.at[n];
        uint32_t place = inner == record ? n : at;
        if (anonymous(member))
            enter_names(record, anonymous(member), place);
        eb_named *slot = member->name ? slot_of(record, member->name) : NULL;
        if (slot && !slot->name)
            *slot = (eb_named){member->name, place};
    }
}

static void make_index(eb_types *types, eb_record *record) {
    uint32_t names = count_names(record), size = 64;
    while (size < names * 2)
        size *= 2;
    record->index = eb_alloc_array(&types->ctx->arena, size, sizeof *record->index);
    record->index_mask = size - 1;
    enter_names(record, record, 0);
}

/* The first member from `from` on with the name, or that is the anonymous record with it. */
static uint32_t find_in(eb_types *types, const eb_record *record, uint32_t from, uint32_t to,
                        uint32_t name, uint32_t path[EB_PATH_MOST]) {
    for (uint32_t n = from; n < to; n++) {
        const eb_member *member = &record->members.at[n];
        path[0] = n;
        if (member->name == name + 1)
            return 1;
        uint32_t inner[EB_PATH_MOST];
        uint32_t length =
            anonymous(member) ? eb_record_find(types, anonymous(member), name, inner) : 0;
        if (!length || length >= EB_PATH_MOST)
            continue;
        for (uint32_t i = 0; i < length; i++)
            path[i + 1] = inner[i];
        return length + 1;
    }
    return 0;
}

uint32_t eb_record_find(eb_types *types, eb_record *record, uint32_t name,
                        uint32_t path[EB_PATH_MOST]) {
    enum { LARGE = 16 };
    if (record->members.len < LARGE || !record->complete)
        return find_in(types, record, 0, record->members.len, name, path);
    if (!record->index)
        make_index(types, record);
    const eb_named *found = slot_of(record, name + 1);
    return found->name ? find_in(types, record, found->member, found->member + 1, name, path) : 0;
}

/* ---- text ---- */

static void put_quals(unsigned quals, eb_buf *out) {
    static const char *const names[] = {"const", "volatile", "restrict", "_Atomic"};
    for (unsigned n = 0; n < 4; n++)
        if (quals & (1u << n))
            eb_buf_fmt(out, "%s ", names[n]);
}

static void put_tag(const eb_types *types, const char *what, uint32_t name, eb_buf *out) {
    eb_str text = name ? types->words->names.at[name - 1].text : EB_STR("<anonymous>");
    eb_buf_fmt(out, "%s %.*s", what, (int)text.len, text.at);
}

/* A declarator reads inside out: what stands before the name, and what behind it. */
static void put_before(const eb_types *types, eb_type *type, unsigned depth, eb_buf *out) {
    if (!depth) {
        eb_buf_str(out, EB_STR("..."));
        return;
    }
    switch (type->kind) {
    case EB_TYPE_ENUM:
        put_tag(types, "enum", type->of.enumeration->name, out);
        break;
    case EB_TYPE_STRUCT:
    case EB_TYPE_UNION:
        put_tag(types, type->kind == EB_TYPE_UNION ? "union" : "struct", type->of.record->name,
                out);
        break;
    case EB_TYPE_TYPEDEF:
        eb_buf_str(out, types->words->names.at[type->of.name].text);
        break;
    case EB_TYPE_QUALIFIED:
        if (eb_type_is(type, EB_TYPE_POINTER) && type->base->kind != EB_TYPE_TYPEDEF) {
            put_before(types, type->base, depth - 1, out);
            put_quals(type->quals, out);
            out->len--; /* the space */
        } else {
            put_quals(type->quals, out);
            put_before(types, type->base, depth - 1, out);
        }
        break;
    case EB_TYPE_TAGGED:
        put_before(types, type->base, depth - 1, out);
        break;
    case EB_TYPE_POINTER:
        put_before(types, type->base, depth - 1, out);
        if (type->base->kind == EB_TYPE_ARRAY || type->base->kind == EB_TYPE_FUNCTION)
            eb_buf_str(out, EB_STR(" (*"));
        else
            eb_buf_str(out, out->len && out->at[out->len - 1] == '*' ? EB_STR("*") : EB_STR(" *"));
        break;
    case EB_TYPE_ARRAY:
    case EB_TYPE_FUNCTION:
        put_before(types, type->base, depth - 1, out);
        break;
    default:
        eb_buf_str(out, eb_str_from(basics[type->kind].name));
    }
}

static void put_behind(const eb_types *types, eb_type *type, unsigned depth, eb_buf *out) {
    if (!depth)
        return;
    if (type->kind == EB_TYPE_POINTER) {
        if (type->base->kind == EB_TYPE_ARRAY || type->base->kind == EB_TYPE_FUNCTION)
            eb_buf_byte(out, ')');
        put_behind(types, type->base, depth - 1, out);
    } else if (type->kind == EB_TYPE_ARRAY) {
        if (type->count == EB_ARRAY_OPEN)
            eb_buf_str(out, EB_STR("[]"));
        else
            eb_buf_fmt(out, "[%llu]", (unsigned long long)type->count);
        put_behind(types, type->base, depth - 1, out);
    } else if (type->kind == EB_TYPE_FUNCTION) {
        eb_buf_byte(out, '(');
        for (uint64_t n = 0; n < type->count; n++) {
            if (n)
                eb_buf_str(out, EB_STR(", "));
            eb_type_text(types, type->of.params[n].type, out);
        }
        if (type->variadic)
            eb_buf_str(out, type->count ? EB_STR(", ...") : EB_STR("..."));
        else if (!type->count && !type->no_prototype)
            eb_buf_str(out, EB_STR("void"));
        eb_buf_byte(out, ')');
        put_behind(types, type->base, depth - 1, out);
    } else if (type->kind == EB_TYPE_QUALIFIED || type->kind == EB_TYPE_TAGGED) {
        put_behind(types, type->base, depth - 1, out);
    }
}

void eb_type_text(const eb_types *types, eb_type *type, eb_buf *out) {
    enum { DEPTH_MOST = 200 };
    put_before(types, type, DEPTH_MOST, out);
    put_behind(types, type, DEPTH_MOST, out);
}

static eb_type *written_function(eb_types *types, eb_type *type) {
    eb_param *params = eb_alloc_array(&types->ctx->arena, (size_t)type->count, sizeof *params);
    for (uint64_t n = 0; n < type->count; n++)
        params[n] = (eb_param){.type = eb_type_written_out(types, type->of.params[n].type)};
    eb_type *made = eb_type_function(types, eb_type_written_out(types, type->base), params,
                                     type->count, type->variadic);
    made->no_prototype = type->no_prototype;
    return made;
}

eb_type *eb_type_written_out(eb_types *types, eb_type *type) {
    const eb_type *plain;
    switch (type->kind) {
    case EB_TYPE_TYPEDEF:
        plain = eb_type_plain(type);
        if ((eb_type_is_record(type) && !plain->of.record->name) ||
            (plain->kind == EB_TYPE_ENUM && !plain->of.enumeration->name))
            return type; /* it has no other name */
        return eb_type_written_out(types, type->base);
    case EB_TYPE_QUALIFIED:
        return eb_type_qualified(types, eb_type_written_out(types, type->base), type->quals);
    case EB_TYPE_TAGGED:
        return eb_type_written_out(types, type->base);
    case EB_TYPE_POINTER:
        return eb_type_pointer(types, eb_type_written_out(types, type->base));
    case EB_TYPE_ARRAY:
        return eb_type_array(types, eb_type_written_out(types, type->base), type->count);
    case EB_TYPE_FUNCTION:
        return written_function(types, type);
    default:
        return type;
    }
}
