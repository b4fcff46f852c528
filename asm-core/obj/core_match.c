/* core_match.c - is what a path says of the object's types so in a type of the target?
 *
 * Three questions with three notions of "the same": fields (along a path by names, what stands at
 * the end of each step being alike), types (alike all the way down, names ignored below the root),
 * and type_matches (every member there by name, and the same below). Typedefs, qualifiers and tags
 * never count. Answers are libbpf's, including where it gives up: types nested deeper than 32 are
 * an error, not a no. What libbpf does not have is the budget: comparing members of members can
 * take exponential time, so each comparison costs.
 * Source: libbpf's relo_core.c. */
#include "core_path.h"

#include <string.h>

enum { LEVELS = 32, LINKS = 32, NAME_UNIT = 64 };

/* ---- effort, names ---- */

static bool spend(eb_core_job *job, uint64_t cost) {
    if (job->effort < cost) {
        job->effort = 0;
        return false;
    }
    job->effort -= cost;
    return true;
}

static eb_core_match exhausted(eb_core_job *job) {
    return eb_core_because(job, EB_CORE_ERROR, "comparing its types takes too long");
}

static eb_core_match too_deep(eb_core_job *job) {
    return eb_core_because(job, EB_CORE_ERROR, "its types are nested too deeply to be compared");
}

static uint64_t cost_of(eb_str name) {
    return 1 + name.len / NAME_UNIT;
}

static bool same_essential(eb_str a, eb_str b) {
    return eb_str_eq(eb_btf_essential(a), eb_btf_essential(b));
}

/* Both nameless, or the same but for flavours. */
static bool same_name(eb_str local, eb_str target) {
    return target.len ? same_essential(local, target) : !local.len;
}

static bool is_record(eb_btf_kind kind) {
    return kind == EB_BTF_STRUCT || kind == EB_BTF_UNION;
}

/* An integer that says of itself that it begins within a byte: a bit-field of old. */
static bool is_shifted(const eb_btf_type *type) {
    return (type->extra >> 16 & 0xff) != 0;
}

/* A pair of types: the object's and the target's. */
typedef struct pair {
    const eb_btf *local, *target;
    uint32_t a, b;
} pair;

static pair strip(pair p) {
    p.a = eb_btf_strip(p.local, p.a);
    p.b = eb_btf_strip(p.target, p.b);
    return p;
}

/* ---- fields ---- */

static eb_core_match alike_fields(eb_core_job *job, pair p) {
    for (int link = 0; link < LINKS; link++) {
        p = strip(p);
        eb_btf_type a = eb_btf_at(p.local, p.a), b = eb_btf_at(p.target, p.b);
        if (!spend(job, 1))
            return exhausted(job);
        if (is_record(a.kind) && is_record(b.kind))
            return EB_CORE_YES;
        if (!eb_core_same_kind(a.kind, b.kind))
            return EB_CORE_NO;
        switch (a.kind) {
        case EB_BTF_PTR:
        case EB_BTF_FLOAT:
            return EB_CORE_YES;
        case EB_BTF_FWD:
        case EB_BTF_ENUM:
        case EB_BTF_ENUM64:
            return !a.name.len || !b.name.len || same_essential(a.name, b.name);
        case EB_BTF_INT:
            return !is_shifted(&a) && !is_shifted(&b);
        case EB_BTF_ARRAY:
            p.a = a.size_or_type;
            p.b = b.size_or_type;
            break;
        default:
            return EB_CORE_NO;
        }
    }
    return too_deep(job);
}

static eb_core_match other_type(eb_core_job *job, eb_str name) {
    return eb_core_because(job, EB_CORE_NO, "its '%.*s' is of another kind of type", (int)name.len,
                           name.at);
}

/* Look for the member that `local` went through in record `id` of the target and in the nameless
 * records in it; extend the path by the way there. `next` becomes the type of the member. */
