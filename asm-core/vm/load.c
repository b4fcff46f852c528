/* load.c - from an object to something that runs.
 *
 * Data sections become regions of their own, maps one region each, and all sections with code one
 * dense array of decoded operations, each section followed by an operation that faults. Jumps are
 * resolved to operations; then relocations put in addresses of data, maps and functions. What
 * cannot run (an unknown code, a jump to nowhere, a call to something outside the object) becomes
 * an operation that faults when it is reached, so one bad function does not keep the others from
 * running. Source: RFC 9669; libbpf's bpf_object__relocate for where addends are. */
#include "core.h"
#include "vm.h"

#include <string.h>

typedef struct loader {
    ebpf_vm *vm;
    const ebpf_object *obj;
    EB_VEC(eb_vm_op) ops;
    EB_VEC(uint32_t) slots;   /* of each operation, over all sections with code */
    uint32_t *section_first;  /* per section: its first slot, if it has code */
    uint32_t *section_region; /* per section: its region, or 0 */
    uint32_t *symbol_map;     /* per symbol: 1 + its map, or 0 */
    bool failed;
} loader;

static void __attribute__((format(printf, 4, 5)))
complain(loader *l, uint32_t section, uint64_t offset, const char *format, ...) {
    eb_buf text = {.arena = &l->vm->ctx->arena};
    va_list args;
    va_start(args, format);
    eb_buf_vfmt(&text, format, args);
    va_end(args);
    eb_buf_byte(&text, 0);
    eb_str name = l->obj->sections.at[section].name;
    eb_diag_input(l->vm->ctx, EB_DIAG_BAD_RELOC, l->obj->name, -1, (int)name.len, name.at,
                  (unsigned long long)offset, (const char *)text.at);
    l->failed = true;
}

/* ---- regions ---- */

static bool has_code(const eb_section *section) {
    return section->type == EB_SHT_PROGBITS && (section->flags & EB_SHF_EXECINSTR) &&
           section->size >= EBPF_SLOT;
}

/* Sections that libbpf reads itself and programs do not see. */
static bool is_data(const eb_section *section) {
    static const char *const others[] = {".maps",   "maps", "license",
                                         "version", ".BTF", ".addr_space.1"};
    if (!(section->flags & EB_SHF_ALLOC) || (section->flags & EB_SHF_EXECINSTR) ||
        section->size == 0)
        return false;
    if (section->type != EB_SHT_PROGBITS && section->type != EB_SHT_NOBITS)
        return false;
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        if (eb_str_is(section->name, others[i]))
            return false;
    return true;
}

void eb_vm_set_region(ebpf_vm *vm, uint32_t id, uint32_t kind, uint32_t index, eb_str name,
                      uint64_t size) {
    vm->regions[id] = (eb_region){0};
    vm->infos[id] = (eb_region_info){name, kind, index, (uint32_t)size};
}

static void set_region(ebpf_vm *vm, uint32_t id, uint32_t kind, uint32_t index, eb_str name,
                       uint8_t *base, uint64_t size) {
    eb_vm_set_region(vm, id, kind, index, name, size);
    vm->regions[id].base = base;
}

static void add_data(loader *l, uint32_t index, uint32_t id) {
    const eb_section *section = &l->obj->sections.at[index];
    uint8_t *base = eb_alloc(&l->vm->ctx->arena, (size_t)section->size);
    if (section->type == EB_SHT_PROGBITS && section->bytes.len)
        memcpy(base, section->bytes.at, section->bytes.len);
    set_region(l->vm, id, EBPF_REGION_DATA, index, section->name, base, section->size);
    l->vm->regions[id].read = (uint32_t)section->size;
    l->vm->regions[id].write = section->flags & EB_SHF_WRITE ? (uint32_t)section->size : 0;
    l->section_region[index] = id;
}

/* Definitions of maps inside maps stand behind all others: they are shapes, not maps. */
static uint32_t count_maps(const ebpf_object *obj) {
    uint32_t count = obj->maps.len;
    for (uint32_t i = 0; i < obj->maps.len; i++)
        if (obj->maps.at[i].inner && obj->maps.at[i].inner <= count)
            count = obj->maps.at[i].inner - 1;
    return count;
}

enum { DATA_MOST = 1u << 30 };

