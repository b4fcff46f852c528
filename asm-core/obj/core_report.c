/* core_report.c - what relocating did, record by record, for people and as JSON:
 *
 * { relocations: [{ section, insn, file, line, column, source, kind, typeId, access, path, outcome,
 *   from, to, target: { name, typeId, path } or null, reason, bytes }], resolved, poisoned, failed
 * }
 *
 * `insn` counts 8-byte slots of the section; `bytes` is the instruction as it is now, in
 * hexadecimal; `from` and `to` are null when nothing was put in, and text above 2^53. */
#include "core.h"

#include "btf_ext.h"
#include "ebpf_insn.h"
#include "json.h"

static const char *const outcomes[] = {
    [EB_CORE_RESOLVED] = "resolved", [EB_CORE_POISONED] = "poisoned", [EB_CORE_FAILED] = "failed"};

static eb_str spell(const ebpf_object *obj, const eb_core_relo *relo) {
    eb_buf text = {.arena = &obj->ctx->arena};
    eb_core_spell(obj->btf, relo, &text);
    return (eb_str){(const char *)text.at, text.len};
}

static uint32_t count_of(const eb_core_results *results, eb_core_outcome outcome) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < results->len; i++)
        count += results->at[i].outcome == outcome;
    return count;
}

/* ---- JSON ---- */

static void key_value(eb_json *json, const char *key, const eb_core_result *r, uint64_t value) {
    eb_json_key(json, key);
    if (r->outcome != EB_CORE_RESOLVED)
        eb_json_null(json);
    else if ((int64_t)value < 0 && (int64_t)value >= -((int64_t)1 << 53))
        eb_json_int(json, (int64_t)value);
    else
        eb_json_uint(json, value);
}

static void key_text(eb_json *json, const char *key, eb_str text) {
    eb_json_key(json, key);
    if (text.len)
        eb_json_str(json, text);
    else
        eb_json_null(json);
}

static void put_place(eb_json *json, const ebpf_object *obj, const eb_core_result *r) {
    const eb_section *section = &obj->sections.at[r->section];
    const eb_line *line = eb_line_of(section, r->relo.offset);
    eb_json_key_str(json, "section", section->name);
    eb_json_key_uint(json, "insn", r->relo.offset / EBPF_SLOT);
    key_text(json, "file", line ? line->file : (eb_str){0});
    eb_json_key_uint(json, "line", line ? line->line : 0);
    eb_json_key_uint(json, "column", line ? line->column : 0);
    key_text(json, "source", line ? eb_line_text(line) : (eb_str){0});
}

static void put_target(eb_json *json, const eb_core_result *r, const eb_core_target *targets) {
    eb_json_key(json, "target");
    if (!r->found) {
        eb_json_null(json);
        return;
    }
    eb_json_open(json, '{');
    eb_json_key_str(json, "name", targets[r->target].name);
    eb_json_key_uint(json, "typeId", r->found);
    eb_json_key_str(json, "path", r->path);
    eb_json_close(json, '}');
}

static void put_bytes(eb_json *json, const ebpf_object *obj, const eb_core_result *r) {
    const eb_buf *code = &obj->sections.at[r->section].bytes;
    eb_buf text = {.arena = json->buf.arena};
    for (uint32_t i = 0; i < r->slots * EBPF_SLOT; i++)
        eb_buf_fmt(&text, "%02x", code->at[r->relo.offset + i]);
    eb_json_key_str(json, "bytes", (eb_str){(const char *)text.at, text.len});
}

