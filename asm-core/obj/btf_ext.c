/* btf_ext.c - .BTF.ext to the records of the object's sections and back, and looking them up.
 *
 * A header points to three parts (functions, lines, CO-RE relocations); a part starts with the size
 * of its records and goes on with one run of records per section, whose name and strings are those
 * of .BTF. Records may be longer than what is known of them. Whatever is wrong, programs run
 * without this section, so damage is a warning and nothing of it is used.
 * Sources: btf.rst; libbpf's checks (btf.c, btf_ext_parse). */
#include "btf_ext.h"

#include <string.h>

#include "ebpf_insn.h"
#include "map.h"
#include "sort.h"

enum {
    MAGIC = 0xeb9f,
    HEADER_LEAST = 24, /* without CO-RE relocations */
    HEADER = 32,
    FUNC = 8, /* bytes of records */
    LINE = 16,
    CORE = 16,
    COLUMN_BITS = 10,
    COLUMN_MOST = (1 << COLUMN_BITS) - 1,
    LINE_MOST = (1 << (32 - COLUMN_BITS)) - 1
};

typedef struct reader {
    ebpf_object *obj;
    const uint8_t *bytes;
    size_t size;
    bool big;
    eb_map sections; /* by name */
} reader;

typedef struct part {
    const char *name;
    uint32_t least; /* bytes of a record */
    bool (*take)(reader *r, eb_section *section, const uint8_t *record);
} part;

