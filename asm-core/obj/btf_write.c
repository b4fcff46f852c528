/* btf_write.c - the BTF model to the bytes of .BTF and .BTF.ext, in the object's byte order.
 *
 * Strings are entered once each, in the order of first use; types first, then the section names
 * that .BTF.ext adds, so the string table is complete only when both are written.
 * Sources: btf.rst (encoding of each kind; .BTF.ext), libbpf's expectations of the header. */
#include "btf.h"

#include "map.h"

enum {
    MAGIC = 0xeb9f,
    HEADER = 24,
    EXT_HEADER = 32,
    FUNC_INFO = 8,
    LINE_INFO = 16,
    MOST_MEMBERS = 0xffff
};

typedef struct writer {
    eb_buf types, strings;
    eb_map offsets; /* of strings already entered */
    bool big;
} writer;

static void put32(writer *w, uint32_t value) {
    eb_set32(eb_buf_room(&w->types, 4), w->big, value);
}

static uint32_t string(writer *w, eb_str text) {
    if (!text.len)
        return 0;
    bool is_new;
    uint32_t *offset = eb_map_enter(&w->offsets, text, &is_new);
    if (is_new) {
        *offset = (uint32_t)w->strings.len;
        eb_buf_str(&w->strings, text);
        eb_buf_byte(&w->strings, 0);
    }
    return *offset;
}

static void write_member(writer *w, uint8_t kind, const eb_btf_member *m) {
    switch (kind) {
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        put32(w, string(w, m->name));
        put32(w, m->type);
        put32(w, m->offset);
        break;
    case EB_BTF_ENUM:
        put32(w, string(w, m->name));
        put32(w, (uint32_t)m->value);
        break;
    case EB_BTF_ENUM64:
        put32(w, string(w, m->name));
        put32(w, (uint32_t)m->value);
        put32(w, (uint32_t)(m->value >> 32));
        break;
    case EB_BTF_FUNC_PROTO:
        put32(w, string(w, m->name));
        put32(w, m->type);
        break;
    case EB_BTF_DATASEC:
        put32(w, m->type);
        put32(w, m->offset);
        put32(w, m->size);
        break;
    default:
        break;
    }
}

/* What stands between the common head and the members. */
static void write_extra(writer *w, const eb_btf_type *type) {
    switch (type->kind) {
    case EB_BTF_INT:
    case EB_BTF_VAR:
    case EB_BTF_DECL_TAG:
        put32(w, type->extra);
        break;
    case EB_BTF_ARRAY:
        put32(w, type->size_or_type);
        put32(w, type->index_type);
        put32(w, type->extra);
        break;
    default:
        break;
    }
}

static void write_type(writer *w, const eb_btf *btf, const eb_btf_type *type) {
    if (type->count > MOST_MEMBERS)
        eb_fail(btf->arena, EBPF_E_LIMIT);
    uint32_t low = type->kind == EB_BTF_FUNC ? type->extra : type->count; /* a function's linkage */
    put32(w, string(w, type->name));
    put32(w, (uint32_t)type->kind_flag << 31 | (uint32_t)type->kind << 24 | low);
    put32(w, type->kind == EB_BTF_ARRAY ? 0 : type->size_or_type);
    write_extra(w, type);
    for (uint32_t i = 0; i < type->count; i++)
        write_member(w, type->kind, &btf->members.at[type->first + i]);
}

/* The magic number, version 1, no flags, and the header's own size. */
static uint8_t *write_preamble(eb_buf *out, bool big, uint32_t size) {
    uint8_t *at = eb_buf_room(out, size);
    eb_set16(at, big, MAGIC);
    at[2] = 1;
    eb_set32(at + 4, big, size);
    return at;
}

static uint32_t infos_in_section(const eb_func_info *infos, uint32_t count) {
    uint32_t n = 1;
    while (n < count && infos[n].section == infos[0].section)
        n++;
    return n;
}

/* The head of one section's records; the count is filled in when it is known. */
static void write_section_head(writer *w, eb_buf *out, eb_str name, uint32_t count) {
    uint8_t *head = eb_buf_room(out, 8);
    eb_set32(head, w->big, string(w, name));
    eb_set32(head + 4, w->big, count);
}

static void write_funcs(writer *w, const ebpf_object *obj, const eb_func_info *infos,
                        uint32_t count, eb_buf *out) {
    eb_set32(eb_buf_room(out, 4), w->big, FUNC_INFO);
    for (uint32_t i = 0; i < count;) {
        uint32_t n = infos_in_section(infos + i, count - i);
        write_section_head(w, out, obj->sections.at[infos[i].section].name, n);
        for (uint32_t end = i + n; i < end; i++) {
            uint8_t *record = eb_buf_room(out, FUNC_INFO);
            eb_set32(record, w->big, infos[i].offset);
            eb_set32(record + 4, w->big, infos[i].type);
        }
    }
}

