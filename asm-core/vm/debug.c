/* debug.c - what people and tools ask of a run: breakpoints, coverage, a trace, places.
 *
 * Only the exact loop looks here (eb_vm_observe, before each instruction), and only when something
 * is asked for; without, the fast loop runs as ever. Places come from .BTF.ext, or from the text
 * that was assembled. Cold answers are JSON. */
#include "btf_ext.h"
#include "guard.h"
#include "vm.h"

#include <string.h>

_Static_assert(sizeof(ebpf_vm_trace_entry) == 40, "hosts read it by offset");

/* ---- places ---- */

static const eb_func *function_at(const ebpf_object *obj, uint32_t section, uint32_t slot) {
    uint64_t at = (uint64_t)slot * EBPF_SLOT;
    for (uint32_t i = 0; i < obj->funcs.len; i++)
        if (obj->funcs.at[i].section == section && at >= obj->funcs.at[i].offset &&
            at - obj->funcs.at[i].offset < obj->funcs.at[i].size)
            return &obj->funcs.at[i];
    return NULL;
}

eb_vm_where eb_vm_where_of(ebpf_vm *vm, uint32_t section, uint32_t slot) {
    const eb_section *in = &vm->obj->sections.at[section];
    eb_vm_where w = {.section = section, .slot = slot, .func = function_at(vm->obj, section, slot)};
    const eb_line *line = eb_line_of(in, (uint64_t)slot * EBPF_SLOT);
    if (line) {
        w.file = line->file;
        w.text = line->text;
        w.line = line->line;
        w.column = line->column;
    } else if (slot < in->locs.len && in->locs.at[slot]) {
        eb_place place = eb_place_of(vm->ctx, in->locs.at[slot]);
        w.file = place.source ? place.name : EB_STR("");
        w.text = place.text;
        w.line = place.line;
        w.column = place.column;
    }
    return w;
}

static void put_where(ebpf_vm *vm, eb_json *json, uint32_t section, uint32_t slot) {
    eb_vm_where w = eb_vm_where_of(vm, section, slot);
    eb_json_open(json, '{');
    eb_json_key_str(json, "section", vm->obj->sections.at[section].name);
    eb_json_key_uint(json, "insn", slot);
    if (w.func) {
        eb_json_key_str(json, "function", w.func->name);
        eb_json_key_uint(json, "offset", slot - w.func->offset / EBPF_SLOT);
    }
    if (w.line) {
        eb_json_key_str(json, "file", w.file);
        eb_json_key_uint(json, "line", w.line);
        eb_json_key_uint(json, "column", w.column);
        eb_json_key_str(json, "text", w.text);
    }
    eb_json_close(json, '}');
}

/* The code that has slot `slot` of the section, and the slot counted over all code. */
static const eb_vm_code *code_at(const ebpf_vm *vm, uint32_t section, uint32_t slot,
                                 uint32_t *global) {
    for (uint32_t i = 0; i < vm->code.len; i++) {
        const eb_vm_code *code = &vm->code.at[i];
        if (code->section != section || slot >= code->slots)
            continue;
        *global = code->first + slot;
        return code;
    }
    return NULL;
}

/* ---- JSON answers ---- */

typedef struct eb_ask {
    ebpf_vm *vm;
    uint32_t section, slot;
    ebpf_bytes *out;
} eb_ask;

static int answer(eb_ask *ask, int (*how)(ebpf_ctx *ctx, void *ask)) {
    return eb_guard(ask->vm->ctx, how, ask);
}

static int tell_where(ebpf_ctx *ctx, void *args) {
    eb_ask *ask = args;
    eb_json json = {.buf.arena = &ctx->arena};
    put_where(ask->vm, &json, ask->section, ask->slot);
    *ask->out = (ebpf_bytes){json.buf.at, json.buf.len};
    return EBPF_OK;
}

