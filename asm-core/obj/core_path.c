/* core_path.c - the access string of a CO-RE record as a path through types, and as text.
 *
 * "0:1:2" starts at a type, as if there were an array of it: element 0, its member 1, of that the
 * member or element 2. Only what has a name and what is counted can be found again in other types,
 * so a path has these as steps; nameless structs and unions on the way only add to the offset. */
#include "core_path.h"

#include <limits.h>

static const struct {
    uint8_t class;
    const char *name;
} kinds[] = {
#define CORE(id, number, class, name) [number] = {EB_CORE_##class, name},
#include "core.def"
};

enum { KIND_COUNT = sizeof kinds / sizeof *kinds, RESOLVE_DEEPEST = 32 };

const char *eb_core_kind_name(uint32_t kind) {
    return kind < KIND_COUNT ? kinds[kind].name : "unknown";
}

eb_core_class eb_core_class_of(uint32_t kind) {
    return kind < KIND_COUNT ? (eb_core_class)kinds[kind].class : EB_CORE_NONE;
}

eb_core_match eb_core_because(eb_core_job *job, eb_core_match match, const char *format, ...) {
    eb_buf text = {.arena = job->arena};
    va_list args;
    va_start(args, format);
    eb_buf_vfmt(&text, format, args);
    va_end(args);
    job->why = (eb_str){(const char *)text.at, text.len};
    return match;
}

/* ---- types ---- */

bool eb_core_is_enum(eb_btf_kind kind) {
    return kind == EB_BTF_ENUM || kind == EB_BTF_ENUM64;
}

bool eb_core_same_kind(eb_btf_kind a, eb_btf_kind b) {
    return a == b || (eb_core_is_enum(a) && eb_core_is_enum(b));
}

int64_t eb_core_size(const eb_core_types *types, uint32_t id) {
    uint64_t times = 1, size;
    for (int depth = 0; depth < RESOLVE_DEEPEST; depth++) {
        eb_btf_type type = eb_btf_at(types->btf, id);
        switch (type.kind) {
        case EB_BTF_INT:
        case EB_BTF_FLOAT:
        case EB_BTF_STRUCT:
        case EB_BTF_UNION:
        case EB_BTF_ENUM:
        case EB_BTF_ENUM64:
        case EB_BTF_DATASEC:
        case EB_BTF_PTR:
            size = type.kind == EB_BTF_PTR ? types->pointer_size : type.size_or_type;
            return times * size <= UINT32_MAX ? (int64_t)(times * size) : -1;
        case EB_BTF_ARRAY:
            times *= type.extra;
            if (times > UINT32_MAX)
                return -1;
            break;
        case EB_BTF_TYPEDEF:
        case EB_BTF_VOLATILE:
        case EB_BTF_CONST:
        case EB_BTF_RESTRICT:
        case EB_BTF_TYPE_TAG:
        case EB_BTF_VAR:
        case EB_BTF_DECL_TAG:
            break;
        default:
            return -1;
        }
        id = type.size_or_type;
    }
    return -1;
}

bool eb_core_is_flexible(const eb_btf *btf, const eb_core_step *step, const eb_btf_type *array) {
    return step->named && !array->extra && step->index + 1 == eb_btf_at(btf, step->type).count;
}

/* ---- parsing ---- */

/* The next number of the access string; false when there is none. */
static bool take_number(eb_str *text, int32_t *out) {
    int64_t value = 0;
    bool negative = text->len && text->at[0] == '-';
    size_t n = negative, first = n;
    for (; n < text->len && text->at[n] >= '0' && text->at[n] <= '9'; n++)
        if ((value = value * 10 + (text->at[n] - '0')) > INT32_MAX)
            return false;
    if (n == first || (n < text->len && (text->at[n] != ':' || n + 1 == text->len)))
        return false;
    *out = (int32_t)(negative ? -value : value);
    n += n < text->len; /* the colon */
    *text = (eb_str){text->at + n, text->len - n};
    return true;
}

static eb_core_match parse_raw(eb_core_job *job, eb_str text, eb_core_path *path) {
    eb_str left = text;
    while (left.len || !path->raw_count) {
        if (path->raw_count == EB_CORE_DEEPEST)
            return eb_core_because(job, EB_CORE_ERROR, "its path has more than %u steps",
                                   EB_CORE_DEEPEST);
        if (!take_number(&left, &path->raw[path->raw_count++]))
            return eb_core_because(job, EB_CORE_ERROR, "its path '%.*s' is not like 0:1:2",
                                   (int)(text.len < 80 ? text.len : 80), text.at);
    }
    return EB_CORE_YES;
}

static eb_core_step *add_step(eb_core_path *path, eb_str name, bool named, uint32_t type,
                              int32_t index) {
    eb_core_step *step = &path->steps[path->count++];
    *step = (eb_core_step){name, named, type, (uint32_t)index};
    return step;
}

static eb_core_match out_of_range(eb_core_job *job, const eb_core_path *path, uint32_t at,
                                  const char *what, uint32_t count) {
    return eb_core_because(job, EB_CORE_ERROR, "step %u of its path is %s %d of %u", at, what,
                           path->raw[at], count);
}

