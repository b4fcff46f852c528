/*
 * link_info.c: everything that the kernel tells about a link, by name. In: a link's descriptor;
 * out: fields, as the table link_info.def lists them for its type. The kernel is asked twice: the
 * first answer has the type and how long lists are, the second fills what was made ready for them.
 */
#include "internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { INFO_SIZE = 128, TEXT_SIZE = 4096, LIST_MAX = 1 << 20 };

/* struct bpf_link_info as bytes: it is the table that knows it. */
union info {
    uint32_t words[INFO_SIZE / 4];
    uint64_t longs[INFO_SIZE / 8];
};

enum variant {
    ANY = 0,
    PERF_UPROBE = 1 << 0,
    PERF_KPROBE = 1 << 1,
    PERF_TRACEPOINT = 1 << 2,
    PERF_EVENT = 1 << 3,
    ITER_MAP = 1 << 4,
    ITER_CGROUP = 1 << 5,
    ITER_TASK = 1 << 6,
};

enum link_type {
#define LINK(number, name) LINK_##name = number,
#include "link_info.def"
};

static const struct row {
    uint32_t link;
    int variants;
    const char *name;
    size_t offset, length;
    enum kb_field_kind format;
} rows[] = {
#define FIELD(link, variants, name, offset, format)                                                \
    {LINK_##link, variants, name, offset, 0, KB_FIELD_##format},
#define TEXT(link, variants, name, offset, length)                                                 \
    {LINK_##link, variants, name, offset, length, KB_FIELD_TEXT},
#define LIST(link, name, offset, count) {LINK_##link, ANY, name, offset, count, KB_FIELD_LIST},
#include "link_info.def"
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const char *type_name(uint32_t type) {
    switch (type) {
#define LINK(number, name)                                                                         \
    case number:                                                                                   \
        return #name;
#include "link_info.def"
    default:
        return "unknown";
    }
}

static int ask(int fd, union info *info) {
    struct {
        uint32_t fd, size;
        uint64_t info;
    } attr = {(uint32_t)fd, sizeof(*info), (uint64_t)(uintptr_t)info};

    return kb_sys(KB_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr));
}

/* Which fields a link of several variants has; `name` is that of an iterator. */
static int variant_of(const union info *info, const char *name) {
    static const int perf[] = {0,           PERF_UPROBE,     PERF_UPROBE, PERF_KPROBE,
                               PERF_KPROBE, PERF_TRACEPOINT, PERF_EVENT};
    uint32_t event = info->words[4];

    switch (info->words[0]) {
    case LINK_perf_event:
        return event < sizeof(perf) / sizeof(perf[0]) ? perf[event] : 0;
    case LINK_iter:
        if (!name)
            return 0;
        return strncmp(name, "task", 4) == 0                                          ? ITER_TASK
               : strcmp(name, "cgroup") == 0                                          ? ITER_CGROUP
               : strncmp(name, "bpf_map_", 8) == 0 || strncmp(name, "bpf_sk", 6) == 0 ? ITER_MAP
                                                                                      : 0;
    default:
        return 0;
    }
}

static bool has_row(const struct row *row, uint32_t link, int variant) {
    return row->link == link && (row->variants == ANY || (row->variants & variant));
}

static void set_long(union info *info, size_t offset, uint64_t value) {
    memcpy((char *)info + offset, &value, sizeof(value));
}

static uint32_t word(const union info *info, size_t offset) {
    return info->words[offset / 4];
}

/* Points the second question to memory for texts and lists; the memory, or NULL. */
static char *make_ready(const union info *first, union info *second) {
    uint32_t link = first->words[0];
    int variant = variant_of(first, NULL);
    size_t size = 1, used = 0;

    for (size_t i = 0; i < ROWS; i++)
        if (has_row(&rows[i], link, variant) && rows[i].format >= KB_FIELD_TEXT)
            size += rows[i].format == KB_FIELD_TEXT ? TEXT_SIZE
                                                    : 8 * (size_t)word(first, rows[i].length);
    char *memory = size > 8 * (size_t)LIST_MAX ? NULL : calloc(1, size);
    for (size_t i = 0; memory && i < ROWS; i++) {
        const struct row *row = &rows[i];
        if (!has_row(row, link, variant) || row->format < KB_FIELD_TEXT)
            continue;
        uint32_t count = row->format == KB_FIELD_TEXT ? TEXT_SIZE : word(first, row->length);
        if (!count)
            continue;
        set_long(second, row->offset, (uint64_t)(uintptr_t)(memory + used));
        second->words[row->length / 4] = count;
        used += row->format == KB_FIELD_TEXT ? TEXT_SIZE : 8 * (size_t)count;
    }
    return memory;
}

static void add_field(struct kb_link_details *details, const struct row *row,
                      const union info *info) {
    struct kb_link_field *field = &details->fields[details->count++];
    uint64_t value;

    memcpy(&value, (const char *)info + row->offset / 8 * 8, sizeof(value));
    field->name = row->name;
    field->kind = row->format;
    switch (row->format) {
    case KB_FIELD_U32:
        field->number = word(info, row->offset);
        break;
    case KB_FIELD_S32:
        field->number = (uint64_t)(int64_t)(int32_t)word(info, row->offset);
        break;
    case KB_FIELD_U64:
        field->number = value;
        break;
    case KB_FIELD_TEXT:
        field->text = (const char *)(uintptr_t)value;
        break;
    case KB_FIELD_LIST:
        field->numbers = (const uint64_t *)(uintptr_t)value;
        field->count = value ? word(info, row->length) : 0;
        break;
    }
}

/* An iterator's name, by which its variant is known; it is the first of its fields. */
static const char *iterator_name(const union info *info) {
    return info->words[0] == LINK_iter ? (const char *)(uintptr_t)info->longs[2] : NULL;
}

int kb_link_get_details(const struct kb_link *link, struct kb_link_details *details,
                        struct kb_error *err) {
    union info first = {.words = {0}}, second = {.words = {0}};

    memset(details, 0, sizeof(*details));
    int rc = kb_link_get_info(link, &details->info, err);
    if (rc)
        return rc;
    rc = ask(kb_link_fd(link), &first);
    details->memory = rc ? NULL : make_ready(&first, &second);
    if (!rc)
        rc = details->memory ? ask(kb_link_fd(link), &second) : -ENOMEM;
    if (rc)
        return kb_fail(err, -rc, "link info", NULL, "the kernel gives no information");
    details->type_name = type_name(details->info.type);
    int variant = variant_of(&second, iterator_name(&second));
    for (size_t i = 0; i < ROWS && details->count < KB_LINK_FIELDS; i++)
        if (has_row(&rows[i], details->info.type, variant))
            add_field(details, &rows[i], &second);
    return 0;
}

void kb_link_details_clear(struct kb_link_details *details) {
    free(details->memory);
    memset(details, 0, sizeof(*details));
}
