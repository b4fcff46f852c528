/* emit.c - a program and what the kernel made of it as one line of JSON, for replaying elsewhere:
 *   { seed, cpus, elf, packet, write, fill: [[map, key, value]...], runs: [bytes...],
 *     results: [r0...], after: [bytes...], maps: { name: [[key, value]...] } }
 * Bytes are hexadecimal. Map names are the object's; data sections are named so (".bss"). */
#include <stdio.h>
#include <stdlib.h>

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

static void put_fill(FILE *to, const program *p) {
    bool first = true;
    for (uint32_t i = 0; i < p->map_count; i++) {
        const map *m = &p->maps[i];
        for (uint32_t e = 0; e < m->entry_count && m->use == USE_MAP; e++) {
            uint8_t *value = map_host_value(m, e, kernel_cpus());
            fprintf(to, "%s[\"m%u\",", first ? "" : ",", i);
            put_hex(to, m->entries[e].key, m->key_size);
            fputc(',', to);
            put_hex(to, value, map_host_size(m, kernel_cpus()));
            fputc(']', to);
            free(value);
            first = false;
        }
    }
}

static void put_maps(FILE *to, const program *p, const outcome *o) {
    static const char *const data[] = {
        [USE_DATA] = ".data", [USE_BSS] = ".bss", [USE_RODATA] = ".rodata"};
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->map_count; i++) {
        const map *m = &p->maps[i];
        if (m->use == USE_MAP)
            fprintf(to, "%s\"m%u\":[", i ? "," : "", i);
        else
            fprintf(to, "%s\"%s\":[", i ? "," : "", data[m->use]);
        for (uint32_t n = 0; at < o->record_count && o->records[at].map == i; at++, n++) {
            fprintf(to, "%s[", n ? "," : "");
            put_hex(to, o->records[at].key, m->key_size);
            fputc(',', to);
            put_hex(to, o->records[at].value, o->records[at].value_size);
            fputc(']', to);
        }
        fputc(']', to);
    }
}

void emit_program(FILE *to, const program *p, const outcome *o) {
    fprintf(to,
            "{\"seed\":\"%llu\",\"type\":\"%s\",\"cpus\":%u,\"elf\":", (unsigned long long)p->seed,
            prog_types[p->kind].name, kernel_cpus());
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
