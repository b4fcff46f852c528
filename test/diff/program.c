/* program.c - what both sides need of a program: its steps as instructions, and comparing what came
 * out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "diff.h"

const prog_type prog_types[PROG_KINDS] = {
    [PROG_SOCKET] = {"socket_filter", "socket", BPF_PROG_TYPE_SOCKET_FILTER, true, false},
    [PROG_RAW_TP] = {"raw_tracepoint", "raw_tp", BPF_PROG_TYPE_RAW_TRACEPOINT, false, false},
    [PROG_SYSCALL] = {"syscall", "syscall", BPF_PROG_TYPE_SYSCALL, false, true},
    [PROG_XDP] = {"xdp", "xdp", BPF_PROG_TYPE_XDP, true, false},
    [PROG_TC] = {"sched_cls", "tc", BPF_PROG_TYPE_SCHED_CLS, true, false},
};

/* ---- steps to instructions ---- */

static uint32_t slots_of(const step *s) {
    return eb_insn_is_lddw(eb_insn_rows[s->op].code) ? 2 : 1;
}

static ebpf_insn insn_of(const step *s) {
    const eb_insn_row *row = &eb_insn_rows[s->op];
    return (ebpf_insn){.code = row->code,
                       .dst = s->dst,
                       .src = s->src,
                       .slots = (uint8_t)slots_of(s),
                       .off = s->off,
                       .imm = s->imm};
}

/* Slots of each step of a function, and behind the last one; a dead step has the next one's. */
static uint32_t place_steps(const func *f, uint32_t slot, uint32_t *slots) {
    for (uint32_t i = 0; i < f->count; i++) {
        slots[i] = slot;
        slot += f->steps[i].dead ? 0 : slots_of(&f->steps[i]);
    }
    slots[f->count] = slot;
    return slot;
}

static void aim(ebpf_insn *insn, const step *s, int64_t distance) {
    if (eb_op_target((eb_op)s->op) == EB_TARGET_OFF)
        insn->off = (int16_t)distance;
    else
        insn->imm = distance;
}

/* Functions that are called, or whose address is taken, from `f` on; with `tails` also those that
 * are in a program array which is used. */
static void mark_reached(const program *p, uint32_t f, bool tails, bool *reached) {
    if (reached[f])
        return;
    reached[f] = true;
    for (uint32_t i = 0; i < p->funcs[f].count; i++) {
        const step *s = &p->funcs[f].steps[i];
        if (s->dead)
            continue;
        if (s->ref == REF_CALL || s->ref == REF_FUNC)
            mark_reached(p, s->target, tails, reached);
        if (s->ref != REF_MAP || !tails)
            continue;
        const map *m = &p->maps[s->target];
        for (uint32_t e = 0; m->type == BPF_MAP_TYPE_PROG_ARRAY && e < m->entry_count; e++)
            mark_reached(p, m->entries[e].value[0], tails, reached);
    }
}

code code_of(const program *p, uint32_t entry) {
    code c = {0};
    uint32_t most = 0;
    uint32_t *slots[MOST_FUNCS];
    bool all = entry == ALL_ENTRIES;
    mark_reached(p, all ? 0 : entry, all, c.reached);
    for (uint32_t f = 0; f < p->func_count; f++) {
        const func *from = &p->funcs[f];
        slots[f] = calloc(from->count + 1, sizeof *slots[f]);
        c.func_slot[f] = c.slots;
        if (c.reached[f])
            c.slots = place_steps(from, c.slots, slots[f]);
        most += from->count;
    }
    c.func_slot[p->func_count] = c.slots;
    c.at = calloc(most + 1, sizeof *c.at);
    for (uint32_t f = 0; f < p->func_count; f++) {
        const func *from = &p->funcs[f];
        for (uint32_t i = 0; i < from->count && c.reached[f]; i++) {
            const step *s = &from->steps[i];
            if (s->dead)
                continue;
            uint32_t slot = slots[f][i];
            ebpf_insn insn = insn_of(s);
            if (s->ref == REF_JUMP)
                aim(&insn, s, (int64_t)slots[f][s->target] - slot - 1);
            else if (s->ref == REF_CALL || s->ref == REF_FUNC)
                insn.imm = (int64_t)c.func_slot[s->target] - slot - 1;
            c.at[c.count].from = s;
            c.at[c.count].insn = insn;
            c.at[c.count++].slot = slot;
        }
    }
    for (uint32_t f = 0; f < p->func_count; f++)
        free(slots[f]);
    return c;
}