int ebpf_vm_where(ebpf_vm *vm, uint32_t section, uint32_t slot, ebpf_bytes *json) {
    uint32_t global;
    if (!code_at(vm, section, slot, &global))
        return EBPF_E_ARG;
    return answer(&(eb_ask){vm, section, slot, json}, tell_where);
}

void eb_vm_frame_place(const ebpf_vm *vm, uint32_t depth, uint32_t *section, uint32_t *slot) {
    uint32_t op = vm->pc;
    if (depth < vm->depth) {
        const eb_vm_frame *frame = &vm->frames[depth];
        op = (frame->ret == EB_NO_OP ? frame->call.ret : frame->ret) - 1;
    }
    *section = *slot = 0;
    eb_vm_place_of(vm, op, section, slot);
}

static int tell_frames(ebpf_ctx *ctx, void *args) {
    eb_ask *ask = args;
    ebpf_vm *vm = ask->vm;
    eb_json json = {.buf.arena = &ctx->arena};
    uint32_t section, slot;
    eb_json_open(&json, '[');
    for (uint32_t depth = vm->depth + 1; depth-- > 0;) {
        eb_vm_frame_place(vm, depth, &section, &slot);
        put_where(vm, &json, section, slot);
    }
    eb_json_close(&json, ']');
    *ask->out = (ebpf_bytes){json.buf.at, json.buf.len};
    return EBPF_OK;
}

int ebpf_vm_frames(ebpf_vm *vm, ebpf_bytes *json) {
    return answer(&(eb_ask){.vm = vm, .out = json}, tell_frames);
}

/* ---- breakpoints ---- */

static int make_breaks(ebpf_ctx *ctx, void *vm) {
    (void)ctx;
    ebpf_vm *in = vm;
    in->breaks = eb_alloc_array(&ctx->arena, in->op_count, sizeof *in->breaks);
    return EBPF_OK;
}

static int set_break(ebpf_vm *vm, uint32_t op, bool on) {
    if (!vm->breaks && eb_guard(vm->ctx, make_breaks, vm) != EBPF_OK)
        return vm->ctx->arena.failure;
    if (vm->breaks[op] != on)
        vm->break_count += on ? 1 : UINT32_MAX;
    vm->breaks[op] = on;
    return EBPF_OK;
}

int ebpf_vm_break(ebpf_vm *vm, uint32_t section, uint32_t slot, uint32_t on) {
    uint32_t global;
    if (!code_at(vm, section, slot, &global) || vm->slot_op[global] == EB_NO_OP)
        return EBPF_E_ARG;
    return set_break(vm, vm->slot_op[global], on != 0);
}

static bool ends_with(eb_str text, eb_str end) {
    return text.len >= end.len && memcmp(text.at + text.len - end.len, end.at, end.len) == 0 &&
           (text.len == end.len || text.at[text.len - end.len - 1] == '/');
}

/* The first instruction of each stretch of code that comes from the line. */
static int break_line(ebpf_vm *vm, eb_str file, uint32_t line, bool on) {
    int found = 0;
    bool before = false;
    for (uint32_t op = 0; op < vm->op_count; op++) {
        uint32_t section = 0, slot = 0;
        eb_vm_place_of(vm, op, &section, &slot);
        eb_vm_where w = eb_vm_where_of(vm, section, slot);
        bool here = w.line == line && ends_with(w.file, file);
        if (here && !before && vm->slot_op[vm->op_slot[op]] == op) {
            if (set_break(vm, op, on) != EBPF_OK)
                return vm->ctx->arena.failure;
            found++;
        }
        before = here;
    }
    return found;
}

