/* emit.c - machine instructions to bytes in their section, with what refers to other places.
 *
 * Jumps to the next block are nothing, branches to it are turned round. A jump that is too far for
 * 16 bits becomes gotol on v4, a branch one around it. Relocations are as clang writes them:
 * symbols that others see by their own names, local ones by their section with the place in the
 * instruction. Records (lines, types of functions, CO-RE) follow the instructions. */
#include "emit.h"

typedef struct emitter {
    eb_mfn *mfn;
    ebpf_object *obj;
    uint32_t section;
    uint64_t start;   /* of the function in it, in bytes */
    uint32_t *offset; /* by block: slots from there */
    bool *far;        /* by block: it ends in a far jump */
    eb_piece *pieces; /* by assembly */
    eb_links *links;
    eb_line last;
} emitter;

static eb_section *section_of(emitter *e) {
    return &e->obj->sections.at[e->section];
}

/* ---- how blocks end ---- */

typedef struct ending {
    bool branches, inverted; /* a conditional jump, of the opposite condition */
    uint32_t taken;          /* its target, a block */
    uint32_t jump;           /* and an unconditional one to this block, or 0 */
} ending;

static eb_cond opposite(unsigned cond) {
    return (eb_cond)(cond ^ 1);
}

/* CLEAR has no instruction, and before v2 neither has less. */
static bool has_code(const emitter *e, unsigned cond, bool swaps) {
    bool less =
        cond == EB_COND_LT || cond == EB_COND_LE || cond == EB_COND_SLT || cond == EB_COND_SLE;
    return cond != EB_COND_CLEAR && (e->mfn->unit->cpu >= 2 || !less || swaps);
}

/* How the block at place `n` of the order ends. */
static ending ending_of(const emitter *e, uint32_t n) {
    const eb_mfn *mfn = e->mfn;
    const eb_mblock *block = &mfn->blocks.at[mfn->order.at[n]];
    uint32_t next = n + 1 < mfn->order.len ? mfn->order.at[n + 1] : 0;
    const eb_mi *last = block->code.len ? &block->code.at[block->code.len - 1] : NULL;
    ending end = {0};
    if (!last)
        return end;
    if (last->kind == EB_M_JUMP || last->kind == EB_M_GOTO) {
        end.jump = block->succs.at[0] == next ? 0 : block->succs.at[0];
        return end;
    }
    if (last->kind != EB_M_BRANCH)
        return end;
    bool swaps = last->src != EB_REG_NO;
    uint32_t yes = block->succs.at[0], no = block->succs.at[1];
    end.branches = yes != no;
    end.taken = yes;
    end.jump = no == next ? 0 : no;
    if (yes == next || !has_code(e, last->cond, swaps)) {
        end.inverted = true;
        end.taken = no;
        end.jump = yes == next ? 0 : yes;
    }
    if (end.inverted && !has_code(e, opposite(last->cond), swaps)) {
        end.inverted = false;
        end.taken = yes;
        end.jump = no == next ? 0 : no;
    }
    return end;
}

/* ---- sizes ---- */

static uint32_t slots_of(const emitter *e, const eb_mi *mi) {
    switch (mi->kind) {
    case EB_M_ASM:
    case EB_M_GOTO:
        return (uint32_t)(e->pieces[mi->extra].bytes.len / EBPF_SLOT);
    case EB_M_FRAME:
        return mi->off + e->mfn->slots.at[mi->slot - 1].offset ? 2 : 1;
    case EB_M_END:
        return 0;
    default:
        return eb_m_slots(mi);
    }
}

/* What cannot be reached ends the function: the verifier wants an exit there all the same. */
static bool ends_open(const emitter *e, uint32_t n) {
    const eb_mblock *block = &e->mfn->blocks.at[e->mfn->order.at[n]];
    return n + 1 == e->mfn->order.len && !e->mfn->ir->is_naked && block->code.len &&
           block->code.at[block->code.len - 1].kind == EB_M_END;
}