static bool damaged(reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool damaged(reader *r, const char *format, ...) {
    eb_buf text = {.arena = &r->obj->ctx->arena};
    va_list args;
    va_start(args, format);
    eb_buf_vfmt(&text, format, args);
    va_end(args);
    eb_buf_byte(&text, 0);
    eb_diag_input(r->obj->ctx, EB_DIAG_BAD_BTF_EXT, r->obj->name, -1, (const char *)text.at);
    return false;
}

static uint32_t word(const reader *r, const uint8_t *at) {
    return eb_get32(at, r->big);
}

static bool string_at(reader *r, uint32_t offset, eb_str *out) {
    return eb_btf_string(r->obj->btf, offset, out) ||
           damaged(r, "it refers to a string at %u of .BTF, where none is", offset);
}

/* ---- records ---- */

static bool check_type(reader *r, uint32_t type) {
    return type < r->obj->btf->count ||
           damaged(r, "it refers to type %u of %u", type, r->obj->btf->count - 1);
}

static bool take_func(reader *r, eb_section *section, const uint8_t *record) {
    eb_func_type func = {word(r, record), word(r, record + 4)};
    if (!check_type(r, func.type))
        return false;
    *EB_PUSH(&r->obj->ctx->arena, &section->func_types) = func;
    return true;
}

static bool take_line(reader *r, eb_section *section, const uint8_t *record) {
    uint32_t place = word(r, record + 12);
    eb_line line = {
        .offset = word(r, record), .line = place >> COLUMN_BITS, .column = place & COLUMN_MOST};
    if (!string_at(r, word(r, record + 4), &line.file) ||
        !string_at(r, word(r, record + 8), &line.text))
        return false;
    *EB_PUSH(&r->obj->ctx->arena, &section->lines) = line;
    return true;
}

static bool take_core(reader *r, eb_section *section, const uint8_t *record) {
    eb_core_relo core = {
        .offset = word(r, record), .type = word(r, record + 4), .kind = word(r, record + 12)};
    if (!check_type(r, core.type) || !string_at(r, word(r, record + 8), &core.access))
        return false;
    *EB_PUSH(&r->obj->ctx->arena, &section->core) = core;
    return true;
}

static const part parts[] = {{"functions", FUNC, take_func},
                             {"lines", LINE, take_line},
                             {"CO-RE relocations", CORE, take_core}};

/* ---- parts ---- */

static void note_order(reader *r, uint32_t section) {
    ebpf_object *obj = r->obj;
    const eb_section *s = &obj->sections.at[section];
    if (!s->lines.len && !s->func_types.len && !s->core.len)
        *EB_PUSH(&obj->ctx->arena, &obj->ext_order) = section;
}

/* The records of one section; `at` stands behind its head. */
static bool read_records(reader *r, const part *p, eb_str name, const uint8_t *at, uint32_t count,
                         uint32_t each) {
    const uint32_t *index = eb_map_find(&r->sections, name);
    if (!index)
        return damaged(r, "its %s name section '%.*s', which does not exist", p->name,
                       (int)name.len, name.at);
    eb_section *section = &r->obj->sections.at[*index];
    note_order(r, *index);
    for (uint32_t i = 0; i < count; i++, at += each) {
        uint32_t offset = word(r, at);
        if (offset % EBPF_SLOT || offset >= section->size)
            return damaged(r, "its %s name offset %u of section '%.*s', where no instruction is",
                           p->name, offset, (int)name.len, name.at);
        if (!p->take(r, section, at))
            return false;
    }
    return true;
}

static bool read_part(reader *r, const part *p, uint32_t header, uint32_t offset, uint32_t size) {
    if (!size)
        return true;
    if (offset % 4 || offset > r->size - header || size > r->size - header - offset)
        return damaged(r, "its %s (%u bytes at %u) do not lie within it", p->name, size, offset);
    const uint8_t *at = r->bytes + header + offset, *end = at + size;
    uint32_t each = size < 4 ? 0 : word(r, at);
    if (each < p->least || each % 4)
        return damaged(r, "its %s have records of %u bytes; they have %u or more", p->name, each,
                       p->least);
    for (at += 4; at < end;) {
        eb_str name;
        if (end - at < 8)
            return damaged(r, "its %s are cut off", p->name);
        uint32_t count = word(r, at + 4);
        if (!string_at(r, word(r, at), &name))
            return false;
        at += 8;
        if (count > (size_t)(end - at) / each)
            return damaged(r, "its %s are cut off", p->name);
        if (!read_records(r, p, name, at, count, each))
            return false;
        at += (size_t)count * each;
    }
    return true;
}

static bool read_header(reader *r) {
    if (r->size < HEADER_LEAST)
        return damaged(r, "%zu bytes are less than its header", r->size);
    r->big = r->bytes[0] == MAGIC >> 8;
    if (eb_get16(r->bytes, r->big) != MAGIC || r->bytes[2] != 1)
        return damaged(r, "it does not start with the magic number 0xeb9f and version 1");
    uint32_t header = word(r, r->bytes + 4);
    if (header < HEADER_LEAST || header > r->size)
        return damaged(r, "its header has %u bytes, of %zu", header, r->size);
    uint32_t known = header < HEADER ? 2 : 3;
    for (uint32_t i = 0; i < known; i++)
        if (!read_part(r, &parts[i], header, word(r, r->bytes + 8 + 8 * i),
                       word(r, r->bytes + 12 + 8 * i)))
            return false;
    return true;
}

/* ---- order ---- */

typedef struct records {
    const uint8_t *at;
    size_t each;
} records;

/* Every record starts with its offset. */
static int by_offset(const void *data, uint32_t a, uint32_t b) {
    const records *r = data;
    uint32_t left, right;
    memcpy(&left, r->at + a * r->each, sizeof left);
    memcpy(&right, r->at + b * r->each, sizeof right);
    return (left > right) - (left < right);
}

static void sort(eb_arena *arena, void *at, uint32_t count, size_t each) {
    records from = {at, each};
    uint32_t i = 1;
    while (i < count && by_offset(&from, i - 1, i) <= 0)
        i++;
    if (i >= count)
        return; /* as compilers write them */
    uint32_t *order = eb_alloc_array(arena, count, sizeof *order);
    uint8_t *copy = eb_alloc_array(arena, count, each);
    for (i = 0; i < count; i++)
        order[i] = i;
    eb_sort(arena, order, count, by_offset, &from);
    for (i = 0; i < count; i++)
        memcpy(copy + i * each, from.at + order[i] * each, each);
    memcpy(at, copy, count * each);
}

#define SORT(arena, vec) sort((arena), (vec).at, (vec).len, sizeof *(vec).at)

static void sort_sections(ebpf_object *obj) {
    eb_arena *arena = &obj->ctx->arena;
    for (uint32_t i = 0; i < obj->ext_order.len; i++) {
        eb_section *section = &obj->sections.at[obj->ext_order.at[i]];
        SORT(arena, section->lines);
        SORT(arena, section->func_types);
        SORT(arena, section->core);
    }
}

static void forget(ebpf_object *obj) {
    for (uint32_t i = 0; i < obj->ext_order.len; i++) {
        eb_section *section = &obj->sections.at[obj->ext_order.at[i]];
        section->lines.len = section->func_types.len = section->core.len = 0;
    }
    obj->ext_order.len = 0;
}

/* ---- reading ---- */

void eb_btf_ext_read(ebpf_object *obj) {
    uint32_t index = eb_object_find_section(obj, EB_STR(".BTF.ext"));
    if (!index || obj->ext_order.len || !obj->btf ||
        obj->sections.at[index].type != EB_SHT_PROGBITS)
        return;
    const eb_buf *bytes = &obj->sections.at[index].bytes;
    reader r = {.obj = obj,
                .bytes = bytes->at,
                .size = bytes->len,
                .sections = {.arena = &obj->ctx->arena}};
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        bool is_new;
        uint32_t *number = eb_map_enter(&r.sections, obj->sections.at[i].name, &is_new);
        if (is_new)
            *number = i;
    }
    if (read_header(&r))
        sort_sections(obj);
    else
        forget(obj);
}

