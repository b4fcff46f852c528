/* kernel_types.c - BTF's types as the compiler's: each id once, when somebody needs it.
 *
 * A record is made without its members, so that what points to it needs no more of BTF than its
 * name; they come when it must be complete. Sizes and offsets are BTF's own; what BTF does not say,
 * alignment and whether a record is packed, is inferred as dumping it as C infers it. */
#include "kernel.h"

enum { NESTING_MOST = 200, SIZE_MOST = 1u << 30 };

static eb_type *basic(eb_kernel *k, eb_type_kind kind) {
    return eb_type_basic(&k->u->types, kind);
}

static eb_type *fail(eb_kernel *k, const eb_btf *btf, uint32_t id, const char *why) {
    eb_str name = eb_btf_name(btf, id);
    eb_diag_input(k->u->ctx, EB_DIAG_BTF_NOT_C, btf->name, -1, id, (int)name.len, name.at, why);
    return basic(k, EB_TYPE_ERROR);
}

/* ---- names ---- */

static bool is_record(eb_btf_kind kind) {
    return kind == EB_BTF_STRUCT || kind == EB_BTF_UNION;
}

/* 1 + the number of a name as C has it: namesakes are told apart by their number. Only names that
 * the unit mentions have one, but nobody asks for the others by name. */
static uint32_t name_of(eb_kernel *k, eb_str name, eb_kernel_place place) {
    const uint32_t *word = name.len ? eb_map_find(&k->index, name) : NULL;
    uint32_t number = 1;
    bool tag = place.number == EB_KERNEL_TYPE &&
               eb_btf_kind_of(k->btfs[place.btf].btf, place.id) != EB_BTF_TYPEDEF;
    uint32_t at = !word ? 0 : tag ? k->words.at[*word].tags : k->words.at[*word].ordinary;
    for (; at; at = k->places.at[at - 1].next) {
        const eb_kernel_place *p = &k->places.at[at - 1];
        if (p->btf == place.btf && p->id == place.id && p->number == place.number)
            break;
        number += eb_kernel_defines(k, p);
    }
    if (at && number > 1)
        name = eb_str_fmt(&k->u->ctx->arena, "%.*s___%u", (int)name.len, name.at, (unsigned)number);
    return name.len ? eb_name_enter(k->u->words, name) + 1 : 0;
}

bool eb_kernel_defines(const eb_kernel *k, const eb_kernel_place *place) {
    eb_btf_type type = eb_btf_at(k->btfs[place->btf].btf, place->id);
    return type.kind != EB_BTF_FWD && (type.kind != EB_BTF_ENUM || type.count);
}

/* ---- integers and floats ---- */

/* By its name, which is one in C, or else by its size. */
static eb_type *integer(eb_kernel *k, const eb_btf *btf, uint32_t id, const eb_btf_type *type) {
    static const uint8_t kinds[][2] = {[1] = {EB_TYPE_UCHAR, EB_TYPE_SCHAR},
                                       [2] = {EB_TYPE_USHORT, EB_TYPE_SHORT},
                                       [4] = {EB_TYPE_UINT, EB_TYPE_INT},
                                       [8] = {EB_TYPE_ULONG, EB_TYPE_LONG},
                                       [16] = {EB_TYPE_UINT128, EB_TYPE_INT128}};
    eb_type *made = eb_type_of_words(k->u, type->name);
    uint32_t size = type->size_or_type;
    if (made && eb_type_is_integer(made) && eb_type_size(made) == size)
        return made;
    if (size > 16 || !size || size & (size - 1))
        return fail(k, btf, id, "is an integer of a size that C does not have");
    return basic(k, kinds[size][type->extra >> 24 & EB_BTF_SIGNED]);
}

static eb_type *floating(eb_kernel *k, uint32_t size) {
    return basic(k, size == 4 ? EB_TYPE_FLOAT : size == 8 ? EB_TYPE_DOUBLE : EB_TYPE_LDOUBLE);
}

/* ---- arrays and functions ---- */

static eb_type *array(eb_kernel *k, uint32_t n, uint32_t id, const eb_btf_type *type) {
    const eb_btf *btf = k->btfs[n].btf;
    eb_type *of = eb_kernel_type(k, n, type->size_or_type);
    uint32_t size = eb_btf_size(btf, type->size_or_type);
    if (eb_type_is(of, EB_TYPE_FUNCTION) || eb_type_is(of, EB_TYPE_VOID))
        return fail(k, btf, id, "is an array of what has no size");
    if (size && type->extra > SIZE_MOST / size)
        return fail(k, btf, id, "is too large");
    return eb_type_array(&k->u->types, of, type->extra);
}

