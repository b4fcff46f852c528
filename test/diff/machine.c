/* machine.c - a program in the VM: made from its object, filled, run and read back through the
 * public interface, as a host does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "diff.h"
#include "object.h"
#include "vm.h"

enum { BUDGET = 50 << 20, MEMORY = 64 << 20 };

typedef struct machine {
    const program *p;
    ebpf_ctx *ctx;
    ebpf_vm *vm;
    uint32_t cpus;
    uint32_t maps[MOST_MAPS]; /* the VM's index of each map */
    outcome out;
    machine_options how;
    /* for coverage */
    uint32_t section; /* the program's; other functions are in another one */
    code code;
    const step **at_slot;
} machine;

static bool give_up(machine *m, const char *what) {
    ebpf_bytes text = {"", 0};
    ebpf_diagnostics(m->ctx, EBPF_DIAG_TEXT, &text);
    snprintf(m->out.why, sizeof m->out.why, "%s%s%.*s", what, text.size ? ": " : "",
             (int)(text.size < 400 ? text.size : 400), (const char *)text.data);
    for (char *at = m->out.why; *at; at++)
        if (*at == '\n')
            *at = ' ';
    return false;
}

/* ---- making it ---- */

static int find_map(machine *m, uint32_t i) {
    char name[16];
    int length = snprintf(name, sizeof name, "m%u", i);
    return ebpf_vm_map_find(m->vm, name, (uint32_t)length);
}

/* A value as the VM takes it: numbers of programs and maps are the VM's. */
static uint8_t *value_of(machine *m, const map *from, uint32_t entry) {
    uint8_t *value = map_host_value(from, entry, m->cpus);
    char name[16];
    int length = snprintf(name, sizeof name, "f%u", value[0]), number = -1;
    if (from->type == BPF_MAP_TYPE_PROG_ARRAY)
        number = ebpf_vm_program_find(m->vm, name, (uint32_t)length);
    if (map_holds_maps(from))
        number = find_map(m, value[0]);
    if (number >= 0)
        memcpy(value, &number, sizeof number);
    return value;
}

static bool fill_map(machine *m, uint32_t i) {
    const map *from = &m->p->maps[i];
    int index = find_map(m, i);
    if (index < 0)
        return give_up(m, "a map is missing");
    m->maps[i] = (uint32_t)index;
    for (uint32_t e = 0; e < from->entry_count; e++) {
        uint8_t *value = value_of(m, from, e);
        const uint8_t *key = from->key_size ? from->entries[e].key : NULL;
        int status = ebpf_vm_map_update(m->vm, m->maps[i], key, value, EBPF_ANY);
        free(value);
        if (status)
            return give_up(m, "a map cannot be filled");
    }
    return true;
}

static bool make(machine *m) {
    ebpf_object *obj = object_of(m->ctx, m->p);
    if (!obj)
        return give_up(m, "no object");
    m->section = eb_object_find_section(obj, eb_str_from(prog_types[m->p->kind].section));
    if (ebpf_vm_new(m->ctx, obj, m->cpus, &m->vm) != EBPF_OK)
        return give_up(m, "no VM");
    for (uint32_t i = 0; i < m->p->map_count; i++)
        if (m->p->maps[i].use == USE_MAP && !m->p->maps[i].dead && !fill_map(m, i))
            return false;
    return true;
}

/* ---- running ---- */

static void index_slots(machine *m) {
    m->code = code_of(m->p, ALL_ENTRIES);
    m->at_slot = calloc(m->code.slots + 1, sizeof *m->at_slot);
    for (uint32_t i = 0; i < m->code.count; i++)
        m->at_slot[m->code.at[i].slot] = m->code.at[i].from;
}

/* The step that the VM stands before, or NULL. */
static const step *next_step(const machine *m) {
    const ebpf_vm_state *state = ebpf_vm_state_of(m->vm);
    uint32_t slot = state->slot;
    if (state->section != m->section)
        slot += m->code.func_slot[m->p->entry_count];
    return slot < m->code.slots ? m->at_slot[slot] : NULL;
}

static int run_steps(machine *m) {
    int stop = EBPF_STOP_BUDGET;
    while (stop == EBPF_STOP_BUDGET && ebpf_vm_state_of(m->vm)->executed < BUDGET) {
        const step *s = next_step(m);
        stop = ebpf_vm_step(m->vm);
        if (!s)
            continue;
        m->how.counts->ops[s->op]++;
        if (s->op == EB_OP_CALL_ONLY && s->imm < DIFF_HELPERS)
            m->how.counts->helpers[s->imm]++;
    }
    return stop;
}