/* Number the regions and give each its memory. */
static void make_regions(loader *l) {
    ebpf_vm *vm = l->vm;
    const ebpf_object *obj = l->obj;
    uint32_t count = EB_REGION_FIRST + count_maps(obj);
    for (uint32_t i = 0; i < obj->sections.len; i++)
        count += is_data(&obj->sections.at[i]);
    vm->regions = eb_alloc_array(&vm->ctx->arena, count, sizeof *vm->regions);
    vm->infos = eb_alloc_array(&vm->ctx->arena, count, sizeof *vm->infos);
    vm->region_count = vm->region_room = count;
    vm->stack = eb_alloc(&vm->ctx->arena, EBPF_VM_FRAMES * EBPF_VM_FRAME_SIZE);
    set_region(vm, EB_REGION_CONTEXT, EBPF_REGION_CONTEXT, 0, EB_STR("context"), NULL, 0);
    for (uint32_t i = 0; i < EBPF_VM_FRAMES; i++)
        set_region(vm, EB_REGION_STACK + i, EBPF_REGION_STACK, i, EB_STR("stack"),
                   vm->stack + i * EBPF_VM_FRAME_SIZE, EBPF_VM_FRAME_SIZE);
    set_region(vm, EB_REGION_CODE, EBPF_REGION_CODE, 0, EB_STR("code"), NULL,
               (uint64_t)vm->slot_count * EBPF_SLOT);
    set_region(vm, EB_REGION_HANDLES, EBPF_REGION_HANDLE, 0, EB_STR("maps"), NULL, count_maps(obj));
    vm->scratch_size = EB_DYNPTR_SIZE;
    for (uint32_t i = 0; i < obj->maps.len; i++)
        if (obj->maps.at[i].key_size > vm->scratch_size)
            vm->scratch_size = obj->maps.at[i].key_size;
    uint32_t scratch = vm->scratch_size * EBPF_VM_FRAMES;
    vm->scratch = eb_alloc(&vm->ctx->arena, scratch);
    set_region(vm, EB_REGION_SCRATCH, EBPF_REGION_DATA, UINT32_MAX, EB_STR("scratch"), vm->scratch,
               scratch);
    vm->regions[EB_REGION_SCRATCH].read = scratch;
    for (uint32_t i = EB_REGION_PACKET; i <= EB_REGION_PACKET_LAST; i++)
        set_region(vm, i, EBPF_REGION_PACKET, i - EB_REGION_PACKET, EB_STR("packet"), NULL, 0);
    uint32_t id = EB_REGION_FIRST;
    for (uint32_t i = 0; i < obj->sections.len; i++) {
        if (!is_data(&obj->sections.at[i]))
            continue;
        if (obj->sections.at[i].size > DATA_MOST)
            complain(l, i, 0, "it is larger than 1 GiB");
        else
            add_data(l, i, id);
        id++;
    }
}

static void make_maps(loader *l) {
    ebpf_vm *vm = l->vm;
    const ebpf_object *obj = l->obj;
    vm->map_count = count_maps(obj);
    uint32_t first = vm->region_count - vm->map_count;
    vm->maps = eb_alloc_array(&vm->ctx->arena, vm->map_count, sizeof *vm->maps);
    for (uint32_t i = 0; i < vm->map_count; i++) {
        const eb_map_def *def = &obj->maps.at[i];
        eb_vmap *map = &vm->maps[i];
        map->index = i;
        map->region = first + i;
        if (eb_vmap_new(vm, map, def, def->max_entries) < 0)
            l->failed = true;
        else if (def->symbol < obj->symbols.len)
            l->symbol_map[def->symbol] = i + 1;
    }
}

/* ---- code ---- */

static void set_bad(loader *l, uint32_t op, enum ebpf_fault reason, eb_str text) {
    ebpf_vm *vm = l->vm;
    l->ops.at[op] = (eb_vm_op){.op = EB_VM_BAD, .off = (int32_t)reason, .imm = vm->texts.len};
    *EB_PUSH(&vm->ctx->arena, &vm->texts) = text;
}

static uint32_t add_op(loader *l, uint32_t slot, eb_vm_op op) {
    *EB_PUSH(&l->vm->ctx->arena, &l->slots) = slot;
    *EB_PUSH(&l->vm->ctx->arena, &l->ops) = op;
    return l->ops.len - 1;
}