int ebpf_vm_break_at(ebpf_vm *vm, const char *place, uint32_t size, uint32_t on) {
    eb_str text = {place, size};
    uint32_t colon = size;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    uint64_t number = 0;
    bool digits = colon < size;
    for (uint32_t i = colon; i < size && digits; i++) {
        digits = text.at[i] >= '0' && text.at[i] <= '9' && number < UINT32_MAX / 16;
        number = number * 10 + (uint32_t)(text.at[i] - '0');
    }
    for (uint32_t i = 0; i < vm->programs.len; i++)
        if (eb_str_eq(vm->programs.at[i].name, text))
            return set_break(vm, vm->programs.at[i].op, on != 0) == EBPF_OK ? 1 : EBPF_E_NOMEM;
    if (digits && colon > 1) {
        int found = break_line(vm, (eb_str){place, colon - 1}, (uint32_t)number, on != 0);
        return found ? found : EBPF_E_ARG;
    }
    if (!digits || colon != 0)
        return EBPF_E_ARG;
    const eb_vm_program *first = vm->programs.len ? &vm->programs.at[0] : NULL;
    uint32_t section = 0, slot = 0;
    if (!first)
        return EBPF_E_ARG;
    eb_vm_place_of(vm, first->op, &section, &slot);
    int status = ebpf_vm_break(vm, section, (uint32_t)number, on);
    return status == EBPF_OK ? 1 : status;
}

/* ---- coverage and trace ---- */

static int make_room(ebpf_ctx *ctx, void *args) {
    ebpf_vm *vm = args;
    if (vm->watch & EBPF_VM_COVERAGE && !vm->counts)
        vm->counts = eb_alloc_array(&ctx->arena, vm->op_count, sizeof *vm->counts);
    if (vm->watch & EBPF_VM_TRACE && vm->trace_room > vm->trace_had) {
        vm->trace = eb_alloc_array(&ctx->arena, vm->trace_room, sizeof *vm->trace);
        vm->trace_had = vm->trace_room;
    }
    return EBPF_OK;
}

int ebpf_vm_observe(ebpf_vm *vm, uint32_t what, uint32_t trace_room) {
    enum { ROOM_MOST = 1 << 20 };
    if (trace_room > ROOM_MOST)
        return EBPF_E_ARG;
    vm->watch = what;
    vm->trace_room = trace_room;
    vm->traced = 0;
    vm->open = NULL;
    if (!trace_room)
        vm->watch &= ~(uint32_t)EBPF_VM_TRACE;
    if (vm->counts)
        memset(vm->counts, 0, vm->op_count * sizeof *vm->counts);
    int status = eb_guard(vm->ctx, make_room, vm);
    if (status != EBPF_OK)
        vm->watch = 0;
    return status;
}

/* What the instruction before has changed: r0 first, then the lowest number; not r10. */
static void close_entry(ebpf_vm *vm) {
    ebpf_vm_trace_entry *entry = vm->open;
    vm->open = NULL;
    if (!entry)
        return;
    for (uint32_t i = 0; i < 10; i++) {
        if (vm->state.reg[i] == vm->before[i])
            continue;
        entry->reg = i;
        entry->value = vm->state.reg[i];
        return;
    }
}

static void open_entry(ebpf_vm *vm, uint32_t op) {
    ebpf_vm_trace_entry *entry = &vm->trace[vm->traced++ % vm->trace_room];
    *entry = (ebpf_vm_trace_entry){.number = vm->traced, .reg = EBPF_VM_NO_REG, .depth = vm->depth};
    eb_vm_place_of(vm, op, &entry->section, &entry->slot);
    memcpy(vm->before, vm->state.reg, sizeof vm->before);
    vm->open = entry;
}

bool eb_vm_observe(ebpf_vm *vm, uint32_t op) {
    bool stop = vm->break_count && vm->breaks[op] && vm->passed != op;
    if (stop || vm->depth < vm->until)
        return true;
    vm->passed = EB_NO_OP;
    if (vm->watch & EBPF_VM_COVERAGE)
        vm->counts[op]++;
    if (vm->watch & EBPF_VM_TRACE) {
        close_entry(vm);
        open_entry(vm, op);
    }
    return false;
}

bool eb_vm_observed(const ebpf_vm *vm) {
    return vm->watch || vm->break_count || vm->until;
}