static eb_core_match find_member(eb_core_job *job, const eb_btf *btf, const eb_core_step *local,
                                 uint32_t id, eb_core_path *path, uint32_t *next) {
    const eb_btf *target = path->types->btf;
    id = eb_btf_strip(target, id);
    eb_btf_type record = eb_btf_at(target, id), from = eb_btf_at(btf, local->type);
    uint32_t count = path->count, raw_count = path->raw_count, bit_offset = path->bit_offset;
    if (!is_record(record.kind))
        return EB_CORE_NO;
    for (uint32_t i = 0; i < record.count; i++) {
        eb_core_match match;
        if (path->raw_count == EB_CORE_DEEPEST)
            return too_deep(job);
        eb_btf_member m = eb_btf_member_at(target, &record, i);
        bool same = eb_str_eq(m.name, local->name);
        if (!spend(job, cost_of(m.name)))
            return exhausted(job);
        if (m.name.len && !same)
            continue;
        path->bit_offset += m.offset;
        path->raw[path->raw_count++] = (int32_t)i;
        if (same) {
            uint32_t type = eb_btf_member_at(btf, &from, local->index).type;
            path->steps[path->count++] = (eb_core_step){m.name, true, id, i};
            *next = m.type;
            match = alike_fields(job, (pair){btf, target, type, m.type});
            return match == EB_CORE_NO ? other_type(job, m.name) : match;
        }
        match = find_member(job, btf, local, m.type, path, next);
        if (match != EB_CORE_NO)
            return match;
        path->count = count;
        path->raw_count = raw_count;
        path->bit_offset = bit_offset;
    }
    return EB_CORE_NO;
}

/* Go to element `index` of type `id`: of the array that it is, or of an imagined one at the root.
 */
static eb_core_match find_element(eb_core_job *job, uint32_t index, bool root, uint32_t *id,
                                  eb_core_path *path) {
    const eb_btf *btf = path->types->btf;
    eb_btf_type type = eb_btf_at(btf, *id);
    if (!root) {
        if (type.kind != EB_BTF_ARRAY)
            return eb_core_because(job, EB_CORE_NO, "it has no array there");
        bool flexible = eb_core_is_flexible(btf, &path->steps[path->count - 1], &type);
        if (!flexible && index >= type.extra)
            return eb_core_because(job, EB_CORE_NO, "its array has %u elements, not %u", type.extra,
                                   index + 1);
        *id = eb_btf_strip(btf, type.size_or_type);
    }
    if (path->raw_count == EB_CORE_DEEPEST)
        return too_deep(job);
    path->steps[path->count++] = (eb_core_step){{0}, false, *id, index};
    path->raw[path->raw_count++] = (int32_t)index;
    int64_t size = eb_core_size(path->types, *id);
    if (size < 0)
        return eb_core_because(job, EB_CORE_ERROR, "the target's type has no size");
    path->bit_offset += (uint32_t)((int32_t)index * size * 8);
    return EB_CORE_YES;
}

static eb_core_match find_field(eb_core_job *job, const eb_core_path *local, uint32_t id,
                                eb_core_path *path) {
    for (uint32_t i = 0; i < local->count; i++) {
        const eb_core_step *step = &local->steps[i];
        id = eb_btf_strip(path->types->btf, id);
        job->why = (eb_str){0};
        eb_core_match match = step->named ? find_member(job, local->types->btf, step, id, path, &id)
                                          : find_element(job, step->index, i == 0, &id, path);
        if (match == EB_CORE_NO && !job->why.len)
            return eb_core_because(job, match, "it has no member '%.*s'", (int)step->name.len,
                                   step->name.at);
        if (match != EB_CORE_YES)
            return match;
    }
    return EB_CORE_YES;
}

static eb_core_match find_enumerator(eb_core_job *job, const eb_core_path *local, uint32_t id,
                                     eb_core_path *path) {
    const eb_btf *btf = path->types->btf;
    eb_str name = local->steps[0].name;
    id = eb_btf_strip(btf, id);
    eb_btf_type type = eb_btf_at(btf, id);
    if (!eb_core_is_enum(type.kind))
        return eb_core_because(job, EB_CORE_NO, "it is no enum");
    for (uint32_t i = 0; i < type.count; i++) {
        eb_btf_member m = eb_btf_member_at(btf, &type, i);
        if (!spend(job, cost_of(m.name)))
            return exhausted(job);
        if (!same_essential(name, m.name))
            continue;
        path->steps[path->count++] = (eb_core_step){m.name, true, id, i};
        path->raw[path->raw_count++] = (int32_t)i;
        return EB_CORE_YES;
    }
    return eb_core_because(job, EB_CORE_NO, "it has no enumerator '%.*s'", (int)name.len, name.at);
}