/* An operation that faults in place of the jump at `slot`. */
static uint32_t add_bad(loader *l, uint32_t slot, enum ebpf_fault reason, eb_str text) {
    uint32_t op = add_op(l, slot, (eb_vm_op){0});
    set_bad(l, op, reason, text);
    return op;
}

/* Does the operation write to its destination (or source) register? */
static bool writes_dst(eb_op op) {
    switch (eb_insn_rows[op].form) {
    case EB_FORM_ALU64_X:
    case EB_FORM_ALU64_K:
    case EB_FORM_ALU32_X:
    case EB_FORM_ALU32_K:
    case EB_FORM_NEG64:
    case EB_FORM_NEG32:
    case EB_FORM_MOVSX64:
    case EB_FORM_MOVSX32:
    case EB_FORM_END:
    case EB_FORM_BSWAP:
    case EB_FORM_CAST_SPACE:
    case EB_FORM_LDX64:
    case EB_FORM_LDX32:
    case EB_FORM_LDXSX:
    case EB_FORM_LDDW:
    case EB_FORM_LDDW_PSEUDO:
    case EB_FORM_LOAD_ACQ64:
    case EB_FORM_LOAD_ACQ32:
        return true;
    default:
        return false;
    }
}

static bool writes_src(eb_op op) {
    switch (eb_insn_rows[op].form) {
    case EB_FORM_FETCH64:
    case EB_FORM_FETCH32:
    case EB_FORM_XCHG64:
    case EB_FORM_XCHG32:
        return true;
    default:
        return false;
    }
}

enum { PSEUDO_FUNC = 4 };

static const char *const pseudo_texts[] = {
    [1] = "it names a map by file descriptor, which only a loaded program has: write the map's "
          "name instead",
    [2] = "it names a map value by file descriptor, which only a loaded program has: write the "
          "variable's name instead",
    [3] = "it names a kernel variable, which this VM has not",
    [5] = "it names a map by index, which only a loader's program has",
    [6] = "it names a map value by index, which only a loader's program has",
};

/* Why a valid operation cannot run here, or NULL. */
static const char *unsupported(eb_op op, const ebpf_insn *insn) {
    switch (eb_insn_rows[op].form) {
    case EB_FORM_CALL:
        return insn->imm == EB_CORE_POISON ? "the target's BTF lacks what this accesses by CO-RE: "
                                             "ask whether it exists first"
                                           : NULL;
    case EB_FORM_CAST_SPACE:
        return insn->imm == EB_CAST_TO_USER || insn->imm == EB_CAST_FROM_USER
                   ? NULL
                   : "addresses can be cast between space 0 and space 1, that of the arena";
    case EB_FORM_CALL_KFUNC:
        return "it calls a kernel function, which this VM has not";
    case EB_FORM_LDDW_PSEUDO:
        if (insn->src == PSEUDO_FUNC)
            return NULL;
        return insn->src < sizeof pseudo_texts / sizeof *pseudo_texts
                   ? pseudo_texts[insn->src]
                   : "there is no such kind of 64-bit load";
    default:
        return NULL;
    }
}

/* One instruction; jumps keep their distance in slots until `resolve`. */
static void decode(loader *l, const ebpf_insn *insn, uint32_t slot) {
    ebpf_vm *vm = l->vm;
    uint32_t at = add_op(l, slot, (eb_vm_op){0});
    eb_op op = eb_insn_op(vm->ctx, insn);
    if (op == EB_OP_COUNT) {
        const char *why = eb_insn_why_invalid(vm->ctx, insn);
        set_bad(l, at, EBPF_FAULT_INSN,
                eb_str_fmt(&vm->ctx->arena, "code 0x%02x is no instruction: %s", insn->code,
                           why ? why : ""));
        return;
    }
    const char *why = unsupported(op, insn);
    if (why) {
        set_bad(l, at, EBPF_FAULT_INSN, eb_str_from(why));
        return;
    }
    if ((writes_dst(op) && insn->dst == 10) || (writes_src(op) && insn->src == 10)) {
        set_bad(l, at, EBPF_FAULT_REGISTER, EB_STR("this writes to r10, which is read-only"));
        return;
    }
    l->ops.at[at] = (eb_vm_op){.op = (uint8_t)op,
                               .dst = insn->dst,
                               .src = insn->src,
                               .off = insn->off,
                               .imm = (uint64_t)insn->imm};
    if (op == EB_OP_CALL_ONLY) { /* numbers from EB_HELPERS on are for relocations to give */
        uint32_t helper = (uint32_t)insn->imm;
        l->ops.at[at].imm = helper < EB_HELPERS ? helper : UINT64_C(1) << 32 | helper;
    }
    eb_target target = eb_op_target(op);
    if (target == EB_TARGET_IMM || target == EB_TARGET_CALL)
        l->ops.at[at].off = (int32_t)insn->imm;
}