static int tell_trace(ebpf_ctx *ctx, void *args) {
    eb_ask *ask = args;
    ebpf_vm *vm = ask->vm;
    uint64_t count = vm->traced < vm->trace_room ? vm->traced : vm->trace_room;
    close_entry(vm);
    ebpf_vm_trace_entry *all = eb_alloc_array(&ctx->arena, (size_t)count + 1, sizeof *all);
    for (uint64_t i = 0; i < count; i++)
        all[i] = vm->trace[(vm->traced - count + i) % vm->trace_room];
    *ask->out = (ebpf_bytes){(const uint8_t *)all, (size_t)count * sizeof *all};
    return EBPF_OK;
}

int ebpf_vm_trace(ebpf_vm *vm, ebpf_bytes *entries) {
    *entries = (ebpf_bytes){NULL, 0};
    return vm->trace ? answer(&(eb_ask){.vm = vm, .out = entries}, tell_trace) : EBPF_OK;
}

/* One function: how many of its instructions have run, and how often the first. */
static void put_function(ebpf_vm *vm, eb_json *json, const eb_func *func) {
    uint32_t global, insns = 0, run = 0;
    uint32_t slot = (uint32_t)(func->offset / EBPF_SLOT),
             slots = (uint32_t)(func->size / EBPF_SLOT);
    uint64_t calls = 0;
    if (!code_at(vm, func->section, slot, &global))
        return;
    for (uint32_t i = 0; i < slots && global + i < vm->slot_count; i++) {
        uint32_t op = vm->slot_op[global + i];
        if (op == EB_NO_OP)
            continue;
        if (!insns)
            calls = vm->counts[op];
        insns++;
        run += vm->counts[op] != 0;
    }
    eb_json_open(json, '{');
    eb_json_key_str(json, "name", func->name);
    eb_json_key_uint(json, "insns", insns);
    eb_json_key_uint(json, "run", run);
    eb_json_key_uint(json, "calls", calls);
    eb_json_close(json, '}');
}

/* Instructions one by one; those of one line and file stand together mostly, and the host sums. */
static void put_instruction(ebpf_vm *vm, eb_json *json, uint32_t op) {
    uint32_t section = 0, slot = 0;
    eb_vm_place_of(vm, op, &section, &slot);
    eb_vm_where w = eb_vm_where_of(vm, section, slot);
    eb_json_open(json, '{');
    eb_json_key_str(json, "section", vm->obj->sections.at[section].name);
    eb_json_key_uint(json, "insn", slot);
    eb_json_key_uint(json, "count", vm->counts[op]);
    if (w.line) {
        eb_json_key_str(json, "file", w.file);
        eb_json_key_uint(json, "line", w.line);
    }
    eb_json_close(json, '}');
}

static int tell_coverage(ebpf_ctx *ctx, void *args) {
    eb_ask *ask = args;
    ebpf_vm *vm = ask->vm;
    eb_json json = {.buf.arena = &ctx->arena};
    eb_json_open(&json, '{');
    eb_json_key(&json, "functions");
    eb_json_open(&json, '[');
    for (uint32_t i = 0; i < vm->obj->funcs.len; i++)
        put_function(vm, &json, &vm->obj->funcs.at[i]);
    eb_json_close(&json, ']');
    eb_json_key(&json, "instructions");
    eb_json_open(&json, '[');
    for (uint32_t op = 0; op < vm->op_count; op++)
        if (vm->slot_op[vm->op_slot[op]] == op)
            put_instruction(vm, &json, op);
    eb_json_close(&json, ']');
    eb_json_close(&json, '}');
    *ask->out = (ebpf_bytes){json.buf.at, json.buf.len};
    return EBPF_OK;
}

int ebpf_vm_coverage(ebpf_vm *vm, ebpf_bytes *json) {
    return vm->counts ? answer(&(eb_ask){.vm = vm, .out = json}, tell_coverage) : EBPF_E_ARG;
}