/* What the program leaves of its context or packet. */
static bool keep_memory(machine *m, input *after) {
    ebpf_bytes bytes;
    bool packet = prog_types[m->p->kind].packet;
    if ((packet ? ebpf_vm_packet : ebpf_vm_context)(m->vm, &bytes) != EBPF_OK ||
        bytes.size > sizeof after->bytes)
        return give_up(m, "its memory cannot be read");
    after->size = (uint32_t)bytes.size;
    memcpy(after->bytes, bytes.data, bytes.size);
    return true;
}

static bool run(machine *m, uint32_t i) {
    int entry = ebpf_vm_program_find(m->vm, "f0", 2);
    const input *in = &m->p->runs[i];
    bool packet = prog_types[m->p->kind].packet;
    if (entry < 0 || ebpf_vm_start_typed(m->vm, (uint32_t)entry, packet ? NULL : in->bytes,
                                         packet ? 0 : in->size, packet ? in->bytes : NULL,
                                         packet ? in->size : 0) != EBPF_OK)
        return give_up(m, "the program cannot be started");
    memset(m->vm->stack, m->how.poison, EBPF_VM_FRAMES * EBPF_VM_FRAME_SIZE);
    ebpf_vm_state *state = ebpf_vm_state_of(m->vm);
    state->budget = BUDGET;
    switch (m->how.counts ? run_steps(m) : ebpf_vm_run(m->vm)) {
    case EBPF_STOP_EXIT:
        m->out.result[i] = (uint32_t)state->reg[0];
        m->out.runs++;
        return keep_memory(m, &m->out.after[i]);
    case EBPF_STOP_HELPER:
        snprintf(m->out.why, sizeof m->out.why, "helper %u (%s) is not in this VM", state->helper,
                 ebpf_helper_name(state->helper));
        return false;
    case EBPF_STOP_BUDGET:
        return give_up(m, "the budget is used up");
    default:
        m->out.fault = true;
        return give_up(m, "fault");
    }
}

/* ---- reading back ---- */

static void read_data(machine *m, uint32_t i) {
    static const char *const names[] = {
        [USE_DATA] = ".data", [USE_BSS] = ".bss", [USE_RODATA] = ".rodata"};
    const char *name = names[m->p->maps[i].use];
    ebpf_bytes bytes;
    static const uint8_t zero[4];
    if (ebpf_vm_section(m->vm, name, (uint32_t)strlen(name), &bytes) == EBPF_OK)
        outcome_add(&m->out, i, zero, sizeof zero, bytes.data, (uint32_t)bytes.size);
}

static void read_map(machine *m, uint32_t i) {
    const map *from = &m->p->maps[i];
    uint32_t size = map_host_size(from, m->cpus);
    uint8_t key[MOST_KEY], *value = malloc(size + 1);
    const uint8_t *last = NULL;
    while (ebpf_vm_map_next(m->vm, m->maps[i], last, key) == 0) {
        last = key;
        if (ebpf_vm_map_lookup(m->vm, m->maps[i], key, value) == 0)
            outcome_add(&m->out, i, key, from->key_size, value, size);
    }
    free(value);
}

/* What queues, stacks and rings hold has no keys but its order. */
static void drain_map(machine *m, uint32_t i) {
    uint32_t size = m->p->maps[i].value_size, cpu;
    uint8_t *value = malloc(size + 1);
    ebpf_bytes bytes;
    for (uint32_t n = 0; map_is_queue(&m->p->maps[i]); n++) {
        if (ebpf_vm_map_take(m->vm, m->maps[i], NULL, value))
            break;
        outcome_add_numbered(&m->out, i, n, value, size);
    }
    for (uint32_t n = 0; m->p->maps[i].type == BPF_MAP_TYPE_RINGBUF; n++) {
        if (ebpf_vm_map_record(m->vm, m->maps[i], &cpu, &bytes))
            break;
        outcome_add_numbered(&m->out, i, n, bytes.data, (uint32_t)bytes.size);
    }
    free(value);
}

outcome machine_run(const program *p, machine_options how) {
    machine m = {.p = p, .ctx = ebpf_ctx_new(MEMORY), .cpus = kernel_cpus(), .how = how};
    bool well = m.ctx && make(&m);
    if (well && how.counts)
        index_slots(&m);
    for (uint32_t i = 0; well && i < p->run_count; i++)
        well = run(&m, i);
    for (uint32_t i = 0; well && i < p->map_count; i++)
        if (p->maps[i].dead)
            continue;
        else if (p->maps[i].use != USE_MAP)
            read_data(&m, i);
        else if (p->maps[i].key_size == 0)
            drain_map(&m, i);
        else if (!map_holds_maps(&p->maps[i]) && p->maps[i].type != BPF_MAP_TYPE_PROG_ARRAY)
            read_map(&m, i);
    outcome_sort(&m.out);
    m.out.ran = well;
    free(m.at_slot);
    code_free(&m.code);
    ebpf_ctx_free(m.ctx);
    return m.out;
}