static eb_core_match parse_enumerator(eb_core_job *job, eb_core_path *path) {
    const eb_btf *btf = path->types->btf;
    uint32_t id = eb_btf_strip(btf, path->root);
    eb_btf_type type = eb_btf_at(btf, id);
    if (!eb_core_is_enum(type.kind))
        return eb_core_because(job, EB_CORE_ERROR, "it asks for an enumerator of what is no enum");
    if (path->raw_count != 1)
        return eb_core_because(job, EB_CORE_ERROR, "the path of an enumerator is one number");
    if ((uint32_t)path->raw[0] >= type.count)
        return out_of_range(job, path, 0, "enumerator", type.count);
    eb_btf_member m = eb_btf_member_at(btf, &type, (uint32_t)path->raw[0]);
    add_step(path, m.name, true, id, path->raw[0]);
    return EB_CORE_YES;
}

static eb_core_match parse_member(eb_core_job *job, eb_core_path *path, uint32_t at, uint32_t *id) {
    const eb_btf *btf = path->types->btf;
    eb_btf_type type = eb_btf_at(btf, *id);
    int32_t index = path->raw[at];
    if (type.kind == EB_BTF_STRUCT || type.kind == EB_BTF_UNION) {
        if ((uint32_t)index >= type.count)
            return out_of_range(job, path, at, "member", type.count);
        eb_btf_member m = eb_btf_member_at(btf, &type, (uint32_t)index);
        path->bit_offset += m.offset;
        if (m.name.len)
            add_step(path, m.name, true, *id, index);
        *id = m.type;
        return EB_CORE_YES;
    }
    if (type.kind != EB_BTF_ARRAY)
        return eb_core_because(job, EB_CORE_ERROR,
                               "step %u of its path goes into what has no members", at);
    bool flexible = eb_core_is_flexible(btf, &path->steps[path->count - 1], &type);
    if (!flexible && (uint32_t)index >= type.extra)
        return out_of_range(job, path, at, "element", type.extra);
    *id = eb_btf_strip(btf, type.size_or_type);
    add_step(path, (eb_str){0}, false, *id, index);
    int64_t size = eb_core_size(path->types, *id);
    if (size < 0)
        return eb_core_because(job, EB_CORE_ERROR, "step %u of its path has no size", at);
    path->bit_offset += (uint32_t)((int64_t)index * size * 8);
    return EB_CORE_YES;
}

static eb_core_match parse_field(eb_core_job *job, eb_core_path *path) {
    uint32_t id = eb_btf_strip(path->types->btf, path->root);
    int64_t size = eb_core_size(path->types, id);
    if (size < 0)
        return eb_core_because(job, EB_CORE_ERROR, "its type has no size");
    add_step(path, (eb_str){0}, false, id, path->raw[0]);
    path->bit_offset = (uint32_t)(path->raw[0] * size * 8);
    for (uint32_t i = 1; i < path->raw_count; i++) {
        id = eb_btf_strip(path->types->btf, id);
        eb_core_match match = parse_member(job, path, i, &id);
        if (match != EB_CORE_YES)
            return match;
    }
    return EB_CORE_YES;
}

eb_core_match eb_core_parse(eb_core_job *job, const eb_core_types *types, const eb_core_relo *relo,
                            eb_core_path *path) {
    path->types = types;
    path->root = relo->type;
    path->kind = relo->kind;
    path->count = path->raw_count = path->bit_offset = 0;
    switch (eb_core_class_of(relo->kind)) {
    case EB_CORE_TYPE:
        if (!eb_str_is(relo->access, "0"))
            return eb_core_because(job, EB_CORE_ERROR, "the path of a type is 0");
        return EB_CORE_YES;
    case EB_CORE_ENUMVAL:
        return parse_raw(job, relo->access, path) == EB_CORE_YES ? parse_enumerator(job, path)
                                                                 : EB_CORE_ERROR;
    case EB_CORE_FIELD:
        return parse_raw(job, relo->access, path) == EB_CORE_YES ? parse_field(job, path)
                                                                 : EB_CORE_ERROR;
    default:
        return eb_core_because(job, EB_CORE_ERROR, "its kind %u is unknown", relo->kind);
    }
}

/* ---- spelling ---- */

void eb_core_spell_path(const eb_core_path *path, eb_buf *out) {
    eb_core_class class = eb_core_class_of(path->kind);
    eb_btf_spell(path->types->btf, path->root, out);
    if (class == EB_CORE_TYPE)
        return;
    for (uint32_t i = 0; i < path->count; i++) {
        const eb_core_step *step = &path->steps[i];
        if (step->named)
            eb_buf_fmt(out, "%s%.*s", class == EB_CORE_FIELD ? "." : "::", (int)step->name.len,
                       step->name.at);
        else if (i || step->index)
            eb_buf_fmt(out, "[%d]", (int)step->index);
    }
    eb_buf_str(out, EB_STR(" ("));
    for (uint32_t i = 0; i < path->raw_count; i++)
        eb_buf_fmt(out, "%s%d", i ? ":" : "", (int)path->raw[i]);
    eb_buf_byte(out, ')');
}

void eb_core_spell(const eb_btf *btf, const eb_core_relo *relo, eb_buf *out) {
    eb_core_types types = {btf, 8};
    eb_core_path path;
    eb_core_job job = {.arena = out->arena};
    if (eb_core_parse(&job, &types, relo, &path) == EB_CORE_YES) {
        eb_core_spell_path(&path, out);
        return;
    }
    eb_btf_spell(btf, relo->type, out);
    eb_buf_fmt(out, " (%.*s)", (int)relo->access.len, relo->access.at);
}