static uint32_t block_slots(const emitter *e, uint32_t n) {
    const eb_mblock *block = &e->mfn->blocks.at[e->mfn->order.at[n]];
    ending end = ending_of(e, n);
    uint32_t slots = 0;
    for (uint32_t i = 0; i < block->code.len; i++) {
        const eb_mi *mi = &block->code.at[i];
        if (mi->kind != EB_M_JUMP && mi->kind != EB_M_BRANCH)
            slots += slots_of(e, mi);
    }
    bool far = e->far[e->mfn->order.at[n]];
    return slots + end.branches * (far ? 3u : 1u) + (end.jump != 0) + ends_open(e, n);
}

static uint32_t lay_out(emitter *e) {
    uint32_t at = 0;
    for (uint32_t n = 0; n < e->mfn->order.len; n++) {
        e->offset[e->mfn->order.at[n]] = at;
        at += block_slots(e, n);
    }
    return at;
}

static bool is_near(int64_t distance) {
    return distance >= INT16_MIN && distance <= INT16_MAX;
}

/* Blocks with jumps that 16 bits do not hold; true when there are new ones. */
static bool find_far(emitter *e) {
    enum { SLACK = 4 };
    bool found = false;
    for (uint32_t n = 0; n < e->mfn->order.len; n++) {
        uint32_t block = e->mfn->order.at[n];
        ending end = ending_of(e, n);
        int64_t from = (int64_t)e->offset[block] + block_slots(e, n);
        bool far = (end.branches && !is_near((int64_t)e->offset[end.taken] - from + SLACK)) ||
                   (end.branches && !is_near((int64_t)e->offset[end.taken] - from - SLACK)) ||
                   (end.jump && !is_near((int64_t)e->offset[end.jump] - from + SLACK)) ||
                   (end.jump && !is_near((int64_t)e->offset[end.jump] - from - SLACK));
        if (far && !e->far[block])
            found = e->far[block] = true;
    }
    return found;
}

/* ---- writing ---- */

static void put(emitter *e, ebpf_insn insn) {
    eb_section *section = section_of(e);
    unsigned slots = eb_insn_is_lddw(insn.code) ? 2 : 1;
    uint8_t *at = eb_buf_room(&section->bytes, slots * EBPF_SLOT);
    ebpf_insn_encode(&insn, e->obj->big ? EBPF_BIG : EBPF_LITTLE, at);
    section->size = section->bytes.len;
}

static uint32_t here(emitter *e) {
    return (uint32_t)section_of(e)->bytes.len;
}

static void note_line(emitter *e, eb_loc loc) {
    eb_place place = eb_place_of(e->mfn->ctx, loc);
    if (!place.source)
        return;
    bool same = e->last.line == place.line && e->last.column == place.column &&
                e->last.file.at == place.name.at && e->last.line;
    if (same)
        return;
    e->last = (eb_line){.offset = here(e),
                        .file = place.name,
                        .text = place.text,
                        .line = place.line,
                        .column = place.column};
    eb_section *section = section_of(e);
    eb_line *before = section->lines.len ? &section->lines.at[section->lines.len - 1] : NULL;
    if (before && before->offset == e->last.offset)
        *before = e->last; /* one line for an instruction */
    else
        *EB_PUSH(&e->mfn->ctx->arena, &section->lines) = e->last;
}

static void note_core(emitter *e, const eb_mi *mi) {
    const eb_ir_core *core = &e->mfn->unit->cores.at[mi->core];
    *EB_PUSH(&e->mfn->ctx->arena, &section_of(e)->core) = (eb_core_relo){
        .offset = here(e), .type = core->type, .kind = core->kind, .access = core->access};
}

static void put_const(emitter *e, const eb_mi *mi) {
    int64_t imm = mi->imm;
    if (eb_m_slots(mi) == 2) {
        put(e, (ebpf_insn){.code = 0x18, .dst = (uint8_t)mi->dst, .imm = imm});
        return;
    }
    unsigned width = mi->narrow ? EB_C_ALU32 : EB_C_ALU64;
    put(e, (ebpf_insn){.code = (uint8_t)(width | EB_C_MOV),
                       .dst = (uint8_t)mi->dst,
                       .imm = (int32_t)(uint32_t)(uint64_t)imm});
}