static void put_result(eb_json *json, const ebpf_object *obj, const eb_core_result *r,
                       const eb_core_target *targets) {
    eb_json_open(json, '{');
    put_place(json, obj, r);
    eb_json_key_str(json, "kind", eb_str_from(eb_core_kind_name(r->relo.kind)));
    eb_json_key_uint(json, "typeId", r->relo.type);
    eb_json_key_str(json, "access", r->relo.access);
    eb_json_key_str(json, "path", spell(obj, &r->relo));
    eb_json_key_str(json, "outcome", eb_str_from(outcomes[r->outcome]));
    key_value(json, "from", r, r->from);
    key_value(json, "to", r, r->to);
    put_target(json, r, targets);
    key_text(json, "reason", r->reason);
    put_bytes(json, obj, r);
    eb_json_close(json, '}');
}

void eb_core_report_json(const ebpf_object *obj, const eb_core_results *results,
                         const eb_core_target *targets, eb_buf *out) {
    eb_json json = {.buf = *out};
    eb_json_open(&json, '{');
    eb_json_key(&json, "relocations");
    eb_json_open(&json, '[');
    for (uint32_t i = 0; i < results->len; i++)
        put_result(&json, obj, &results->at[i], targets);
    eb_json_close(&json, ']');
    for (eb_core_outcome o = EB_CORE_RESOLVED; o <= EB_CORE_FAILED; o++)
        eb_json_key_uint(&json, outcomes[o], count_of(results, o));
    eb_json_close(&json, '}');
    *out = json.buf;
}

/* ---- text ---- */

/* End the line that starts at `start`. Names of a file must not reach a terminal as they are. */
static void end_line(eb_buf *out, size_t start) {
    for (size_t i = start; i < out->len; i++)
        if (out->at[i] < 0x20 || out->at[i] == 0x7f)
            out->at[i] = '?';
    eb_buf_byte(out, '\n');
}

static void put_line(const ebpf_object *obj, const eb_core_result *r, eb_buf *out) {
    const eb_line *line = eb_line_of(&obj->sections.at[r->section], r->relo.offset);
    size_t start = out->len;
    if (!line)
        return;
    eb_str text = eb_line_text(line);
    eb_buf_fmt(out, "      %.*s:%u:%u: %.*s", (int)line->file.len, line->file.at, line->line,
               line->column, (int)text.len, text.at);
    end_line(out, start);
}

static void put_record(const ebpf_object *obj, const eb_core_result *r,
                       const eb_core_target *targets, eb_buf *out) {
    size_t start = out->len;
    eb_str path = spell(obj, &r->relo), name = targets[r->target].name;
    eb_buf_fmt(out, "  %u: %s %.*s: ", r->relo.offset / EBPF_SLOT, eb_core_kind_name(r->relo.kind),
               (int)path.len, path.at);
    if (r->outcome == EB_CORE_RESOLVED)
        eb_buf_fmt(out, "%lld -> %lld", (long long)r->from, (long long)r->to);
    else
        eb_buf_str(out, eb_str_from(outcomes[r->outcome]));
    if (r->found)
        eb_buf_fmt(out, ", %.*s [%u] %.*s", (int)name.len, name.at, r->found, (int)r->path.len,
                   r->path.at);
    if (r->reason.len)
        eb_buf_fmt(out, ": %.*s", (int)r->reason.len, r->reason.at);
    end_line(out, start);
    put_line(obj, r, out);
}

void eb_core_report_text(const ebpf_object *obj, const eb_core_results *results,
                         const eb_core_target *targets, eb_buf *out) {
    for (uint32_t i = 0; i < results->len; i++) {
        const eb_core_result *r = &results->at[i];
        eb_str name = obj->sections.at[r->section].name;
        size_t start = out->len;
        if (!i || results->at[i - 1].section != r->section) {
            eb_buf_fmt(out, "%.*s:", (int)name.len, name.at);
            end_line(out, start);
        }
        put_record(obj, r, targets, out);
    }
    eb_buf_fmt(out, "%u relocations: %u resolved, %u poisoned, %u failed\n", results->len,
               count_of(results, EB_CORE_RESOLVED), count_of(results, EB_CORE_POISONED),
               count_of(results, EB_CORE_FAILED));
}
