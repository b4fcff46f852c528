/* show.c - what a run looks like to people: state at a stop, trace, coverage, and what came out.
 * Text for the commands, which so print the same natively and from wasm. */
#include "btf_ext.h"
#include "dialect.h"
#include "guard.h"
#include "vm.h"

enum { WIDE = 34 };

static void put_insn(ebpf_vm *vm, eb_buf *out, uint32_t section, uint32_t slot) {
    const eb_section *in = &vm->obj->sections.at[section];
    ebpf_insn insn;
    size_t at = (size_t)slot * EBPF_SLOT;
    if (!ebpf_insn_decode(in->bytes.at + at, in->bytes.len - at, vm->big ? EBPF_BIG : EBPF_LITTLE,
                          &insn))
        return;
    eb_op op = eb_insn_op(vm->ctx, &insn);
    if (op == EB_OP_COUNT)
        eb_buf_fmt(out, "code 0x%02x", insn.code);
    else
        eb_insn_print(out, EBPF_DIALECT_LLVM, op, &insn, &(eb_style){.wide = true});
}

static void pad(eb_buf *out, size_t from, size_t width) {
    do
        eb_buf_byte(out, ' ');
    while (out->len - from < width);
}

/* "prog+3" and the like. */
static void put_name(eb_buf *out, const eb_vm_where *w, eb_str section) {
    if (w->func)
        eb_buf_fmt(out, "%.*s+%u", (int)w->func->name.len, w->func->name.at,
                   w->slot - (uint32_t)(w->func->offset / EBPF_SLOT));
    else
        eb_buf_fmt(out, "%.*s+%u", (int)section.len, section.at, w->slot);
}

static void put_line(eb_buf *out, const eb_vm_where *w) {
    eb_str text = w->text;
    while (text.len && (*text.at == ' ' || *text.at == '\t'))
        text = (eb_str){text.at + 1, text.len - 1};
    eb_buf_fmt(out, "%.*s:%u: %.*s", (int)w->file.len, w->file.at, w->line, (int)text.len, text.at);
}

/* ---- the parts ---- */

static void show_state(ebpf_vm *vm, eb_buf *out) {
    for (uint32_t depth = vm->depth;; depth--) {
        uint32_t section, slot;
        eb_vm_frame_place(vm, depth, &section, &slot);
        eb_vm_where w = eb_vm_where_of(vm, section, slot);
        eb_buf_str(out, depth == vm->depth ? EB_STR("at ") : EB_STR("called at "));
        put_name(out, &w, vm->obj->sections.at[section].name);
        if (w.line) {
            eb_buf_str(out, EB_STR(", "));
            put_line(out, &w);
        }
        eb_buf_byte(out, '\n');
        if (depth == 0)
            break;
    }
    for (uint32_t i = 0; i < EBPF_VM_REGS; i++) {
        size_t from = out->len;
        eb_buf_fmt(out, "  r%u 0x%llx", i, (unsigned long long)vm->state.reg[i]);
        if (i % 4 < 3 && i + 1 < EBPF_VM_REGS)
            pad(out, from, 26);
        else
            eb_buf_byte(out, '\n');
    }
}

static void show_entry(ebpf_vm *vm, eb_buf *out, const ebpf_vm_trace_entry *entry) {
    size_t from = out->len;
    eb_vm_where w = eb_vm_where_of(vm, entry->section, entry->slot);
    eb_buf_fmt(out, "%8llu  ", (unsigned long long)entry->number);
    put_name(out, &w, vm->obj->sections.at[entry->section].name);
    pad(out, from, WIDE);
    from = out->len;
    put_insn(vm, out, entry->section, entry->slot);
    if (entry->reg != EBPF_VM_NO_REG) {
        pad(out, from, WIDE);
        eb_buf_fmt(out, "r%u = 0x%llx", entry->reg, (unsigned long long)entry->value);
    }
    eb_buf_byte(out, '\n');
}

static void show_trace(ebpf_vm *vm, eb_buf *out) {
    ebpf_bytes bytes;
    if (ebpf_vm_trace(vm, &bytes) != EBPF_OK)
        return;
    const ebpf_vm_trace_entry *entries = (const ebpf_vm_trace_entry *)(const void *)bytes.data;
    for (size_t i = 0; i < bytes.size / sizeof *entries; i++)
        show_entry(vm, out, &entries[i]);
}

/* A line of source for each stretch of instructions that come from it, with the highest count. */
static void show_coverage(ebpf_vm *vm, eb_buf *out) {
    uint32_t run = 0, all = 0;
    eb_vm_where last = {0};
    uint64_t most = 0;
    for (uint32_t op = 0; vm->counts && op <= vm->op_count; op++) {
        uint32_t section = 0, slot = 0;
        eb_vm_where w = {0};
        if (op < vm->op_count) {
            if (vm->slot_op[vm->op_slot[op]] != op)
                continue;
            eb_vm_place_of(vm, op, &section, &slot);
            w = eb_vm_where_of(vm, section, slot);
            all++;
            run += vm->counts[op] != 0;
        }
        bool same = w.line == last.line && eb_str_eq(w.file, last.file);
        if (!same && last.line) {
            eb_buf_fmt(out, "%10llu  ", (unsigned long long)most);
            put_line(out, &last);
            eb_buf_byte(out, '\n');
        }
        if (!same)
            most = 0;
        last = w;
        if (op < vm->op_count && vm->counts[op] > most)
            most = vm->counts[op];
    }
    eb_buf_fmt(out, "%u of %u instructions were run\n", run, all);
}

static void put_hex(eb_buf *out, const char *name, ebpf_bytes bytes) {
    const uint8_t *at = bytes.data;
    eb_buf_fmt(out, "%s ", name);
    for (size_t i = 0; i < bytes.size; i++)
        eb_buf_fmt(out, "%02x", at[i]);
    eb_buf_byte(out, '\n');
}

static void show_result(ebpf_vm *vm, eb_buf *out) {
    ebpf_bytes packet;
    const char *action = ebpf_return_name(vm->prog_type, (uint32_t)vm->state.reg[0]);
    if (ebpf_vm_packet(vm, &packet) == EBPF_OK && packet.size)
        put_hex(out, "packet", packet);
    if (vm->effects.redirects)
        eb_buf_fmt(out, "redirect %llu\n", (unsigned long long)vm->effects.redirect_key);
    if (action && vm->packet.region)
        eb_buf_fmt(out, "%s ", action);
}

/* ---- the entry point ---- */

typedef struct eb_show {
    ebpf_vm *vm;
    uint32_t what;
    ebpf_bytes *text;
} eb_show;

static int show(ebpf_ctx *ctx, void *args) {
    const eb_show *in = args;
    eb_buf out = {.arena = &ctx->arena};
    if (in->what == EBPF_SHOW_STATE)
        show_state(in->vm, &out);
    else if (in->what == EBPF_SHOW_TRACE)
        show_trace(in->vm, &out);
    else if (in->what == EBPF_SHOW_COVERAGE)
        show_coverage(in->vm, &out);
    else
        show_result(in->vm, &out);
    *in->text = (ebpf_bytes){out.at, out.len};
    return EBPF_OK;
}

int ebpf_vm_show(ebpf_vm *vm, uint32_t what, ebpf_bytes *text) {
    *text = (ebpf_bytes){NULL, 0};
    return eb_guard(vm->ctx, show, &(eb_show){vm, what, text});
}