static void put_symbol(emitter *e, const eb_mi *mi) {
    *EB_PUSH(&e->mfn->ctx->arena, &e->links->links) =
        (eb_link){.section = e->section, .offset = here(e), .symbol = mi->extra, .addend = mi->imm};
    put(e, (ebpf_insn){.code = 0x18, .dst = (uint8_t)mi->dst});
}

static void put_frame(emitter *e, const eb_mi *mi) {
    int32_t off = mi->off + e->mfn->slots.at[mi->slot - 1].offset;
    put(e, (ebpf_insn){
               .code = EB_C_ALU64 | EB_C_MOV | EB_C_REG, .dst = (uint8_t)mi->dst, .src = EB_R10});
    if (off)
        put(e, (ebpf_insn){.code = EB_C_ALU64 | EB_C_ADD, .dst = (uint8_t)mi->dst, .imm = off});
}

static void put_call(emitter *e, const eb_mi *mi) {
    enum { CALL = 0x85, CALLX = 0x8d, LOCAL = 1 };
    if (mi->kind == EB_M_CALLX) {
        put(e, (ebpf_insn){.code = CALLX, .dst = (uint8_t)mi->src});
        return;
    }
    if (mi->extra)
        *EB_PUSH(&e->mfn->ctx->arena, &e->links->links) =
            (eb_link){.section = e->section, .offset = here(e), .symbol = mi->extra, .calls = true};
    put(e,
        (ebpf_insn){.code = CALL, .src = mi->extra ? LOCAL : 0, .imm = mi->extra ? -1 : mi->imm});
}

static void put_condition(emitter *e, unsigned cond, const eb_mi *mi, uint32_t a, uint32_t b,
                          int64_t distance) {
    static const uint8_t codes[EB_COND_COUNT] = {
        [EB_COND_EQ] = 0x10,  [EB_COND_NE] = 0x50,  [EB_COND_LT] = 0xa0,  [EB_COND_GE] = 0x30,
        [EB_COND_GT] = 0x20,  [EB_COND_LE] = 0xb0,  [EB_COND_SLT] = 0xc0, [EB_COND_SGE] = 0x70,
        [EB_COND_SGT] = 0x60, [EB_COND_SLE] = 0xd0, [EB_COND_SET] = 0x40};
    if (!has_code(e, cond, false)) {
        cond = eb_cond_swapped(cond);
        uint32_t swap = a;
        a = b;
        b = swap;
    }
    bool has_reg = b != EB_REG_NO;
    put(e, (ebpf_insn){.code = (uint8_t)(codes[cond] | (has_reg ? EB_C_REG : 0) |
                                         (mi->narrow ? 0x06 : 0x05)),
                       .dst = (uint8_t)a,
                       .src = has_reg ? (uint8_t)b : 0,
                       .off = (int16_t)distance,
                       .imm = has_reg ? 0 : mi->imm});
}

/* dst = 1; if cond goto +1; dst = 0 */
static void put_set(emitter *e, const eb_mi *mi) {
    bool swaps = mi->src2 != EB_REG_NO, inverted = !has_code(e, mi->cond, swaps);
    ebpf_insn set = {.code = EB_C_ALU64 | EB_C_MOV, .dst = (uint8_t)mi->dst};
    if (e->mfn->unit->cpu >= 3)
        set.code = EB_C_ALU32 | EB_C_MOV;
    set.imm = !inverted;
    put(e, set);
    put_condition(e, inverted ? opposite(mi->cond) : mi->cond, mi, mi->src, mi->src2, 1);
    set.imm = inverted;
    put(e, set);
}

static void put_plain(emitter *e, const eb_mi *mi) {
    int32_t off = mi->off + (mi->slot ? e->mfn->slots.at[mi->slot - 1].offset : 0);
    put(e, (ebpf_insn){.code = mi->code,
                       .dst = mi->dst == EB_REG_NO ? 0 : (uint8_t)mi->dst,
                       .src = mi->src == EB_REG_NO ? 0 : (uint8_t)mi->src,
                       .off = (int16_t)off,
                       .imm = (int32_t)(uint32_t)(uint64_t)mi->imm});
}