/* ---- writing ---- */

/* Sections in the order of .BTF.ext that they came with, then those that have got records since. */
static void complete_order(ebpf_object *obj) {
    bool *known = eb_alloc_array(&obj->ctx->arena, obj->sections.len, sizeof *known);
    for (uint32_t i = 0; i < obj->ext_order.len; i++)
        known[obj->ext_order.at[i]] = true;
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        const eb_section *s = &obj->sections.at[i];
        if (!known[i] && (s->lines.len || s->func_types.len || s->core.len))
            *EB_PUSH(&obj->ctx->arena, &obj->ext_order) = i;
    }
}

/* Of several names of one function the first counts. */
static void drop_aliases(eb_section *section) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < section->func_types.len; i++)
        if (!kept || section->func_types.at[kept - 1].offset != section->func_types.at[i].offset)
            section->func_types.at[kept++] = section->func_types.at[i];
    section->func_types.len = kept;
}

/* A line without the white space around it. */
static eb_str trim(eb_str line) {
    while (line.len && (line.at[0] == ' ' || line.at[0] == '\t'))
        line = (eb_str){line.at + 1, line.len - 1};
    while (line.len && (line.at[line.len - 1] == ' ' || line.at[line.len - 1] == '\t'))
        line.len--;
    return line;
}

/* A record where the line changes and where a function starts: the kernel wants one there. */
static void lines_from_locs(ebpf_object *obj, eb_section *section) {
    eb_loc last = 0;
    uint32_t func = 0;
    for (uint32_t slot = 0; slot < section->locs.len; slot++) {
        bool starts = func < section->func_types.len &&
                      section->func_types.at[func].offset == slot * EBPF_SLOT;
        func += starts;
        if (!starts && section->locs.at[slot] == last)
            continue;
        last = section->locs.at[slot];
        eb_place place = eb_place_of(obj->ctx, last);
        if (place.source)
            *EB_PUSH(&obj->ctx->arena, &section->lines) =
                (eb_line){slot * EBPF_SLOT, place.name, trim(place.text), place.line, place.column};
    }
}

static void prepare(ebpf_object *obj) {
    complete_order(obj);
    sort_sections(obj);
    for (uint32_t i = 0; i < obj->ext_order.len; i++) {
        eb_section *section = &obj->sections.at[obj->ext_order.at[i]];
        drop_aliases(section);
        if (section->func_types.len && !section->lines.len)
            lines_from_locs(obj, section);
    }
}

static void put_func(eb_btf *btf, const eb_section *section, uint32_t i, uint8_t *record) {
    const eb_func_type *func = &section->func_types.at[i];
    eb_set32(record, btf->big, func->offset);
    eb_set32(record + 4, btf->big, func->type);
}

/* A line has many records, one behind the other. */
static uint32_t line_string(eb_btf *btf, eb_str text) {
    if (text.at != btf->last_line.at || text.len != btf->last_line.len) {
        btf->last_line = text;
        btf->last_line_string = eb_btf_add_string(btf, text);
    }
    return btf->last_line_string;
}

static void put_line(eb_btf *btf, const eb_section *section, uint32_t i, uint8_t *record) {
    const eb_line *line = &section->lines.at[i];
    uint32_t number = line->line < LINE_MOST ? line->line : LINE_MOST;
    uint32_t column = line->column < COLUMN_MOST ? line->column : COLUMN_MOST;
    eb_set32(record, btf->big, line->offset);
    eb_set32(record + 4, btf->big, eb_btf_add_string(btf, line->file));
    eb_set32(record + 8, btf->big, line_string(btf, line->text));
    eb_set32(record + 12, btf->big, number << COLUMN_BITS | column);
}