static void decode_section(loader *l, uint32_t index) {
    ebpf_vm *vm = l->vm;
    const eb_section *section = &l->obj->sections.at[index];
    uint32_t slots = (uint32_t)(section->bytes.len / EBPF_SLOT), first = vm->slot_count;
    for (uint32_t slot = 0; slot < slots;) {
        ebpf_insn insn;
        size_t left = (size_t)(slots - slot) * EBPF_SLOT;
        unsigned used = ebpf_insn_decode(section->bytes.at + slot * EBPF_SLOT, left,
                                         vm->big ? EBPF_BIG : EBPF_LITTLE, &insn);
        if (used == 0) {
            add_bad(l, first + slot, EBPF_FAULT_INSN,
                    EB_STR("this 64-bit load lacks its second half"));
            used = 1;
        } else {
            decode(l, &insn, first + slot);
        }
        slot += used;
    }
    uint32_t last = l->slots.at[l->slots.len - 1]; /* where control was before it ran off */
    add_bad(l, last, EBPF_FAULT_JUMP,
            eb_str_fmt(&vm->ctx->arena, "control runs past the end of section '%.*s'",
                       (int)section->name.len, section->name.at));
    *EB_PUSH(&vm->ctx->arena, &vm->code) =
        (eb_vm_code){.section = index, .first = first, .slots = slots};
    l->section_first[index] = first;
    vm->slot_count += slots;
}

/* The operation at slot `target` of a section, or one that faults in place of the jump at `slot`.
 */
static uint32_t target_op(loader *l, const eb_vm_code *code, int64_t target, uint32_t slot) {
    if (target < 0 || target >= code->slots)
        return add_bad(l, slot, EBPF_FAULT_JUMP,
                       eb_str_fmt(&l->vm->ctx->arena, "this goes to slot %lld of a section with %u",
                                  (long long)target, code->slots));
    uint32_t op = l->vm->slot_op[code->first + target];
    if (op == EB_NO_OP)
        return add_bad(l, slot, EBPF_FAULT_JUMP,
                       EB_STR("this goes to the second half of a 64-bit load"));
    return op;
}

static const eb_vm_code *code_of(const ebpf_vm *vm, uint32_t section) {
    for (uint32_t i = 0; i < vm->code.len; i++)
        if (vm->code.at[i].section == section)
            return &vm->code.at[i];
    return NULL;
}

static bool is_jump(uint8_t op) {
    return op < EB_OP_COUNT && eb_op_target((eb_op)op) != EB_TARGET_NONE;
}

/* Distances in slots become distances in operations. */
static void resolve(loader *l) {
    ebpf_vm *vm = l->vm;
    vm->slot_op = eb_alloc_array(&vm->ctx->arena, vm->slot_count, sizeof *vm->slot_op);
    memset(vm->slot_op, 0xff, vm->slot_count * sizeof *vm->slot_op);
    uint32_t count = l->ops.len;
    for (uint32_t op = count; op-- > 0;) /* the end operation of a section has the last slot, too */
        vm->slot_op[l->slots.at[op]] = op;
    uint32_t code = 0;
    for (uint32_t op = 0; op < count; op++) {
        uint32_t slot = l->slots.at[op];
        while (slot - vm->code.at[code].first >= vm->code.at[code].slots)
            code++;
        const eb_vm_code *in = &vm->code.at[code];
        eb_vm_op *at = &l->ops.at[op];
        if (at->op == EB_OP_LDDW_PSEUDO_ONLY) {
            uint32_t to = slot - in->first + 1 + (uint32_t)at->imm;
            at->op = EB_OP_LDDW_ONLY;
            at->imm = eb_vm_address(EB_REGION_CODE, (in->first + to) * EBPF_SLOT);
        } else if (is_jump(at->op)) {
            int64_t to = (int64_t)(slot - in->first) + 1 + at->off;
            uint32_t target = target_op(l, in, to, slot);
            l->ops.at[op].off = (int32_t)(target - op);
        }
    }
}