static eb_type *as_parameter(eb_kernel *k, eb_type *type) {
    eb_type *plain = eb_type_plain(type);
    if (plain->kind == EB_TYPE_ARRAY)
        return eb_type_pointer(&k->u->types, plain->base);
    return plain->kind == EB_TYPE_FUNCTION ? eb_type_pointer(&k->u->types, type) : type;
}

static eb_type *function(eb_kernel *k, uint32_t n, uint32_t id, const eb_btf_type *type) {
    const eb_btf *btf = k->btfs[n].btf;
    eb_type *result = eb_kernel_type(k, n, type->size_or_type);
    if (eb_type_is(result, EB_TYPE_FUNCTION) || eb_type_is(result, EB_TYPE_ARRAY))
        return fail(k, btf, id, "gives an array or a function");
    eb_param *params = eb_alloc_array(&k->u->ctx->arena, type->count, sizeof *params);
    uint32_t count = 0;
    for (; count < type->count; count++) {
        eb_btf_member m = eb_btf_member_at(btf, type, count);
        if (!m.type && count + 1 == type->count) /* nothing (alone), or any number of any */
            return eb_type_function(&k->u->types, result, params, count, count > 0);
        eb_type *param = as_parameter(k, eb_kernel_type(k, n, m.type));
        if (eb_type_is(param, EB_TYPE_VOID))
            return fail(k, btf, id, "has a parameter of type void");
        uint32_t name = m.name.len ? eb_name_enter(k->u->words, m.name) + 1 : 0;
        params[count] = (eb_param){.type = param, .name = name, .loc = k->lo};
    }
    return eb_type_function(&k->u->types, result, params, count, false);
}

/* ---- enums ---- */

static eb_type *enumeration(eb_kernel *k, uint32_t n, uint32_t id, const eb_btf_type *type) {
    const eb_btf *btf = k->btfs[n].btf;
    uint32_t name = name_of(k, type->name, (eb_kernel_place){n, id, EB_KERNEL_TYPE, 0});
    eb_type *own = name ? eb_file_tag(k->u, name - 1) : NULL;
    eb_enum *e = own && own->kind == EB_TYPE_ENUM && !own->of.enumeration->complete
                     ? own->of.enumeration
                     : eb_enum_new(&k->u->types, name, k->lo);
    for (uint32_t i = 0; i < type->count; i++) {
        eb_btf_member m = eb_btf_member_at(btf, type, i);
        uint32_t its = name_of(k, m.name, (eb_kernel_place){n, id, i, 0});
        if (!its)
            return fail(k, btf, id, "has a value without a name");
        e->is_unsigned = e->is_unsigned || (!type->kind_flag && (int64_t)m.value < 0);
        *EB_PUSH(&k->u->ctx->arena, &e->list) = (eb_enumerator){its - 1, (int64_t)m.value, k->lo};
    }
    if (type->count)
        eb_enum_finish(k->u, e);
    /* Of another size than its values ask for: as C says that by attribute mode. */
    eb_attrs attrs = {.mode = type->size_or_type};
    if (type->count && eb_type_size(e->type) != type->size_or_type)
        eb_apply_type_attrs(k->u, e->type, &attrs, k->lo);
    return e->type;
}

/* ---- records ---- */

static eb_btf_kind declared_kind(const eb_btf *btf, uint32_t id) {
    return eb_btf_at(btf, id).kind_flag ? EB_BTF_UNION : EB_BTF_STRUCT;
}

/* The names of records that are only declared somewhere, with the first definition in the same BTF
 * or its base, or else with the declaration. */
static void find_definitions(eb_kernel *k, eb_kernel_btf *own) {
    const eb_btf *btf = own->btf;
    bool is_new;
    own->definitions.arena = &k->u->ctx->arena;
    for (uint32_t id = btf->first; id < btf->count; id++)
        if (eb_btf_kind_of(btf, id) == EB_BTF_FWD)
            *eb_map_enter(&own->definitions, eb_btf_name(btf, id), &is_new) = id;
    for (uint32_t id = 1; id < btf->count; id++) {
        eb_btf_kind kind = eb_btf_kind_of(btf, id);
        uint32_t *found =
            is_record(kind) ? eb_map_find(&own->definitions, eb_btf_name(btf, id)) : NULL;
        if (found && eb_btf_kind_of(btf, *found) == EB_BTF_FWD &&
            declared_kind(btf, *found) == kind)
            *found = id;
    }
}