/* A line without the white space around it. */
static eb_str trim(eb_str line) {
    while (line.len && (line.at[0] == ' ' || line.at[0] == '\t'))
        line = (eb_str){line.at + 1, line.len - 1};
    while (line.len && (line.at[line.len - 1] == ' ' || line.at[line.len - 1] == '\t'))
        line.len--;
    return line;
}

static void write_line(writer *w, eb_buf *out, uint32_t offset, const eb_place *place) {
    enum { LINE_MOST = (1 << 22) - 1, COLUMN_MOST = 1023 };
    uint32_t line = place->line < LINE_MOST ? place->line : LINE_MOST;
    uint32_t column = place->column < COLUMN_MOST ? place->column : COLUMN_MOST;
    uint8_t *record = eb_buf_room(out, LINE_INFO);
    eb_set32(record, w->big, offset);
    eb_set32(record + 4, w->big, string(w, place->source->name));
    eb_set32(record + 8, w->big, string(w, trim(place->text)));
    eb_set32(record + 12, w->big, line << 10 | column);
}

/* A record where the line changes and where a function starts: the kernel wants one there. */
static void write_section_lines(writer *w, const ebpf_object *obj, const eb_func_info *infos,
                                uint32_t count, eb_buf *out) {
    const eb_section *section = &obj->sections.at[infos[0].section];
    size_t head = out->len;
    uint32_t lines = 0, last = 0;
    write_section_head(w, out, section->name, 0);
    for (uint32_t slot = 0; slot < section->locs.len; slot++) {
        bool starts = count && infos->offset == slot * 8;
        if (starts)
            infos++, count--;
        if (!starts && section->locs.at[slot] == last)
            continue;
        last = section->locs.at[slot];
        eb_place place = eb_place_of(obj->ctx, last);
        if (!place.source)
            continue;
        write_line(w, out, slot * 8, &place);
        lines++;
    }
    if (lines)
        eb_set32(out->at + head + 4, w->big, lines);
    else
        out->len = head; /* read from a file: nobody knows */
}

static void write_lines(writer *w, const ebpf_object *obj, const eb_func_info *infos,
                        uint32_t count, eb_buf *out) {
    eb_set32(eb_buf_room(out, 4), w->big, LINE_INFO);
    for (uint32_t i = 0; i < count;) {
        uint32_t n = infos_in_section(infos + i, count - i);
        write_section_lines(w, obj, infos + i, n, out);
        i += n;
    }
    if (out->len == 4)
        out->len = 0;
}

/* Sections of records: functions, then lines; no CO-RE relocations. */
static void write_ext(writer *w, const ebpf_object *obj, const eb_func_info *infos, uint32_t count,
                      eb_buf *ext) {
    eb_buf funcs = {.arena = ext->arena}, lines = {.arena = ext->arena};
    write_funcs(w, obj, infos, count, &funcs);
    write_lines(w, obj, infos, count, &lines);
    uint8_t *header = write_preamble(ext, w->big, EXT_HEADER);
    eb_set32(header + 12, w->big, (uint32_t)funcs.len); /* func_info_len, at offset 0 */
    eb_set32(header + 16, w->big, (uint32_t)funcs.len); /* line_info_off */
    eb_set32(header + 20, w->big, (uint32_t)lines.len);
    eb_set32(header + 24, w->big, (uint32_t)(funcs.len + lines.len)); /* core_relo_off, empty */
    eb_buf_put(ext, funcs.at, funcs.len);
    eb_buf_put(ext, lines.at, lines.len);
}

void eb_btf_write(const eb_btf *btf, const ebpf_object *obj, const eb_func_info *infos,
                  uint32_t info_count, eb_buf *out, eb_buf *ext) {
    writer w = {.types = {.arena = btf->arena},
                .strings = {.arena = btf->arena},
                .offsets = {.arena = btf->arena},
                .big = obj->big};
    eb_buf_byte(&w.strings, 0);
    for (uint32_t id = 1; id < btf->types.len; id++)
        write_type(&w, btf, &btf->types.at[id]);
    if (info_count)
        write_ext(&w, obj, infos, info_count, ext);
    uint8_t *header = write_preamble(out, w.big, HEADER);
    eb_set32(header + 12, w.big, (uint32_t)w.types.len); /* type_len, at offset 0 */
    eb_set32(header + 16, w.big, (uint32_t)w.types.len); /* str_off */
    eb_set32(header + 20, w.big, (uint32_t)w.strings.len);
    eb_buf_put(out, w.types.at, w.types.len);
    eb_buf_put(out, w.strings.at, w.strings.len);
}
