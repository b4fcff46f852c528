/* btf_write.c - the BTF model to the bytes of .BTF, and an object's .BTF.ext, in its byte order.
 *
 * The strings that .BTF.ext names live in .BTF, so .BTF.ext is made first.
 * Sources: btf.rst (encoding; .BTF.ext), libbpf's expectations of the header. */
#include "btf.h"

enum { MAGIC = 0xeb9f, HEADER = 24, EXT_HEADER = 32, FUNC_INFO = 8, LINE_INFO = 16 };

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
static void write_section_head(eb_btf *btf, eb_buf *out, eb_str name, uint32_t count) {
    uint8_t *head = eb_buf_room(out, 8);
    eb_set32(head, btf->big, eb_btf_add_string(btf, name));
    eb_set32(head + 4, btf->big, count);
}

static void write_funcs(eb_btf *btf, const ebpf_object *obj, const eb_func_info *infos,
                        uint32_t count, eb_buf *out) {
    eb_set32(eb_buf_room(out, 4), btf->big, FUNC_INFO);
    for (uint32_t i = 0; i < count;) {
        uint32_t n = infos_in_section(infos + i, count - i);
        write_section_head(btf, out, obj->sections.at[infos[i].section].name, n);
        for (uint32_t end = i + n; i < end; i++) {
            uint8_t *record = eb_buf_room(out, FUNC_INFO);
            eb_set32(record, btf->big, infos[i].offset);
            eb_set32(record + 4, btf->big, infos[i].type);
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

static void write_line(eb_btf *btf, eb_buf *out, uint32_t offset, const eb_place *place) {
    enum { LINE_MOST = (1 << 22) - 1, COLUMN_MOST = 1023 };
    uint32_t line = place->line < LINE_MOST ? place->line : LINE_MOST;
    uint32_t column = place->column < COLUMN_MOST ? place->column : COLUMN_MOST;
    uint8_t *record = eb_buf_room(out, LINE_INFO);
    eb_set32(record, btf->big, offset);
    eb_set32(record + 4, btf->big, eb_btf_add_string(btf, place->source->name));
    eb_set32(record + 8, btf->big, eb_btf_add_string(btf, trim(place->text)));
    eb_set32(record + 12, btf->big, line << 10 | column);
}

/* A record where the line changes and where a function starts: the kernel wants one there. */
static void write_section_lines(eb_btf *btf, const ebpf_object *obj, const eb_func_info *infos,
                                uint32_t count, eb_buf *out) {
    const eb_section *section = &obj->sections.at[infos[0].section];
    size_t head = out->len;
    uint32_t lines = 0, last = 0;
    write_section_head(btf, out, section->name, 0);
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
        write_line(btf, out, slot * 8, &place);
        lines++;
    }
    if (lines)
        eb_set32(out->at + head + 4, btf->big, lines);
    else
        out->len = head; /* read from a file: nobody knows */
}

static void write_lines(eb_btf *btf, const ebpf_object *obj, const eb_func_info *infos,
                        uint32_t count, eb_buf *out) {
    eb_set32(eb_buf_room(out, 4), btf->big, LINE_INFO);
    for (uint32_t i = 0; i < count;) {
        uint32_t n = infos_in_section(infos + i, count - i);
        write_section_lines(btf, obj, infos + i, n, out);
        i += n;
    }
    if (out->len == 4)
        out->len = 0;
}

/* Sections of records: functions, then lines; no CO-RE relocations. */
void eb_btf_write_ext(eb_btf *btf, const ebpf_object *obj, const eb_func_info *infos,
                      uint32_t count, eb_buf *ext) {
    eb_buf funcs = {.arena = ext->arena}, lines = {.arena = ext->arena};
    if (!count)
        return;
    write_funcs(btf, obj, infos, count, &funcs);
    write_lines(btf, obj, infos, count, &lines);
    uint8_t *header = write_preamble(ext, btf->big, EXT_HEADER);
    eb_set32(header + 12, btf->big, (uint32_t)funcs.len); /* func_info_len, at offset 0 */
    eb_set32(header + 16, btf->big, (uint32_t)funcs.len); /* line_info_off */
    eb_set32(header + 20, btf->big, (uint32_t)lines.len);
    eb_set32(header + 24, btf->big, (uint32_t)(funcs.len + lines.len)); /* core_relo_off, empty */
    eb_buf_put(ext, funcs.at, funcs.len);
    eb_buf_put(ext, lines.at, lines.len);
}

void eb_btf_write(const eb_btf *btf, eb_buf *out) {
    if (btf->input) {
        eb_buf_put(out, btf->input, btf->input_size);
        return;
    }
    uint8_t *header = write_preamble(out, btf->big, HEADER);
    eb_set32(header + 12, btf->big, (uint32_t)btf->types_size); /* type_len, at offset 0 */
    eb_set32(header + 16, btf->big, (uint32_t)btf->types_size); /* str_off */
    eb_set32(header + 20, btf->big, (uint32_t)btf->strings_size);
    eb_buf_put(out, btf->types, btf->types_size);
    eb_buf_put(out, btf->strings, btf->strings_size);
}