/* The unit's own record of that name, which it has only declared so far, or a new one. */
static eb_record *record_for(eb_kernel *k, uint32_t name, bool is_union) {
    eb_type *own = name ? eb_file_tag(k->u, name - 1) : NULL;
    if (own && own->kind == (is_union ? EB_TYPE_UNION : EB_TYPE_STRUCT) &&
        !eb_record_is_defined(own->of.record))
        return own->of.record;
    return eb_record_new(&k->u->types, is_union, name, k->lo);
}

static eb_type *record(eb_kernel *k, uint32_t n, uint32_t id, const eb_btf_type *type) {
    uint32_t name = name_of(k, type->name, (eb_kernel_place){n, id, EB_KERNEL_TYPE, 0});
    eb_record *made = record_for(k, name, type->kind == EB_BTF_UNION);
    if (type->size_or_type > SIZE_MOST)
        return fail(k, k->btfs[n].btf, id, "is too large");
    made->btf = n + 1;
    made->btf_id = id;
    made->preserve = made->preserve || k->preserve;
    return made->type;
}

static eb_type *declared_record(eb_kernel *k, uint32_t n, const eb_btf_type *type) {
    eb_kernel_btf *own = &k->btfs[n];
    if (!own->definitions.arena)
        find_definitions(k, own);
    const uint32_t *found = eb_map_find(&own->definitions, type->name);
    if (found && is_record(eb_btf_kind_of(own->btf, *found)))
        return eb_kernel_type(k, n, *found);
    uint32_t name = type->name.len ? eb_name_enter(k->u->words, type->name) + 1 : 0;
    return record_for(k, name, type->kind_flag)->type;
}

/* ---- any type ---- */

static eb_type *qualified(eb_kernel *k, uint32_t n, const eb_btf_type *type) {
    eb_type *of = eb_kernel_type(k, n, type->size_or_type);
    /* gcc repeats those of its elements for an array, and marks functions that do not return so. */
    if (of->kind == EB_TYPE_ARRAY || of->kind == EB_TYPE_FUNCTION)
        return of;
    return eb_type_qualified(&k->u->types, of,
                             type->kind == EB_BTF_CONST      ? EB_CONST
                             : type->kind == EB_BTF_VOLATILE ? EB_VOLATILE
                                                             : EB_RESTRICT);
}

static eb_type *named(eb_kernel *k, uint32_t n, uint32_t id, const eb_btf_type *type) {
    eb_type *of = eb_kernel_type(k, n, type->size_or_type);
    /* The compiler's own name: it is what it stands for. */
    if (eb_str_is(type->name, "__builtin_va_list"))
        return of;
    uint32_t name = name_of(k, type->name, (eb_kernel_place){n, id, EB_KERNEL_TYPE, 0});
    return name ? eb_type_typedef(&k->u->types, name - 1, of) : of;
}

static eb_type *tagged(eb_kernel *k, uint32_t n, const eb_btf_type *type) {
    eb_str tag = type->name;
    eb_tags tags = {&tag, 1, 1};
    return eb_type_with_tags(&k->u->types, eb_kernel_type(k, n, type->size_or_type), &tags);
}

static eb_type *make(eb_kernel *k, uint32_t n, uint32_t id) {
    const eb_btf *btf = k->btfs[n].btf;
    if (eb_btf_check(k->u->ctx, btf, id))
        return basic(k, EB_TYPE_ERROR);
    eb_btf_type type = eb_btf_at(btf, id);
    switch (type.kind) { /* one case per row */
    case EB_BTF_INT:
        return integer(k, btf, id, &type);
    case EB_BTF_FLOAT:
        return floating(k, type.size_or_type);
    case EB_BTF_PTR:
        return eb_type_pointer(&k->u->types, eb_kernel_type(k, n, type.size_or_type));
    case EB_BTF_ARRAY:
        return array(k, n, id, &type);
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        return record(k, n, id, &type);
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        return enumeration(k, n, id, &type);
    case EB_BTF_FWD:
        return declared_record(k, n, &type);
    case EB_BTF_TYPEDEF:
        return named(k, n, id, &type);
    case EB_BTF_CONST:
    case EB_BTF_VOLATILE:
    case EB_BTF_RESTRICT:
        return qualified(k, n, &type);
    case EB_BTF_TYPE_TAG:
        return tagged(k, n, &type);
    case EB_BTF_FUNC_PROTO:
        return function(k, n, id, &type);
    default:
        return fail(k, btf, id, "is no type");
    }
}

