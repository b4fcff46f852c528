/* emit.c - a program and what the kernel made of it as one line of JSON, for replaying elsewhere:
 *   { seed, type, packet, cpus, elf, fill: [[map, key, value]...], runs: [bytes...],
 *     results: [r0...], after: [bytes...], maps: { name: [[key, value]...] } }
 * Bytes are hexadecimal. Maps without keys have numbers for them, in the order of their elements.
 * Data sections are maps called so (".bss"). `packet`: the runs' bytes are packets. */
#include <stdio.h>
#include <stdlib.h>

#include <linux/bpf.h>

#include "report.h"

static void put_hex(FILE *to, const uint8_t *bytes, size_t size) {
    fputc('"', to);
    for (size_t i = 0; i < size; i++)
        fprintf(to, "%02x", bytes[i]);
    fputc('"', to);
}

static void put_elf(FILE *to, const program *p) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    ebpf_bytes elf = {NULL, 0};
    ebpf_object *obj = object_of(ctx, p);
    if (obj)
        ebpf_object_write(ctx, obj, &elf);
    put_hex(to, elf.data, elf.size);
    ebpf_ctx_free(ctx);
}

/* The value of a first entry: bytes, or the name of a program or map. */
static void put_value(FILE *to, const map *m, uint32_t entry) {
    uint8_t number = m->entries[entry].value[0];
    if (m->type == BPF_MAP_TYPE_PROG_ARRAY) {
        fprintf(to, "{\"program\":\"f%u\"}", number);
    } else if (map_holds_maps(m)) {
        fprintf(to, "{\"map\":\"m%u\"}", number);
    } else {
        uint8_t *value = map_host_value(m, entry, kernel_cpus());
        put_hex(to, value, map_host_size(m, kernel_cpus()));
        free(value);
    }
}

static void put_fill(FILE *to, const program *p) {
    bool first = true;
    for (uint32_t i = 0; i < p->map_count; i++) {
        const map *m = &p->maps[i];
        for (uint32_t e = 0; e < m->entry_count && m->use == USE_MAP && !m->dead; e++) {
            fprintf(to, "%s[\"m%u\",", first ? "" : ",", i);
            put_hex(to, m->entries[e].key, m->key_size);
            fputc(',', to);
            put_value(to, m, e);
            fputc(']', to);
            first = false;
        }
    }
}

static void put_records(FILE *to, const program *p, const outcome *o, uint32_t i) {
    uint32_t at = 0, key_size = p->maps[i].key_size ? p->maps[i].key_size : 4, count = 0;
    for (; at < o->record_count; at++) {
        if (o->records[at].map != i)
            continue;
        fprintf(to, "%s[", count++ ? "," : "");
        put_hex(to, o->records[at].key, key_size);
        fputc(',', to);
        put_hex(to, o->records[at].value, o->records[at].value_size);
        fputc(']', to);
    }
}

static void put_maps(FILE *to, const program *p, const outcome *o) {
    static const char *const data[] = {
        [USE_DATA] = ".data", [USE_BSS] = ".bss", [USE_RODATA] = ".rodata"};
    bool first = true;
    for (uint32_t i = 0; i < p->map_count; i++) {
        const map *m = &p->maps[i];
        if (m->dead || map_holds_maps(m) || m->type == BPF_MAP_TYPE_PROG_ARRAY)
            continue;
        fprintf(to, "%s\"", first ? "" : ",");
        first = false;
        if (m->use == USE_MAP)
            fprintf(to, "m%u", i);
        else
            fprintf(to, "%s", data[m->use]);
        fprintf(to, "\":[");
        put_records(to, p, o, i);
        fputc(']', to);
    }
}

void emit_program(FILE *to, const program *p, const outcome *o) {
    fprintf(to, "{\"seed\":\"%llu\",\"type\":\"%s\",\"packet\":%s,\"cpus\":%u,\"elf\":",
            (unsigned long long)p->seed, prog_types[p->kind].name,
            prog_types[p->kind].packet ? "true" : "false", kernel_cpus());
    put_elf(to, p);
    fprintf(to, ",\"fill\":[");
    put_fill(to, p);
    fprintf(to, "],\"runs\":[");
    for (uint32_t i = 0; i < p->run_count; i++) {
        fprintf(to, "%s", i ? "," : "");
        put_hex(to, p->runs[i].bytes, p->runs[i].size);
    }
    fprintf(to, "],\"results\":[");
    for (uint32_t i = 0; i < o->runs; i++)
        fprintf(to, "%s%u", i ? "," : "", o->result[i]);
    fprintf(to, "],\"after\":[");
    for (uint32_t i = 0; i < o->runs; i++) {
        fprintf(to, "%s", i ? "," : "");
        put_hex(to, o->after[i].bytes, o->after[i].size);
    }
    fprintf(to, "],\"maps\":{");
    put_maps(to, p, o);
    fprintf(to, "}}\n");
}