/* ---- types ---- */

static eb_core_match alike_types(eb_core_job *job, pair p, int level);

/* Parameters one by one; the results are left to the caller. */
static eb_core_match alike_params(eb_core_job *job, pair p, int level) {
    eb_btf_type a = eb_btf_at(p.local, p.a), b = eb_btf_at(p.target, p.b);
    if (a.count != b.count)
        return EB_CORE_NO;
    for (uint32_t i = 0; i < a.count; i++) {
        if (level <= 0)
            return too_deep(job);
        pair param = {p.local, p.target, eb_btf_member_at(p.local, &a, i).type,
                      eb_btf_member_at(p.target, &b, i).type};
        eb_core_match match = alike_types(job, strip(param), level - 1);
        if (match != EB_CORE_YES)
            return match;
    }
    return EB_CORE_YES;
}

static eb_core_match alike_types(eb_core_job *job, pair p, int level) {
    if (!eb_core_same_kind(eb_btf_kind_of(p.local, p.a), eb_btf_kind_of(p.target, p.b)))
        return EB_CORE_NO;
    for (int link = 0; link < LINKS; link++) {
        p = strip(p);
        eb_btf_type a = eb_btf_at(p.local, p.a), b = eb_btf_at(p.target, p.b);
        if (!spend(job, 1))
            return exhausted(job);
        if (!eb_core_same_kind(a.kind, b.kind))
            return EB_CORE_NO;
        switch (a.kind) {
        case EB_BTF_VOID:
        case EB_BTF_STRUCT:
        case EB_BTF_UNION:
        case EB_BTF_ENUM:
        case EB_BTF_ENUM64:
        case EB_BTF_FWD:
            return EB_CORE_YES;
        case EB_BTF_INT:
            return !is_shifted(&a) && !is_shifted(&b);
        case EB_BTF_FUNC_PROTO: {
            eb_core_match match = alike_params(job, p, level);
            if (match != EB_CORE_YES)
                return match;
            break;
        }
        case EB_BTF_PTR:
        case EB_BTF_ARRAY:
            break;
        default:
            return EB_CORE_NO;
        }
        p.a = a.size_or_type;
        p.b = b.size_or_type;
    }
    return too_deep(job);
}

/* ---- type_matches ---- */

static eb_core_match same_types(eb_core_job *job, pair p, bool behind_pointer, int level);

/* Every enumerator is there by name; values may differ. */
static eb_core_match same_enums(eb_core_job *job, pair p) {
    eb_btf_type a = eb_btf_at(p.local, p.a), b = eb_btf_at(p.target, p.b);
    if (a.size_or_type != b.size_or_type || a.count > b.count)
        return EB_CORE_NO;
    for (uint32_t i = 0, j; i < a.count; i++) {
        eb_str name = eb_btf_member_at(p.local, &a, i).name;
        for (j = 0; j < b.count; j++) {
            if (!spend(job, cost_of(name)))
                return exhausted(job);
            if (same_name(name, eb_btf_member_at(p.target, &b, j).name))
                break;
        }
        if (j == b.count)
            return EB_CORE_NO;
    }
    return EB_CORE_YES;
}

/* Every member is there by name and is the same. Several may be nameless: each is tried. */
static eb_core_match same_members(eb_core_job *job, pair p, bool behind_pointer, int level) {
    eb_btf_type a = eb_btf_at(p.local, p.a), b = eb_btf_at(p.target, p.b);
    if (a.count > b.count)
        return EB_CORE_NO;
    for (uint32_t i = 0; i < a.count; i++) {
        eb_btf_member m = eb_btf_member_at(p.local, &a, i);
        eb_core_match match = EB_CORE_NO;
        for (uint32_t j = 0; j < b.count && match == EB_CORE_NO; j++) {
            eb_btf_member n = eb_btf_member_at(p.target, &b, j);
            if (!spend(job, cost_of(m.name)))
                return exhausted(job);
            if (same_name(m.name, n.name))
                match = same_types(job, (pair){p.local, p.target, m.type, n.type}, behind_pointer,
                                   level - 1);
        }
        if (match != EB_CORE_YES)
            return match;
    }
    return EB_CORE_YES;
}

