/* fault.c - what went wrong, where, and what to do about it: the fault record's place, its sentence
 * and the diagnostic with the source line when the section knows it. */
#include "btf_ext.h"
#include "vm.h"

static const eb_diag_code codes[] = {
    [EBPF_FAULT_NULL] = EB_DIAG_FAULT_NULL,
    [EBPF_FAULT_UNMAPPED] = EB_DIAG_FAULT_UNMAPPED,
    [EBPF_FAULT_BOUNDS] = EB_DIAG_FAULT_BOUNDS,
    [EBPF_FAULT_READ_ONLY] = EB_DIAG_FAULT_READ_ONLY,
    [EBPF_FAULT_ALIGN] = EB_DIAG_FAULT_ALIGN,
    [EBPF_FAULT_FREED] = EB_DIAG_FAULT_FREED,
    [EBPF_FAULT_INSN] = EB_DIAG_FAULT_INSN,
    [EBPF_FAULT_JUMP] = EB_DIAG_FAULT_JUMP,
    [EBPF_FAULT_HELPER] = EB_DIAG_FAULT_HELPER,
    [EBPF_FAULT_DEPTH] = EB_DIAG_FAULT_DEPTH,
    [EBPF_FAULT_REGISTER] = EB_DIAG_FAULT_REGISTER,
    [EBPF_FAULT_CONTEXT] = EB_DIAG_FAULT_CONTEXT,
};

bool eb_vm_refuse(ebpf_vm *vm, enum ebpf_fault reason, uint64_t address, const char *format, ...) {
    eb_buf text = {.arena = &vm->ctx->arena};
    va_list args;
    va_start(args, format);
    eb_buf_vfmt(&text, format, args);
    va_end(args);
    vm->fault = (ebpf_vm_fault){.address = address, .reason = reason};
    vm->fault_text = (eb_str){(const char *)text.at, text.len};
    return false;
}

/* What the address belongs to, as a noun. */
static eb_str region_noun(ebpf_vm *vm, const eb_region_info *info) {
    eb_arena *arena = &vm->ctx->arena;
    switch (info->kind) {
    case EBPF_REGION_CONTEXT:
        return eb_str_fmt(arena, "the context (%u bytes)", info->size);
    case EBPF_REGION_STACK:
        return eb_str_fmt(arena, "the stack frame (%u bytes, r10 is its end)", info->size);
    case EBPF_REGION_MAP:
        if (vm->maps[info->index].kind->reach)
            return eb_str_fmt(arena, "a %s '%.*s'",
                              vm->maps[info->index].type == EB_MAP_ARENA ? "page of arena"
                                                                         : "record of ring buffer",
                              (int)info->name.len, info->name.at);
        return eb_str_fmt(arena, "a value of map '%.*s' (%u bytes)", (int)info->name.len,
                          info->name.at, vm->maps[info->index].value_size);
    case EBPF_REGION_DATA:
        return eb_str_fmt(arena, "section '%.*s' (%u bytes)", (int)info->name.len, info->name.at,
                          info->size);
    case EBPF_REGION_PACKET:
        if (vm->packet.data > vm->packet.meta)
            return eb_str_fmt(arena, "the packet (%u bytes, the first %u are metadata)", info->size,
                              vm->packet.data - vm->packet.meta);
        return eb_str_fmt(arena, "the packet (%u bytes)", info->size);
    case EBPF_REGION_BUFFER:
        return eb_str_fmt(arena, "a buffer of the host (%u bytes)", info->size);
    case EBPF_REGION_CODE:
        return EB_STR("code, which programs can only call");
    case EBPF_REGION_HANDLE:
        return EB_STR("a map itself, which only helpers can take");
    default:
        return EB_STR("nothing");
    }
}

/* Where the access lies against its region: "it ends 4 bytes behind". */
static void put_bounds(ebpf_vm *vm, eb_buf *out, uint32_t region) {
    const ebpf_vm_fault *fault = &vm->fault;
    const eb_region_info *info = &vm->infos[region];
    eb_str noun = region_noun(vm, info);
    int64_t start = (int64_t)(fault->address - eb_vm_address(region, 0));
    int64_t limit = info->size;
    if (info->kind == EBPF_REGION_CODE || info->kind == EBPF_REGION_HANDLE) {
        eb_buf_fmt(out, "this is the address of %.*s", (int)noun.len, noun.at);
        return;
    }
    if (info->kind == EBPF_REGION_MAP && start >= 0 && start < limit) {
        const eb_vmap *map = &vm->maps[info->index];
        uint32_t at = (uint32_t)start, first = at - at % map->one, size = map->value_size;
        if (map->kind->reach) /* its first byte lies in a record */
            map->kind->reach(map, at, 1, &first, &size);
        start -= first;
        limit = size;
    }
    if (start < 0)
        eb_buf_fmt(out, "it starts %lld bytes before %.*s", (long long)-start, (int)noun.len,
                   noun.at);
    else
        eb_buf_fmt(out, "it ends %lld bytes behind %.*s", (long long)(start + fault->size - limit),
                   (int)noun.len, noun.at);
}

static uint32_t region_of_fault(const ebpf_vm *vm) {
    uint32_t id = (uint32_t)(vm->fault.address >> 32);
    if (id < vm->region_count && vm->infos[id].kind == vm->fault.region &&
        (uint32_t)vm->fault.address < UINT32_C(0x80000000))
        return id;
    return id + 1; /* the offset is negative */
}