static void put_core(eb_btf *btf, const eb_section *section, uint32_t i, uint8_t *record) {
    const eb_core_relo *core = &section->core.at[i];
    eb_set32(record, btf->big, core->offset);
    eb_set32(record + 4, btf->big, core->type);
    eb_set32(record + 8, btf->big, eb_btf_add_string(btf, core->access));
    eb_set32(record + 12, btf->big, core->kind);
}

typedef void putter(eb_btf *btf, const eb_section *section, uint32_t i, uint8_t *record);

static uint32_t records_of(const eb_section *section, putter *put) {
    return put == put_func   ? section->func_types.len
           : put == put_line ? section->lines.len
                             : section->core.len;
}

/* One part, and its place in the header at `*field`. */
static void write_part(const ebpf_object *obj, eb_btf *btf, putter *put, uint32_t each, eb_buf *out,
                       uint32_t *field) {
    size_t start = out->len;
    for (uint32_t i = 0; i < obj->ext_order.len; i++) {
        const eb_section *section = &obj->sections.at[obj->ext_order.at[i]];
        uint32_t count = records_of(section, put);
        if (!count)
            continue;
        if (out->len == start)
            eb_set32(eb_buf_room(out, 4), btf->big, each);
        uint8_t *head = eb_buf_room(out, 8);
        eb_set32(head, btf->big, eb_btf_add_string(btf, section->name));
        eb_set32(head + 4, btf->big, count);
        for (uint32_t r = 0; r < count; r++)
            put(btf, section, r, eb_buf_room(out, each));
    }
    eb_set32(out->at + *field, btf->big, (uint32_t)(start - HEADER));
    eb_set32(out->at + *field + 4, btf->big, (uint32_t)(out->len - start));
    *field += 8;
}

void eb_btf_ext_write(ebpf_object *obj, eb_btf *btf, eb_buf *out) {
    eb_buf ext = {.arena = out->arena}; /* offsets count from its start */
    uint32_t field = 8;
    prepare(obj);
    uint8_t *header = eb_buf_room(&ext, HEADER);
    eb_set16(header, btf->big, MAGIC);
    header[2] = 1;
    eb_set32(header + 4, btf->big, HEADER);
    write_part(obj, btf, put_func, FUNC, &ext, &field);
    write_part(obj, btf, put_line, LINE, &ext, &field);
    write_part(obj, btf, put_core, CORE, &ext, &field);
    if (ext.len > UINT32_MAX)
        eb_fail(out->arena, EBPF_E_LIMIT);
    eb_buf_put(out, ext.at, ext.len);
}

static void store(ebpf_object *obj, eb_str name, eb_buf bytes) {
    uint32_t number = eb_object_add_section(obj, name, EB_SHT_PROGBITS, 0);
    eb_section *section = &obj->sections.at[number];
    section->bytes = bytes;
    section->size = bytes.len;
    section->align = 4;
}

void eb_btf_store(ebpf_object *obj, eb_btf *btf) {
    eb_buf types = {.arena = &obj->ctx->arena}, ext = {.arena = &obj->ctx->arena};
    eb_btf_ext_write(obj, btf, &ext); /* enters strings: first */
    eb_btf_write(btf, &types);
    store(obj, EB_STR(".BTF"), types);
    if (obj->ext_order.len)
        store(obj, EB_STR(".BTF.ext"), ext);
}

/* ---- looking up ---- */

/* How many of the records stand at `offset` or before it. */
static uint32_t up_to(records r, uint32_t count, uint64_t offset) {
    uint32_t lo = 0, hi = count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2, at;
        memcpy(&at, r.at + mid * r.each, sizeof at);
        if (at <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

#define UP_TO(vec, offset)                                                                         \
    up_to((records){(const uint8_t *)(vec).at, sizeof *(vec).at}, (vec).len, (offset))

const eb_line *eb_line_of(const eb_section *section, uint64_t offset) {
    uint32_t n = UP_TO(section->lines, offset);
    return n ? &section->lines.at[n - 1] : NULL;
}

eb_str eb_line_text(const eb_line *line) {
    return trim(line->text);
}

const eb_core_relo *eb_core_of(const eb_section *section, uint64_t offset) {
    uint32_t n = UP_TO(section->core, offset);
    return n && section->core.at[n - 1].offset == offset ? &section->core.at[n - 1] : NULL;
}

uint32_t eb_func_type_of(const eb_section *section, uint64_t offset) {
    uint32_t n = UP_TO(section->func_types, offset);
    return n && section->func_types.at[n - 1].offset == offset ? section->func_types.at[n - 1].type
                                                               : 0;
}