static void put_insn(emitter *e, const eb_mi *mi) {
    note_line(e, mi->loc);
    if (mi->core)
        note_core(e, mi);
    switch (mi->kind) {
    case EB_M_INSN:
        put_plain(e, mi);
        break;
    case EB_M_COPY:
        put(e, (ebpf_insn){.code = EB_C_ALU64 | EB_C_MOV | EB_C_REG,
                           .dst = (uint8_t)mi->dst,
                           .src = (uint8_t)mi->src});
        break;
    case EB_M_CONST:
        put_const(e, mi);
        break;
    case EB_M_SYMBOL:
        put_symbol(e, mi);
        break;
    case EB_M_FRAME:
        put_frame(e, mi);
        break;
    case EB_M_SET:
        put_set(e, mi);
        break;
    case EB_M_CALL:
    case EB_M_CALLX:
        put_call(e, mi);
        break;
    case EB_M_EXIT:
        put(e, (ebpf_insn){.code = 0x95});
        break;
    default:
        break;
    }
}

static int64_t distance_to(emitter *e, uint32_t block) {
    return (int64_t)(e->start / EBPF_SLOT + e->offset[block]) - here(e) / EBPF_SLOT - 1;
}

static void put_jump(emitter *e, uint32_t to, bool far) {
    enum { JA = 0x05, JA32 = 0x06 };
    int64_t distance = distance_to(e, to);
    put(e, far ? (ebpf_insn){.code = JA32, .imm = distance}
               : (ebpf_insn){.code = JA, .off = (int16_t)distance});
}

static void put_ending(emitter *e, uint32_t n) {
    const eb_mblock *block = &e->mfn->blocks.at[e->mfn->order.at[n]];
    const eb_mi *last = block->code.len ? &block->code.at[block->code.len - 1] : NULL;
    ending end = ending_of(e, n);
    bool far = e->far[e->mfn->order.at[n]];
    if (last && (end.branches || end.jump))
        note_line(e, last->loc);
    if (end.branches) {
        unsigned cond = end.inverted ? opposite(last->cond) : last->cond;
        if (far) { /* over the jump that skips the far one */
            put_condition(e, cond, last, last->dst, last->src, 1);
            put(e, (ebpf_insn){.code = 0x05, .off = 1});
            put_jump(e, end.taken, true);
        } else {
            put_condition(e, cond, last, last->dst, last->src, distance_to(e, end.taken));
        }
    }
    if (end.jump)
        put_jump(e, end.jump, far);
    if (ends_open(e, n))
        put(e, (ebpf_insn){.code = 0x95});
}

static void put_assembly(emitter *e, const eb_mi *mi) {
    note_line(e, mi->loc);
    const eb_piece *piece = &e->pieces[mi->extra];
    uint32_t start = here(e);
    uint8_t *at = eb_buf_room(&section_of(e)->bytes, piece->bytes.len);
    if (piece->bytes.len)
        memcpy(at, piece->bytes.at, piece->bytes.len);
    section_of(e)->size = section_of(e)->bytes.len;
    for (uint32_t n = 0; n < piece->refs.len; n++)
        eb_piece_link(e->mfn, e->obj, e->links, e->section, start, &piece->refs.at[n]);
}

/* Jumps out of assembly: to a label of the function, or into another assembly of it. */
static void jump_from_piece(emitter *e, const eb_piece_ref *ref, uint32_t at) {
    int64_t target = -1;
    unsigned long number = 0;
    if (eb_str_starts(ref->name, EB_BLOCK_LABEL)) {
        for (size_t n = sizeof EB_BLOCK_LABEL - 1; n < ref->name.len; n++)
            number = number * 10 + (unsigned long)(ref->name.at[n] - '0');
        target = (int64_t)(e->start + e->offset[number] * (uint64_t)EBPF_SLOT);
    }
    for (uint32_t n = 0; n < e->mfn->asms.len && target < 0; n++) {
        const eb_piece *piece = &e->pieces[n];
        for (uint32_t k = 0; k < piece->labels.len; k++)
            if (eb_str_eq(piece->labels.at[k].name, ref->name))
                target = (int64_t)piece->start + piece->labels.at[k].offset;
    }
    int64_t slots = (target + ref->addend - at) / EBPF_SLOT - 1;
    uint8_t *bytes = section_of(e)->bytes.at + at;
    if (target < 0)
        eb_diag_add(e->mfn->ctx, EB_DIAG_UNDEFINED_LABEL, ref->lo, ref->hi, (int)ref->name.len,
                    ref->name.at);
    else if (ref->kind == EB_REF_JUMP32)
        eb_set32(bytes + 4, e->obj->big, (uint32_t)slots);
    else if (is_near(slots))
        eb_set16(bytes + 2, e->obj->big, (uint16_t)slots);
    else
        eb_diag_add(e->mfn->ctx, EB_DIAG_JUMP_RANGE, ref->lo, ref->hi, (int)ref->name.len,
                    ref->name.at, (long long)slots);
}