/* The sentence for an access that eb_vm_reach refused. */
static eb_str access_text(ebpf_vm *vm) {
    const ebpf_vm_fault *fault = &vm->fault;
    eb_buf out = {.arena = &vm->ctx->arena};
    if (vm->helper)
        eb_buf_fmt(&out, "%s: ", eb_vm_helper_name(vm, vm->helper));
    eb_buf_fmt(&out, "%s of %u bytes at address 0x%llx: ", fault->write ? "write" : "read",
               fault->size, (unsigned long long)fault->address);
    uint32_t region = region_of_fault(vm);
    eb_str noun = {0};
    if (region < vm->region_count)
        noun = region_noun(vm, &vm->infos[region]);
    switch (fault->reason) {
    case EBPF_FAULT_NULL:
        eb_buf_str(&out, EB_STR("the pointer is null"));
        break;
    case EBPF_FAULT_BOUNDS:
        put_bounds(vm, &out, region);
        break;
    case EBPF_FAULT_READ_ONLY:
        eb_buf_fmt(&out, "programs may not %s %.*s", fault->write ? "write to" : "read",
                   (int)noun.len, noun.at);
        break;
    case EBPF_FAULT_FREED:
        if (fault->region == EBPF_REGION_STACK)
            eb_buf_str(&out, EB_STR("this is the stack of a call that has ended"));
        else if (vm->maps[vm->infos[region].index].kind->reach)
            eb_buf_fmt(&out, "the program does not hold %.*s there", (int)noun.len, noun.at);
        else if (fault->region == EBPF_REGION_PACKET)
            eb_buf_fmt(&out,
                       "this pointer to the packet is older than the last %s, which ends the "
                       "life of all: read data and data_end again",
                       ebpf_helper_name(vm->packet.moved_by));
        else
            eb_buf_fmt(&out, "this is %.*s that has been deleted", (int)noun.len, noun.at);
        break;
    case EBPF_FAULT_ALIGN:
        eb_buf_str(&out, EB_STR("the address of an atomic operation is not aligned"));
        break;
    default:
        eb_buf_str(&out, EB_STR("no memory of the program is there"));
    }
    return (eb_str){(const char *)out.at, out.len};
}

eb_loc eb_vm_place_of(const ebpf_vm *vm, uint32_t op, uint32_t *section, uint32_t *slot) {
    uint32_t global = vm->op_slot[op];
    for (uint32_t i = 0; i < vm->code.len; i++) {
        const eb_vm_code *code = &vm->code.at[i];
        if (global - code->first >= code->slots)
            continue;
        *section = code->section;
        *slot = global - code->first;
        const eb_section *from = &vm->obj->sections.at[code->section];
        return *slot < from->locs.len ? from->locs.at[*slot] : 0;
    }
    return 0;
}

void eb_vm_place(const ebpf_vm *vm, uint32_t *section, uint32_t *slot) {
    eb_vm_place_of(vm, vm->pc, section, slot);
}

static const eb_line *line_of(const ebpf_vm *vm, uint32_t section, uint32_t slot) {
    return eb_line_of(&vm->obj->sections.at[section], (uint64_t)slot * EBPF_SLOT);
}

/* Where the object's line records have it; text that was assembled is shown anyway. */
static void note_line(ebpf_ctx *ctx, eb_diag *diag, const eb_line *line, eb_loc loc) {
    if (!line || loc)
        return;
    eb_str text = line->text;
    while (text.len && (*text.at == ' ' || *text.at == '\t'))
        text = (eb_str){text.at + 1, text.len - 1};
    eb_diag_note(ctx, diag, 0, 0, "in %.*s:%u: %.*s", (int)line->file.len, line->file.at,
                 line->line, (int)text.len, text.at);
}

void eb_vm_fault_report(ebpf_vm *vm) {
    ebpf_vm_fault *fault = &vm->fault;
    ebpf_ctx *ctx = vm->ctx;
    if (!vm->fault_text.len)
        vm->fault_text = access_text(vm);
    fault->helper = vm->helper;
    eb_loc loc = eb_vm_place_of(vm, vm->pc, &fault->section, &fault->slot);
    eb_place place = eb_place_of(ctx, loc);
    const eb_line *line = line_of(vm, fault->section, fault->slot);
    fault->line = line ? line->line : place.line;
    fault->column = line ? line->column : place.column;
    eb_diag *diag = eb_diag_input(ctx, codes[fault->reason], vm->obj->name, (int32_t)fault->slot,
                                  (int)vm->fault_text.len, vm->fault_text.at);
    diag->lo = loc;
    diag->hi = loc;
    note_line(ctx, diag, line, loc);
    for (uint32_t depth = vm->depth; depth-- > 0;) {
        uint32_t section = 0, slot = 0;
        const eb_vm_frame *frame = &vm->frames[depth];
        uint32_t ret = frame->ret == EB_NO_OP ? frame->call.ret : frame->ret;
        eb_loc from = eb_vm_place_of(vm, ret - 1, &section, &slot);
        eb_diag_note(ctx, diag, from, from, "called from instruction %u of section '%.*s'", slot,
                     (int)vm->obj->sections.at[section].name.len,
                     vm->obj->sections.at[section].name.at);
        note_line(ctx, diag, line_of(vm, section, slot), from);
    }
}