/* ---- relocations ---- */

/* The address of a symbol plus `addend`; false when it has none, with the reason in `why`. */
static bool symbol_address(loader *l, uint32_t index, int64_t addend, uint64_t *address,
                           eb_str *why) {
    const ebpf_object *obj = l->obj;
    const eb_symbol *symbol = &obj->symbols.at[index];
    eb_arena *arena = &l->vm->ctx->arena;
    uint64_t offset = symbol->value + (uint64_t)addend;
    *address = 0;
    if (l->symbol_map[index]) {
        *address = eb_vm_address(EB_REGION_HANDLES, l->symbol_map[index] - 1);
        return true;
    }
    if (symbol->section == EB_SHN_ABS) {
        *address = offset;
        return true;
    }
    if (symbol->section == EB_SHN_UNDEF && eb_kfunc_find(symbol->name)) {
        *address = eb_vm_address(EB_REGION_HANDLES, UINT32_MAX) - eb_kfunc_find(symbol->name);
        return true; /* it exists, which is all that programs ask */
    }
    if (symbol->section == EB_SHN_UNDEF && eb_vm_extern_address(l->vm, symbol->name, address)) {
        *address += (uint64_t)addend;
        return true;
    }
    if (symbol->section == EB_SHN_UNDEF && symbol->bind == EB_STB_WEAK)
        return true; /* a weak symbol that nobody defines is 0 */
    if (symbol->section < obj->sections.len && symbol->section != EB_SHN_UNDEF) {
        if (l->vm->arena && eb_str_is(obj->sections.at[symbol->section].name, ".addr_space.1")) {
            *address = l->vm->maps[l->vm->arena - 1].extra + offset;
            return true;
        }
        if (l->section_region[symbol->section]) {
            *address = eb_vm_address(l->section_region[symbol->section], 0) + offset;
            return true;
        }
        if (has_code(&obj->sections.at[symbol->section])) {
            uint64_t first = (uint64_t)l->section_first[symbol->section] * EBPF_SLOT;
            *address = eb_vm_address(EB_REGION_CODE, 0) + first + offset;
            return true;
        }
    }
    *why =
        eb_str_fmt(arena,
                   "'%.*s' is not defined in this object, and the kernel's value or address of "
                   "it was not given (%.*s=...)",
                   (int)symbol->name.len, symbol->name.at, (int)symbol->name.len, symbol->name.at);
    return false;
}

static bool lacks_op(const loader *l, const eb_vm_code *code, uint64_t offset) {
    return offset % EBPF_SLOT || offset / EBPF_SLOT >= code->slots ||
           l->vm->slot_op[code->first + offset / EBPF_SLOT] == EB_NO_OP;
}

/* The number of the kernel function so called; new for one that the host must have. */
static uint32_t kernel_function(ebpf_vm *vm, eb_str name) {
    eb_arena *arena = &vm->ctx->arena;
    uint32_t number = eb_kfunc_find(name);
    for (uint32_t i = 0; !number && i < vm->foreign.len; i++)
        if (eb_str_eq(vm->foreign.at[i], name))
            number = EB_KFUNCS_END + i;
    if (number)
        return number;
    uint32_t count = vm->helper_count + 1;
    eb_helper **helpers = eb_alloc_array(arena, count, sizeof *helpers);
    memcpy(helpers, vm->helpers, vm->helper_count * sizeof *helpers);
    helpers[vm->helper_count] = eb_help_host;
    *EB_PUSH(arena, &vm->foreign) = eb_str_copy(arena, name);
    vm->helpers = helpers;
    vm->helper_count = count;
    return count - 1;
}