void code_free(code *c) {
    free(c->at);
    *c = (code){0};
}

void program_free(program *p) {
    for (uint32_t f = 0; f < p->func_count; f++)
        free(p->funcs[f].steps);
    free(p);
}

/* ---- maps ---- */

bool map_is_per_cpu(const map *m) {
    return m->type == BPF_MAP_TYPE_PERCPU_ARRAY || m->type == BPF_MAP_TYPE_PERCPU_HASH ||
           m->type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

bool map_is_queue(const map *m) {
    return m->type == BPF_MAP_TYPE_QUEUE || m->type == BPF_MAP_TYPE_STACK;
}

bool map_holds_maps(const map *m) {
    return m->type == BPF_MAP_TYPE_ARRAY_OF_MAPS || m->type == BPF_MAP_TYPE_HASH_OF_MAPS;
}

bool map_is_array(const map *m) {
    return m->type == BPF_MAP_TYPE_ARRAY || m->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

uint32_t map_host_size(const map *m, uint32_t cpus) {
    return map_is_per_cpu(m) ? (m->value_size + 7) / 8 * 8 * cpus : m->value_size;
}

uint8_t *map_host_value(const map *m, uint32_t entry, uint32_t cpus) {
    uint32_t size = map_host_size(m, cpus), one = map_is_per_cpu(m) ? size / cpus : size;
    uint8_t *value = calloc(1, size + 1);
    for (uint32_t at = 0; at < size; at += one)
        memcpy(value + at, m->entries[entry].value, m->value_size);
    return value;
}

void program_drop_maps(program *p) {
    bool used[MOST_MAPS] = {false};
    code c = code_of(p, ALL_ENTRIES);
    for (uint32_t i = 0; i < c.count; i++)
        if (c.at[i].from->ref == REF_MAP || c.at[i].from->ref == REF_VALUE)
            used[c.at[i].from->target] = true;
    code_free(&c);
    for (uint32_t i = p->map_count; i-- > 0;) /* what is in maps of maps comes before them */
        for (uint32_t e = 0; used[i] && map_holds_maps(&p->maps[i]); e++) {
            used[p->maps[i].inner - 1] = true;
            if (e >= p->maps[i].entry_count)
                break;
            used[p->maps[i].entries[e].value[0]] = true;
        }
    for (uint32_t i = 0; i < p->map_count; i++)
        p->maps[i].dead = !used[i];
}

/* ---- outcomes ---- */

void outcome_free(outcome *o) {
    for (uint32_t i = 0; i < o->record_count; i++)
        free(o->records[i].value);
    free(o->records);
    *o = (outcome){0};
}

void outcome_add(outcome *o, uint32_t which, const uint8_t *key, uint32_t key_size,
                 const uint8_t *value, uint32_t value_size) {
    if (o->record_count == o->record_room) {
        o->record_room = o->record_room ? o->record_room * 2 : 16;
        o->records = realloc(o->records, o->record_room * sizeof *o->records);
    }
    record *r = &o->records[o->record_count++];
    *r = (record){.map = which, .value_size = value_size, .value = malloc(value_size + 1)};
    memcpy(r->key, key, key_size);
    memcpy(r->value, value, value_size);
}

void outcome_add_numbered(outcome *o, uint32_t which, uint32_t number, const uint8_t *value,
                          uint32_t value_size) {
    uint8_t key[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                     (uint8_t)number};
    outcome_add(o, which, key, sizeof key, value, value_size);
}

static int by_map_and_key(const void *a, const void *b) {
    const record *x = a, *y = b;
    if (x->map != y->map)
        return x->map < y->map ? -1 : 1;
    return memcmp(x->key, y->key, sizeof x->key);
}

void outcome_sort(outcome *o) {
    if (o->record_count)
        qsort(o->records, o->record_count, sizeof *o->records, by_map_and_key);
}

/* Lines of text that stop at the end of the room. */
typedef struct lines {
    char *at;
    size_t left;
    uint32_t count;
} lines;

enum { MOST_LINES = 12 };

static void put_hex(char *out, const uint8_t *bytes, uint32_t size) {
    for (uint32_t i = 0; i < size; i++)
        sprintf(out + i * 2, "%02x", bytes[i]);
    out[size * 2] = 0;
}

static void say(lines *l, const char *text) {
    if (l->count++ >= MOST_LINES)
        return;
    int used = snprintf(l->at, l->left, "%s\n", text);
    if (used < 0 || (size_t)used >= l->left)
        l->left = 1;
    else
        l->at += used, l->left -= (size_t)used;
}

static void say_bytes(lines *l, const char *what, uint32_t at, uint8_t vm, uint8_t kernel) {
    char text[800];
    snprintf(text, sizeof text, "%s byte %u: vm 0x%02x, kernel 0x%02x", what, at, vm, kernel);
    say(l, text);
}

static void compare_bytes(lines *l, const char *what, const uint8_t *vm, const uint8_t *kernel,
                          uint32_t size) {
    for (uint32_t i = 0; i < size; i++)
        if (vm[i] != kernel[i])
            say_bytes(l, what, i, vm[i], kernel[i]);
}

static void describe(char *text, size_t size, const program *p, const record *r) {
    char key[MOST_KEY * 2 + 1];
    put_hex(key, r->key, p->maps[r->map].key_size ? p->maps[r->map].key_size : 4);
    snprintf(text, size, "map m%u key %s", r->map, key);
}

static void say_lone(lines *l, const program *p, const record *r, const char *side) {
    char what[128], text[800];
    describe(what, sizeof what, p, r);
    snprintf(text, sizeof text, "%s: only in the %s", what, side);
    say(l, text);
}

static void compare_records(lines *l, const program *p, const outcome *vm, const outcome *kernel) {
    uint32_t v = 0, k = 0;
    while (v < vm->record_count || k < kernel->record_count) {
        int order = v == vm->record_count ? 1
                    : k == kernel->record_count
                        ? -1
                        : by_map_and_key(&vm->records[v], &kernel->records[k]);
        if (order < 0) {
            say_lone(l, p, &vm->records[v++], "vm");
        } else if (order > 0) {
            say_lone(l, p, &kernel->records[k++], "kernel");
        } else {
            const record *a = &vm->records[v++], *b = &kernel->records[k++];
            char what[128], text[800];
            describe(what, sizeof what, p, a);
            if (a->value_size != b->value_size) {
                snprintf(text, sizeof text, "%s: vm has %u bytes, kernel %u", what, a->value_size,
                         b->value_size);
                say(l, text);
            } else {
                compare_bytes(l, what, a->value, b->value, a->value_size);
            }
        }
    }
}

bool outcome_equal(const program *p, const outcome *vm, const outcome *kernel, char *text,
                   size_t size) {
    lines l = {text, size, 0};
    char line[600];
    text[0] = 0;
    if (!vm->ran) {
        snprintf(line, sizeof line, "vm: %s", vm->why);
        say(&l, line);
        return false;
    }
    for (uint32_t i = 0; i < kernel->runs; i++) {
        if (vm->result[i] != kernel->result[i]) {
            snprintf(line, sizeof line, "run %u result: vm 0x%08x, kernel 0x%08x", i, vm->result[i],
                     kernel->result[i]);
            say(&l, line);
        }
        snprintf(line, sizeof line, "run %u memory", i);
        if (vm->after[i].size != kernel->after[i].size) {
            snprintf(line, sizeof line, "run %u memory: vm %u bytes, kernel %u", i,
                     vm->after[i].size, kernel->after[i].size);
            say(&l, line);
        } else {
            compare_bytes(&l, line, vm->after[i].bytes, kernel->after[i].bytes, vm->after[i].size);
        }
    }
    compare_records(&l, p, vm, kernel);
    return l.count == 0;
}
