/* kinds.c - see kinds.h. The tables are short and asked rarely: they are searched in order. */
#include "kinds.h"

#include <string.h>

typedef struct kind_name {
    uint32_t number;
    const char *name;
} kind_name;

static const kind_name prog_names[] = {
    {0, "unspec"},
#define PROG(id, number, name, kernel) {number, name},
#include "prog.def"
};

static const kind_name attach_names[] = {
#define ATTACH(id, number, name, kernel) {number, name},
#include "attach.def"
};

static const kind_name map_names[] = {
    {0, "unspec"},
#define MAP(id, number, name, kernel) {number, name},
#include "map.def"
};

static const char *const helper_names[] = {
#define HELPER(id, name, major, minor, vm, callers) [id] = #name,
#include "helper.def"
};

static const kind_name reloc_names[] = {
#define RELOC(id, number, size) {number, "R_BPF_" #id},
#include "reloc.def"
};

enum {
    SLEEPABLE = EB_SEC_SLEEPABLE,
    FRAGS = EB_SEC_FRAGS,
    TARGET = EB_SEC_TARGET,
    USDT = EB_SEC_USDT,
    OPTIONAL = EB_SEC_OPTIONAL
};

static const struct sec_row {
    const char *name;
    eb_prog_type prog;
    uint32_t attach;
    unsigned flags;
} secs[] = {
#define SEC(name, prog, attach, flags) {name, EB_PROG_##prog, EB_ATTACH_##attach, flags},
#include "prog.def"
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char *name_of(const kind_name *table, size_t count, uint32_t number) {
    for (size_t i = 0; i < count; i++)
        if (table[i].number == number)
            return table[i].name;
    return "unknown";
}

const char *eb_prog_type_name(uint32_t type) {
    return name_of(prog_names, COUNT(prog_names), type);
}

const char *eb_attach_type_name(uint32_t type) {
    return name_of(attach_names, COUNT(attach_names), type);
}

const char *eb_map_type_name(uint32_t type) {
    return name_of(map_names, COUNT(map_names), type);
}

const char *eb_helper_name(uint32_t id) {
    return id < COUNT(helper_names) ? helper_names[id] : NULL;
}

uint32_t eb_helper_find(eb_str name) {
    if (!eb_str_starts(name, "bpf_"))
        return 0;
    eb_str rest = {name.at + 4, name.len - 4};
    for (uint32_t id = 1; id < COUNT(helper_names); id++)
        if (helper_names[id] && eb_str_is(rest, helper_names[id]))
            return id;
    return 0;
}

const char *eb_reloc_name(uint32_t type) {
    for (size_t i = 0; i < COUNT(reloc_names); i++)
        if (reloc_names[i].number == type)
            return reloc_names[i].name;
    return NULL;
}

unsigned eb_reloc_size(uint32_t type) {
    switch (type) {
#define RELOC(id, number, size)                                                                    \
    case number:                                                                                   \
        return size;
#include "reloc.def"
    default:
        return 0;
    }
}

bool eb_reloc_find(eb_str name, uint32_t *type) {
    for (size_t i = 0; i < COUNT(reloc_names); i++)
        if (eb_str_is(name, reloc_names[i].name)) {
            *type = reloc_names[i].number;
            return true;
        }
    return false;
}

uint32_t eb_map_type_find(eb_str name) {
    for (size_t i = 0; i < COUNT(map_names); i++)
        if (eb_str_is(name, map_names[i].name))
            return map_names[i].number;
    return 0;
}

const char *eb_map_type_near(eb_str name) {
    const char *best = NULL;
    unsigned least = 3;
    for (size_t i = 1; i < COUNT(map_names); i++) {
        unsigned distance = eb_str_distance(name, eb_str_from(map_names[i].name), least);
        if (distance < least) {
            least = distance;
            best = map_names[i].name;
        }
    }
    return best;
}

/* As libbpf matches: exactly, or for a row that ends in '+' up to the end or a '/'. */
static bool matches(const char *row, eb_str section) {
    size_t len = strlen(row);
    if (row[len - 1] != '+')
        return eb_str_is(section, row);
    len--;
    return section.len >= len && memcmp(section.at, row, len) == 0 &&
           (section.len == len || section.at[len] == '/');
}

static eb_str behind_slash(eb_str section) {
    const char *slash = section.len ? memchr(section.at, '/', section.len) : NULL;
    if (!slash)
        return (eb_str){"", 0};
    size_t skip = (size_t)(slash - section.at) + 1;
    return (eb_str){section.at + skip, section.len - skip};
}

eb_sec_kind eb_sec_kind_of(eb_str section) {
    eb_sec_kind kind = {.target = {"", 0}};
    if (section.len && section.at[0] == '?') {
        kind.manual = true;
        section.at++;
        section.len--;
    }
    for (size_t i = 0; i < COUNT(secs); i++) {
        if (!matches(secs[i].name, section))
            continue;
        kind.prog = secs[i].prog;
        kind.attach = (eb_attach_type)secs[i].attach;
        kind.flags = secs[i].flags;
        if (strchr(secs[i].name, '+'))
            kind.target = behind_slash(section);
        break;
    }
    return kind;
}