eb_type *eb_kernel_type(eb_kernel *k, uint32_t n, uint32_t id) {
    if (!id)
        return basic(k, EB_TYPE_VOID);
    if (id < k->btfs[n].btf->first)
        n = 0;
    const eb_btf *btf = k->btfs[n].btf;
    if (id < btf->first || id >= btf->count)
        return fail(k, btf, id, "is not there");
    eb_type **slot = &k->btfs[n].types[id - btf->first];
    if (*slot == &k->making || (!*slot && k->depth >= NESTING_MOST))
        return fail(k, btf, id, *slot ? "contains itself" : "is nested too deeply");
    if (!*slot) {
        *slot = &k->making;
        k->depth++;
        *slot = make(k, n, id);
        k->depth--;
    }
    return *slot;
}

/* ---- members ---- */

/* What the layout must keep to, whatever BTF says; a reason, or NULL. */
static const char *fault_of(const eb_record *record, const eb_member *member) {
    uint64_t size = eb_type_size(member->type) * 8, end = record->size * 8;
    bool open = eb_type_is(member->type, EB_TYPE_ARRAY);
    if (eb_type_is(member->type, EB_TYPE_FUNCTION) ||
        (!open && !eb_type_is_complete(member->type) && !eb_type_is(member->type, EB_TYPE_ERROR)))
        return "has a member without a size";
    if (member->is_field)
        return !eb_type_is_integer(member->type) || member->bits > size ||
                       member->offset + member->bits > end
                   ? "has a bit-field that its type or the record has no room for"
                   : NULL;
    if (member->offset % 8)
        return "has a member that does not start at a byte";
    return eb_type_is(member->type, EB_TYPE_ERROR) || member->offset + size <= end
               ? NULL
               : "has a member that ends behind it";
}

/* Whether a member of that type would be inside of itself. */
static bool is_being_read(eb_type *type) {
    for (type = eb_type_plain(type); type->kind == EB_TYPE_ARRAY;)
        type = eb_type_plain(type->base);
    return eb_type_is_record(type) && type->of.record->reading;
}

/* False when it is not as C could have it. */
static bool add_member(eb_kernel *k, uint32_t n, eb_record *record, const eb_btf_member *m) {
    eb_member member = {.name = m->name.len ? eb_name_enter(k->u->words, m->name) + 1 : 0,
                        .type = eb_kernel_type(k, n, m->type),
                        .offset = m->offset,
                        .bits = (uint16_t)m->bits,
                        .is_field = m->bits != 0,
                        .loc = k->lo};
    const char *why = is_being_read(member.type) ? "contains itself" : NULL;
    if (!why) {
        eb_complete(k->u, member.type);
        why = fault_of(record, &member);
    }
    if (why) {
        fail(k, k->btfs[n].btf, record->btf_id, why);
        member = (eb_member){.name = member.name, .type = basic(k, EB_TYPE_ERROR), .loc = k->lo};
    }
    *EB_PUSH(&k->u->ctx->arena, &record->members) = member;
    return !why;
}

/* What BTF does not say of the layout. */
static void infer(eb_kernel *k, uint32_t n, eb_record *record, const eb_btf_type *type) {
    eb_btf_aligns *aligns = k->btfs[n].aligns;
    record->packed = eb_btf_is_packed(aligns, type);
    for (uint32_t i = 0; !record->packed && i < record->members.len; i++) {
        uint32_t align = eb_type_align(record->members.at[i].type);
        record->align = align > record->align && record->size % align == 0 ? align : record->align;
    }
    if (aligns->fault && !k->btfs[n].told)
        fail(k, k->btfs[n].btf, aligns->fault_id, aligns->fault);
    k->btfs[n].told = aligns->fault != NULL;
}

void eb_kernel_complete(eb_unit *u, eb_record *record) {
    eb_kernel *k = u->kernel;
    uint32_t n = record->btf - 1;
    eb_btf_type type = eb_btf_at(k->btfs[n].btf, record->btf_id);
    bool sound = true;
    eb_nest(u);
    record->btf = 0;
    record->reading = true;
    record->size = type.size_or_type;
    for (uint32_t i = 0; i < type.count; i++) {
        eb_btf_member m = eb_btf_member_at(k->btfs[n].btf, &type, i);
        sound = add_member(k, n, record, &m) && sound;
    }
    if (sound)
        infer(k, n, record, &type);
    record->reading = false;
    record->complete = record->laid_out = true;
    eb_unnest(u);
}
