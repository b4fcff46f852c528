/* access.c - see access.h. The tables are searched in order: they are short, and asked once per
 * access that a compiler sees or that a VM takes the slow way for. */
#include "access.h"

/* ---- contexts ---- */

#define GROUP(name) name = EB_GROUP_##name
enum {
    GROUP(ALL),
    GROUP(DEVMAP),
    GROUP(FILTER),
    GROUP(CGROUP),
    GROUP(TC),
    GROUP(LWT),
    GROUP(STREAM),
    GROUP(FLOW),
    GROUP(SKBS),
    GROUP(CREATE),
    GROUP(BOUND4),
    GROUP(BOUND6),
    GROUP(SOCKS),
    GROUP(IP4),
    GROUP(IP6),
    GROUP(LOCAL),
    GROUP(SEND4),
    GROUP(SEND6),
    GROUP(ADDRS),
    GROUP(GETTING),
    GROUP(SETTING)
};

static const eb_ctx_field fields[] = {
#define FIELD(layout, name, offset, size, count, kind, readers, writers)                           \
    {name, EB_LAYOUT_##layout, EB_FIELD_##kind, size, readers, writers, offset, count},
#include "context.def"
};
enum { FIELDS = sizeof fields / sizeof *fields };

static const struct {
    const char *name;
    uint32_t size;
} layouts[] = {
    {"the context", 0},
#define LAYOUT(id, name, size) {name, size},
#include "context.def"
};

static const struct {
    uint8_t prog, layout, group;
} uses[] = {
#define USES(prog, layout, group) {EB_PROG_##prog, EB_LAYOUT_##layout, group},
#include "context.def"
};
enum { USES_COUNT = sizeof uses / sizeof *uses };

static const struct {
    uint8_t prog, attach, group;
} attached[] = {
#define USES_AT(prog, attach, group) {EB_PROG_##prog, EB_ATTACH_##attach, group},
#include "context.def"
};
enum { ATTACHED = sizeof attached / sizeof *attached };

eb_layout_id eb_layout_of(uint32_t prog_type, bool arm64) {
    for (unsigned i = 0; i < USES_COUNT; i++) {
        if (uses[i].prog != prog_type)
            continue;
        if (arm64 && uses[i].layout == EB_LAYOUT_REGS)
            return EB_LAYOUT_ARM64_REGS;
        if (arm64 && uses[i].layout == EB_LAYOUT_PERF)
            return EB_LAYOUT_ARM64_PERF;
        return (eb_layout_id)uses[i].layout;
    }
    return EB_LAYOUT_NONE;
}

const char *eb_layout_name(eb_layout_id layout) {
    return layouts[layout].name;
}

uint32_t eb_layout_size(eb_layout_id layout) {
    return layouts[layout].size;
}

uint32_t eb_group_of(uint32_t prog_type, uint32_t attach_type) {
    for (unsigned i = 0; i < ATTACHED; i++)
        if (attached[i].prog == prog_type && attached[i].attach == attach_type)
            return attached[i].group;
    for (unsigned i = 0; i < USES_COUNT; i++)
        if (uses[i].prog == prog_type)
            return uses[i].group;
    return ALL;
}

void eb_layout_json(eb_layout_id layout, uint32_t group, eb_json *json) {
    eb_json_open(json, '{');
    eb_json_key_str(json, "name", eb_str_from(layouts[layout].name));
    eb_json_key_uint(json, "size", layouts[layout].size);
    eb_json_key(json, "fields");
    eb_json_open(json, '[');
    for (const eb_ctx_field *f = fields; f < fields + FIELDS; f++) {
        if (f->layout != layout || !f->name[0])
            continue;
        eb_json_open(json, '{');
        eb_json_key_str(json, "name", eb_str_from(f->name));
        eb_json_key_uint(json, "offset", f->offset);
        eb_json_key_uint(json, "size", f->size);
        eb_json_key_uint(json, "count", f->count);
        eb_json_key_bool(json, "read", (f->readers & group) != 0);
        eb_json_key_bool(json, "write", (f->writers & group) != 0);
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
    eb_json_close(json, '}');
}

static const eb_ctx_field *field_at(eb_layout_id layout, uint32_t offset) {
    for (const eb_ctx_field *f = fields; f < fields + FIELDS; f++)
        if (f->layout == layout && offset >= f->offset &&
            offset - f->offset < (uint32_t)f->size * f->count)
            return f;
    return NULL;
}

/* Whether a read may take less, or more, than one element: `at` bytes into the field. */
static bool reads_part(const eb_ctx_field *f, uint32_t at, uint32_t size) {
    uint32_t in_element = at % f->size;
    switch (f->kind) {
    case EB_FIELD_FIRST:
        return !in_element && size <= f->size;
    case EB_FIELD_PORT:
        return in_element + size <= f->size || (!at && size == 2u * f->size);
    case EB_FIELD_PAIRS:
    case EB_FIELD_NARROW:
        return in_element + size <= f->size;
    default:
        return false;
    }
}

const char *eb_access_refused(eb_layout_id layout, uint32_t group, uint32_t offset, uint32_t size,
                              bool write, const eb_ctx_field **field) {
    const eb_ctx_field *f = *field = field_at(layout, offset);
    if (!f)
        return "no field is there";
    uint32_t at = offset - f->offset, bytes = (uint32_t)f->size * f->count;
    if (!(f->readers & group))
        return "is not there for programs of this type";
    if (write && !(f->writers & group))
        return "cannot be written by programs of this type";
    if (offset % size)
        return "is accessed at an offset that is no multiple of the size";
    if (f->kind == EB_FIELD_PARTS)
        return at + size <= bytes ? NULL : "ends within the bytes accessed";
    if (!write && reads_part(f, at, size))
        return NULL;
    if (f->kind == EB_FIELD_PAIRS && size == 2u * f->size && at + size <= bytes)
        return NULL;
    if (size == f->size && at % f->size == 0)
        return NULL;
    return !write && (f->kind == EB_FIELD_NARROW || f->kind == EB_FIELD_PAIRS)
               ? "is smaller than the bytes read"
               : "is accessed as a whole or not";
}

/* ---- helpers ---- */

#define GPL      1ull
#define OF(type) (1ull << EB_PROG_##type)

static const uint64_t callers[] = {
#define HELPER(id, name, major, minor, vm, callers) [id] = callers,
#include "helper.def"
};

enum {
#define HELPER(id, name, major, minor, vm, callers) HELPER_##name = id,
#include "helper.def"
};

static const struct {
    uint8_t helper, prog, attach;
} only[] = {
#define ONLY(name, prog, attach) {HELPER_##name, EB_PROG_##prog, EB_ATTACH_##attach},
#include "helper.def"
};

bool eb_types_call(uint32_t prog_type, uint32_t helper) {
    if (helper >= sizeof callers / sizeof *callers || !callers[helper] || prog_type > 63 ||
        prog_type == EB_PROG_EXT)
        return true;
    return callers[helper] >> prog_type & 1;
}

bool eb_may_call(uint32_t prog_type, uint32_t attach_type, uint32_t helper) {
    if (!eb_types_call(prog_type, helper))
        return false;
    bool may = true;
    for (unsigned i = 0; i < sizeof only / sizeof *only; i++) {
        if (only[i].helper != helper || only[i].prog != prog_type)
            continue;
        if (only[i].attach == attach_type)
            return true;
        may = false;
    }
    return may;
}

bool eb_helper_needs_gpl(uint32_t helper) {
    return helper < sizeof callers / sizeof *callers && callers[helper] & GPL;
}

bool eb_licence_is_gpl(eb_str licence) {
    static const char *const known[] = {"GPL",          "GPL v2",       "GPL and additional rights",
                                        "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"};
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (eb_str_is(licence, known[i]))
            return true;
    return false;
}