static eb_core_match same_params(eb_core_job *job, pair p, bool behind_pointer, int level) {
    eb_btf_type a = eb_btf_at(p.local, p.a), b = eb_btf_at(p.target, p.b);
    if (a.count != b.count)
        return EB_CORE_NO;
    for (uint32_t i = 0; i < a.count; i++) {
        pair param = {p.local, p.target, eb_btf_member_at(p.local, &a, i).type,
                      eb_btf_member_at(p.target, &b, i).type};
        eb_core_match match = same_types(job, param, behind_pointer, level - 1);
        if (match != EB_CORE_YES)
            return match;
    }
    return EB_CORE_YES;
}

/* A declared record and a defined one, behind a pointer; kind_flag of FWD means a union. */
static bool declares(const eb_btf_type *fwd, eb_btf_kind kind) {
    return kind == (fwd->kind_flag ? EB_BTF_UNION : EB_BTF_STRUCT);
}

static eb_core_match same_records(eb_core_job *job, pair p, bool behind_pointer, int level) {
    eb_btf_type a = eb_btf_at(p.local, p.a), b = eb_btf_at(p.target, p.b);
    if (a.kind == EB_BTF_FWD && b.kind == EB_BTF_FWD)
        return a.kind_flag == b.kind_flag;
    if (behind_pointer && a.kind == EB_BTF_FWD)
        return declares(&a, b.kind);
    if (behind_pointer && b.kind == EB_BTF_FWD)
        return declares(&b, a.kind);
    if (a.kind != b.kind)
        return EB_CORE_NO;
    return behind_pointer ? EB_CORE_YES : same_members(job, p, behind_pointer, level);
}

static eb_core_match same_types(eb_core_job *job, pair p, bool behind_pointer, int level) {
    if (level <= 0)
        return too_deep(job);
    for (int link = 0; link < LINKS; link++) {
        p = strip(p);
        eb_btf_type a = eb_btf_at(p.local, p.a), b = eb_btf_at(p.target, p.b);
        if (!spend(job, cost_of(a.name)))
            return exhausted(job);
        if (!same_name(a.name, b.name))
            return EB_CORE_NO;
        switch (a.kind) {
        case EB_BTF_VOID:
            return a.kind == b.kind;
        case EB_BTF_FWD:
        case EB_BTF_STRUCT:
        case EB_BTF_UNION:
            return same_records(job, p, behind_pointer, level);
        case EB_BTF_ENUM:
        case EB_BTF_ENUM64:
            return eb_core_is_enum(b.kind) ? same_enums(job, p) : EB_CORE_NO;
        case EB_BTF_INT:
            return a.kind == b.kind && a.size_or_type == b.size_or_type &&
                   !((a.extra ^ b.extra) >> 24 & EB_BTF_SIGNED);
        case EB_BTF_PTR:
            behind_pointer = true;
            break;
        case EB_BTF_ARRAY:
            if (a.extra != b.extra)
                return EB_CORE_NO;
            break;
        case EB_BTF_FUNC_PROTO: {
            eb_core_match match =
                a.kind == b.kind ? same_params(job, p, behind_pointer, level) : EB_CORE_NO;
            if (match != EB_CORE_YES)
                return match;
            break;
        }
        default:
            return EB_CORE_NO;
        }
        if (a.kind != b.kind)
            return EB_CORE_NO;
        p.a = a.size_or_type;
        p.b = b.size_or_type;
    }
    return too_deep(job);
}

/* ---- the question ---- */

eb_core_match eb_core_find(eb_core_job *job, const eb_core_path *local, const eb_core_types *types,
                           uint32_t id, eb_core_path *path) {
    pair roots = {local->types->btf, types->btf, local->root, id};
    eb_core_match match;
    path->types = types;
    path->root = id;
    path->kind = local->kind;
    path->count = path->raw_count = path->bit_offset = 0;
    switch (eb_core_class_of(local->kind)) {
    case EB_CORE_TYPE:
        match = local->kind == EB_CORE_TYPE_MATCHES ? same_types(job, roots, false, LEVELS)
                                                    : alike_types(job, roots, LEVELS);
        return match == EB_CORE_NO ? eb_core_because(job, match, "it is declared differently")
                                   : match;
    case EB_CORE_ENUMVAL:
        return find_enumerator(job, local, id, path);
    default:
        return find_field(job, local, id, path);
    }
}