/* A call to a function by symbol. REL keeps the distance to the next slot in the instruction. */
static void relocate_call(loader *l, const eb_reloc *reloc, bool rela, uint32_t op) {
    ebpf_vm *vm = l->vm;
    const eb_symbol *symbol = &l->obj->symbols.at[reloc->symbol];
    const eb_vm_code *code = code_of(vm, symbol->section);
    if (symbol->section == EB_SHN_UNDEF) {
        l->ops.at[op] = (eb_vm_op){.op = EB_OP_CALL_ONLY, .imm = kernel_function(vm, symbol->name)};
        return;
    }
    if (!code) {
        set_bad(l, op, EBPF_FAULT_INSN,
                eb_str_fmt(&vm->ctx->arena, "it calls '%.*s', which is no function of this object",
                           (int)symbol->name.len, symbol->name.at));
        return;
    }
    int64_t imm = (int32_t)(uint32_t)l->ops.at[op].imm;
    int64_t target = rela ? ((int64_t)symbol->value + reloc->addend) / EBPF_SLOT
                          : (int64_t)(symbol->value / EBPF_SLOT) + imm + 1;
    uint32_t to = target_op(l, code, target, l->slots.at[op]);
    l->ops.at[op] = (eb_vm_op){.op = EB_OP_CALL_LOCAL_ONLY, .off = (int32_t)(to - op)};
}

static void relocate_load(loader *l, const eb_reloc *reloc, bool rela, uint32_t op) {
    int64_t addend = rela ? reloc->addend : (int32_t)(uint32_t)l->ops.at[op].imm;
    uint64_t address;
    eb_str why;
    if (symbol_address(l, reloc->symbol, addend, &address, &why))
        l->ops.at[op].imm = address;
    else
        set_bad(l, op, EBPF_FAULT_INSN, why);
}

static void relocate_code(loader *l, uint32_t section, const eb_reloc *reloc) {
    const eb_vm_code *code = code_of(l->vm, section);
    bool rela = l->obj->sections.at[section].rela;
    if (lacks_op(l, code, reloc->offset)) {
        complain(l, section, reloc->offset, "a relocation is not at an instruction");
        return;
    }
    uint32_t op = l->vm->slot_op[code->first + reloc->offset / EBPF_SLOT];
    uint8_t kind = l->ops.at[op].op;
    if (reloc->type == EB_R_BPF_64_64 && kind == EB_OP_LDDW_ONLY)
        relocate_load(l, reloc, rela, op);
    else if (reloc->type == EB_R_BPF_64_32 &&
             (kind == EB_OP_CALL_LOCAL_ONLY || kind == EB_OP_CALL_ONLY))
        relocate_call(l, reloc, rela, op);
    else if (kind != EB_VM_BAD) /* a bad instruction faults for its own reason */
        complain(l, section, reloc->offset, "relocation type %u does not fit the instruction there",
                 reloc->type);
}

/* Addresses in data; 32-bit ones cannot hold one. */
static void relocate_data(loader *l, uint32_t section, const eb_reloc *reloc) {
    ebpf_vm *vm = l->vm;
    if (reloc->type == EB_R_BPF_64_NODYLD32)
        return;
    uint32_t size = l->vm->infos[l->section_region[section]].size;
    if (reloc->type != EB_R_BPF_64_ABS64 || reloc->offset > size || size - reloc->offset < 8) {
        complain(l, section, reloc->offset, "relocation type %u cannot be in data here",
                 reloc->type);
        return;
    }
    uint8_t *at = vm->regions[l->section_region[section]].base + reloc->offset;
    bool rela = l->obj->sections.at[section].rela;
    int64_t addend = rela ? reloc->addend : (int64_t)eb_get64(at, vm->big);
    uint64_t address;
    eb_str why;
    if (!symbol_address(l, reloc->symbol, addend, &address, &why))
        complain(l, section, reloc->offset, "%.*s", (int)why.len, why.at);
    eb_set64(at, vm->big, address);
}

static void relocate(loader *l) {
    for (uint32_t s = 0; s < l->obj->sections.len; s++) {
        const eb_section *section = &l->obj->sections.at[s];
        bool code = code_of(l->vm, s) != NULL;
        if (!code && !l->section_region[s])
            continue;
        for (uint32_t i = 0; i < section->relocs.len; i++) {
            const eb_reloc *reloc = &section->relocs.at[i];
            if (reloc->symbol >= l->obj->symbols.len)
                complain(l, s, reloc->offset, "its symbol does not exist");
            else if (code)
                relocate_code(l, s, reloc);
            else
                relocate_data(l, s, reloc);
        }
    }
}

/* ---- pairs ---- */