static void put_blocks(emitter *e) {
    for (uint32_t n = 0; n < e->mfn->order.len; n++) {
        const eb_mblock *block = &e->mfn->blocks.at[e->mfn->order.at[n]];
        for (uint32_t i = 0; i < block->code.len; i++) {
            const eb_mi *mi = &block->code.at[i];
            if (mi->kind == EB_M_ASM || mi->kind == EB_M_GOTO) {
                e->pieces[mi->extra].start = here(e);
                put_assembly(e, mi);
            } else {
                put_insn(e, mi);
            }
        }
        put_ending(e, n);
    }
    for (uint32_t n = 0; n < e->mfn->asms.len; n++)
        for (uint32_t k = 0; k < e->pieces[n].refs.len; k++) {
            const eb_piece_ref *ref = &e->pieces[n].refs.at[k];
            if (ref->kind == EB_REF_JUMP || ref->kind == EB_REF_JUMP32)
                jump_from_piece(e, ref, e->pieces[n].start + ref->offset);
        }
}

static void assemble(emitter *e) {
    eb_mfn *mfn = e->mfn;
    e->pieces = eb_alloc_array(&mfn->ctx->scratch, mfn->asms.len + 1, sizeof *e->pieces);
    for (uint32_t n = 0; n < mfn->order.len; n++) {
        const eb_mblock *block = &mfn->blocks.at[mfn->order.at[n]];
        for (uint32_t i = 0; i < block->code.len; i++) {
            const eb_mi *mi = &block->code.at[i];
            if (mi->kind == EB_M_ASM || mi->kind == EB_M_GOTO)
                eb_piece_make(mfn, &mfn->asms.at[mi->extra], block, e->links->unique++,
                              &e->pieces[mi->extra]);
        }
    }
}

static void far_jump(emitter *e) {
    const eb_ir_symbol *symbol = &e->mfn->unit->symbols.at[e->mfn->ir->symbol];
    eb_loc loc = e->mfn->ir->loc;
    eb_diag_add(e->mfn->ctx, EB_DIAG_FAR_JUMP, loc, loc ? loc + (eb_loc)symbol->name.len : 0,
                (int)symbol->name.len, symbol->name.at);
}

void eb_gen_emit(eb_mfn *mfn, ebpf_object *obj, eb_links *links) {
    eb_ir_symbol *symbol = &mfn->unit->symbols.at[mfn->ir->symbol];
    eb_symbol *object = &obj->symbols.at[symbol->object_symbol];
    uint32_t blocks = mfn->blocks.len;
    emitter e = {.mfn = mfn, .obj = obj, .section = object->section, .links = links};
    e.offset = eb_alloc_array(&mfn->ctx->scratch, blocks, sizeof *e.offset);
    e.far = eb_alloc_array(&mfn->ctx->scratch, blocks, sizeof *e.far);
    assemble(&e);
    lay_out(&e);
    while (find_far(&e)) {
        if (mfn->unit->cpu < 4) {
            far_jump(&e);
            return;
        }
        lay_out(&e);
    }
    e.start = object->value = section_of(&e)->size;
    if (symbol->btf)
        *EB_PUSH(&mfn->ctx->arena, &section_of(&e)->func_types) =
            (eb_func_type){.offset = (uint32_t)e.start, .type = symbol->btf};
    note_line(&e, mfn->ir->loc);
    put_blocks(&e);
    object->size = section_of(&e)->size - e.start;
}