static const struct {
    uint8_t first, then;
} pairs[] = {
#define FUSED(form, id, then, then_id) {EB_OP_##form##_##id, EB_OP_##then##_##then_id},
#include "fused.def"
#undef FUSED
};

/* What the fast loop does at each operation; the second of a pair begins none. */
static void fuse(eb_vm_op *ops, uint32_t count) {
    bool second = false;
    for (uint32_t i = 0; i < count; i++) {
        ops[i].fast = ops[i].op;
        for (uint8_t p = 0; !second && i + 1 < count && p < sizeof pairs / sizeof *pairs; p++)
            if (ops[i].op == pairs[p].first && ops[i + 1].op == pairs[p].then)
                ops[i].fast = (uint8_t)(EB_VM_BAD + 1 + p);
        second = ops[i].fast != ops[i].op;
    }
}

/* ---- programs ---- */

static void add_program(ebpf_vm *vm, uint32_t section, uint64_t offset, eb_str name, bool entry) {
    const eb_vm_code *code = code_of(vm, section);
    if (!code || offset % EBPF_SLOT || offset / EBPF_SLOT >= code->slots)
        return;
    uint32_t op = vm->slot_op[code->first + offset / EBPF_SLOT];
    eb_str section_name = vm->obj->sections.at[section].name;
    eb_sec_kind kind = eb_sec_kind_of(section_name);
    if (op != EB_NO_OP)
        *EB_PUSH(&vm->ctx->arena, &vm->programs) =
            (eb_vm_program){name, section_name, op, kind.prog, kind.attach, entry};
}

static void find_programs(ebpf_vm *vm) {
    const ebpf_object *obj = vm->obj;
    for (uint32_t i = 0; i < obj->funcs.len; i++) {
        const eb_func *func = &obj->funcs.at[i];
        add_program(vm, func->section, func->offset, func->name, func->program);
    }
    for (uint32_t i = 0; i < vm->code.len; i++) {
        uint32_t section = vm->code.at[i].section;
        bool begins = false;
        for (uint32_t f = 0; f < obj->funcs.len; f++)
            begins |= obj->funcs.at[f].section == section && obj->funcs.at[f].offset == 0;
        if (!begins)
            add_program(vm, section, 0, obj->sections.at[section].name, false);
    }
}

/* ---- what maps hold from the start ---- */

static const eb_section *maps_section(const ebpf_object *obj, uint32_t *index) {
    *index = eb_object_find_section(obj, EB_STR(".maps"));
    return &obj->sections.at[*index];
}

/* The map whose definition holds byte `offset` of .maps, and which of its values that is. */
static eb_vmap *map_holding(loader *l, uint32_t section, uint64_t offset, uint64_t *value) {
    const ebpf_object *obj = l->obj;
    for (uint32_t i = 0; i < l->vm->map_count; i++) {
        const eb_map_def *def = &obj->maps.at[i];
        const eb_symbol *symbol = &obj->symbols.at[def->symbol];
        uint64_t start = symbol->value + def->values_at;
        if (!def->symbol || symbol->section != section || !def->values_at || offset < start ||
            offset >= symbol->value + symbol->size || (offset - start) % 8)
            continue;
        *value = (offset - start) / 8;
        return &l->vm->maps[i];
    }
    return NULL;
}

static uint32_t program_at(const ebpf_vm *vm, const eb_symbol *symbol) {
    const eb_vm_code *code = code_of(vm, symbol->section);
    if (!code || symbol->value / EBPF_SLOT >= code->slots)
        return UINT32_MAX;
    uint32_t op = vm->slot_op[code->first + symbol->value / EBPF_SLOT];
    for (uint32_t i = 0; i < vm->programs.len; i++)
        if (vm->programs.at[i].op == op)
            return i;
    return UINT32_MAX;
}

/* `values` of maps of maps and program arrays: relocations in .maps name maps and functions. */
static void fill_maps(loader *l) {
    ebpf_vm *vm = l->vm;
    uint32_t section;
    const eb_section *maps = maps_section(l->obj, &section);
    for (uint32_t i = 0; section && !l->failed && i < maps->relocs.len; i++) {
        const eb_reloc *reloc = &maps->relocs.at[i];
        uint64_t index = 0;
        eb_vmap *map = map_holding(l, section, reloc->offset, &index);
        if (!map || reloc->symbol >= l->obj->symbols.len)
            continue;
        bool programs = map->type == EB_MAP_PROG_ARRAY;
        uint32_t known = l->symbol_map[reloc->symbol];
        uint32_t held = programs ? program_at(vm, &l->obj->symbols.at[reloc->symbol]) : known - 1;
        uint8_t key[4], value[4];
        eb_set32(key, vm->big, (uint32_t)index);
        eb_set32(value, vm->big, held);
        int status = map->kind->update && map->key_size == 4 && index <= UINT32_MAX
                         ? map->kind->update(vm, map, key, value, EBPF_ANY, EB_ALL_CPUS)
                         : -EBPF_EINVAL;
        if (status)
            complain(l, section, reloc->offset, "map '%.*s' cannot hold that at %llu (errno %d)",
                     (int)map->name.len, map->name.at, (unsigned long long)index, -status);
    }
}

/* The variables of address space 1 are in the arena. */
static void fill_arena(loader *l) {
    uint32_t index = eb_object_find_section(l->obj, EB_STR(".addr_space.1"));
    if (!index || !l->vm->arena || l->failed)
        return;
    const eb_section *section = &l->obj->sections.at[index];
    eb_vmap *arena = &l->vm->maps[l->vm->arena - 1];
    if (!eb_arena_fill(l->vm, arena, section->bytes.at, section->bytes.len))
        complain(l, index, 0, "arena '%.*s' has too few pages for it", (int)arena->name.len,
                 arena->name.at);
}

static void make_helpers(ebpf_vm *vm) {
    vm->helpers = eb_alloc(&vm->ctx->arena, sizeof eb_helpers);
    memcpy(vm->helpers, eb_helpers, sizeof eb_helpers);
    vm->helper_count = EB_KFUNCS_END;
}

int eb_vm_load(ebpf_vm *vm) {
    loader l = {.vm = vm, .obj = vm->obj};
    eb_arena *arena = &vm->ctx->arena;
    l.section_first = eb_alloc_array(arena, vm->obj->sections.len, sizeof *l.section_first);
    l.section_region = eb_alloc_array(arena, vm->obj->sections.len, sizeof *l.section_region);
    l.symbol_map = eb_alloc_array(arena, vm->obj->symbols.len, sizeof *l.symbol_map);
    for (uint32_t i = 0; i < vm->obj->sections.len; i++)
        if (has_code(&vm->obj->sections.at[i]) && vm->obj->sections.at[i].bytes.len >= EBPF_SLOT)
            decode_section(&l, i);
    if (!vm->slot_count) {
        eb_diag_input(vm->ctx, EB_DIAG_NO_PROGRAM, vm->obj->name, -1,
                      "this object has no code to run");
        return EBPF_E_INPUT;
    }
    resolve(&l);
    make_regions(&l);
    make_maps(&l);
    fill_arena(&l);
    make_helpers(vm);
    find_programs(vm);
    eb_vm_make_externs(vm);
    relocate(&l);
    fill_maps(&l);
    fuse(l.ops.at, l.ops.len);
    vm->ops = l.ops.at;
    vm->op_count = l.ops.len;
    vm->op_slot = l.slots.at;
    return l.failed ? EBPF_E_INPUT : EBPF_OK;
}

/* ---- what the loop asks ---- */

bool eb_vm_callee(ebpf_vm *vm, uint64_t *callee) {
    uint64_t address = *callee, slot = (address & UINT32_MAX) / EBPF_SLOT;
    if (address >> 32 != EB_REGION_CODE || address % EBPF_SLOT || slot >= vm->slot_count ||
        vm->slot_op[slot] == EB_NO_OP)
        return eb_vm_refuse(vm, EBPF_FAULT_JUMP, address, "0x%llx is no function's address",
                            (unsigned long long)address);
    *callee = vm->slot_op[slot];
    return true;
}

void eb_vm_bad_op(ebpf_vm *vm, const eb_vm_op *op) {
    enum ebpf_fault reason = op->op == EB_VM_BAD ? (enum ebpf_fault)op->off : EBPF_FAULT_INSN;
    eb_str text = op->op == EB_VM_BAD ? vm->texts.at[op->imm] : EB_STR("not an instruction");
    eb_vm_refuse(vm, reason, 0, "%.*s", (int)text.len, text.at);
}
