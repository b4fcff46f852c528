/* match.c - a statement to an instruction: a walk through the dialect's tree.
 *
 * At each node a literal is tried first, then an operand; dead ends back up. The furthest place
 * that any path reached is where the statement is wrong, and the children of the node there are
 * what could have stood instead. */
#include "asm.h"

typedef struct operand {
    eb_expr expr; /* of a register only where it stands */
    uint8_t reg;
} operand;

typedef struct walk {
    eb_asm *as;
    const eb_trie *trie;
    uint32_t far_at, far_node; /* the furthest place and the node that waits there */
    unsigned count;
    operand operands[EB_OPERANDS_MOST];
} walk;

static void bad_register(eb_asm *as, const eb_token *token) {
    eb_diag_add(as->ctx, EB_DIAG_BAD_REGISTER, token->lo, token->hi, (int)token->text.len,
                token->text.at);
}

/* Take one operand of the kind that `child` wants, which fits the token at hand. */
static bool take(walk *w, const eb_node *child, operand *out) {
    eb_asm *as = w->as;
    const eb_token *token = eb_asm_peek(as);
    if (child->take == EB_TAKE_REG64 || child->take == EB_TAKE_REG32) {
        if (token->value > 10)
            bad_register(as, token);
        out->reg = (uint8_t)(token->value & 15);
        out->expr.lo = token->lo;
        out->expr.hi = token->hi;
        as->at++;
        return true;
    }
    if (child->take == EB_TAKE_OFFSET && !eb_asm_is(as, '+') && !eb_asm_is(as, '-')) {
        out->expr = (eb_expr){.lo = token->lo, .hi = token->lo};
        return true;
    }
    return eb_asm_expr(as, &out->expr);
}

/* Whether a token of this kind can start such an operand. */
static bool fits(uint8_t take, uint8_t kind) {
    return take == EB_TAKE_REG64   ? kind == EB_TOKEN_REG64
           : take == EB_TAKE_REG32 ? kind == EB_TOKEN_REG32
           : take == EB_TAKE_EXPR  ? kind > EB_TOKEN_REG32 || kind == EB_TOKEN_WORD
                                   : true;
}

/* The first node from `c` on, along the operands of one parent, that fits; 0 for none. */
static uint32_t fitting(const walk *w, uint32_t c, uint8_t kind) {
    while (c && !fits(w->trie->nodes.at[c].take, kind))
        c = w->trie->nodes.at[c].operand_sibling;
    return c;
}

/* Step to a child, which takes the literal or operand at hand; false when it cannot. */
static bool step(walk *w, uint32_t number) {
    const eb_node *child = &w->trie->nodes.at[number];
    uint32_t at = w->as->at;
    if (child->take == EB_TAKE_LITERAL) {
        w->as->at++;
    } else if (take(w, child, &w->operands[w->count])) {
        w->count++;
    } else {
        w->as->at = at;
        return false;
    }
    if (w->as->at >= w->far_at) {
        w->far_at = w->as->at;
        w->far_node = number;
    }
    return true;
}

/* The leaf that the rest of the statement leads to from `node`, or NULL. Most nodes let it continue
 * in one way only, so this loops; where there are more it calls itself for all but the last. */
static const eb_node *walk_from(walk *w, uint32_t node) {
    const eb_node *nodes = w->trie->nodes.at;
    uint32_t errors = w->as->ctx->errors;
    for (;;) {
        const eb_token *token = eb_asm_peek(w->as);
        if (token->kind <= EB_TOKEN_NEWLINE)
            return nodes[node].op ? &nodes[node] : NULL;
        uint32_t next = eb_trie_literal(w->trie, node, token), other = nodes[node].operand;
        if (other) {
            other = fitting(w, other, token->kind);
            if (!next) {
                next = other;
                other = next ? fitting(w, nodes[next].operand_sibling, token->kind) : 0;
            }
        }
        while (other) {
            uint32_t at = w->as->at;
            unsigned count = w->count;
            const eb_node *leaf = step(w, next) ? walk_from(w, next) : NULL;
            if (leaf || w->as->ctx->errors != errors)
                return leaf;
            w->as->at = at;
            w->count = count;
            next = other;
            other = fitting(w, nodes[next].operand_sibling, token->kind);
        }
        if (!next || !step(w, next))
            return NULL;
        node = next;
    }
}

/* ---- what was expected ---- */

static const char *const take_names[] = {
    [EB_TAKE_REG64] = "a register (r0 to r10)",
    [EB_TAKE_REG32] = "a 32-bit register (w0 to w10)",
    [EB_TAKE_OFFSET] = "an offset",
    [EB_TAKE_EXPR] = "a number or name",
};

static eb_str nearest_literal(const eb_trie *trie, uint32_t node, eb_str text) {
    eb_str nearest = {0};
    unsigned best = eb_tolerance(text);
    for (uint32_t c = trie->nodes.at[node].child; c; c = trie->nodes.at[c].sibling) {
        if (trie->nodes.at[c].take != EB_TAKE_LITERAL)
            continue;
        eb_str literal = eb_trie_text(trie, trie->nodes.at[c].literal);
        unsigned distance = eb_str_distance(literal, text, best);
        if (distance <= best && distance) {
            nearest = literal;
            best = distance - 1;
        }
    }
    return nearest;
}

static void put_expected(eb_buf *out, const walk *w) {
    enum { MOST = 8 };
    const eb_trie *trie = w->trie;
    const eb_node *node = &trie->nodes.at[w->far_node];
    unsigned listed = 0;
    if (node->op)
        eb_buf_str(out, EB_STR("the end of the line")), listed++;
    for (uint32_t c = node->child; c && listed < MOST; c = trie->nodes.at[c].sibling, listed++) {
        const eb_node *child = &trie->nodes.at[c];
        eb_buf_str(out, listed ? EB_STR(", ") : EB_STR(""));
        eb_str literal = eb_trie_text(trie, child->literal);
        if (child->take == EB_TAKE_LITERAL)
            eb_buf_fmt(out, "'%.*s'", (int)literal.len, literal.at);
        else
            eb_buf_str(out, eb_str_from(take_names[child->take]));
    }
    if (listed == MOST)
        eb_buf_str(out, EB_STR(", ..."));
    eb_buf_byte(out, 0);
}

static void report(walk *w) {
    eb_asm *as = w->as;
    const eb_token *token = &as->tokens.at[w->far_at];
    eb_str near = {0};
    eb_diag *diag;
    if (token->kind == EB_TOKEN_WORD)
        near = nearest_literal(w->trie, w->far_node, token->text);
    if (w->far_node == 0 && token->kind == EB_TOKEN_WORD) {
        diag = eb_diag_add(as->ctx, EB_DIAG_UNKNOWN_MNEMONIC, token->lo, token->hi,
                           (int)token->text.len, token->text.at);
    } else {
        eb_buf expected = {.arena = &as->ctx->arena};
        eb_buf_str(&expected, EB_STR("expected "));
        put_expected(&expected, w);
        diag = eb_diag_add(as->ctx, EB_DIAG_BAD_STATEMENT, token->lo, token->hi,
                           (const char *)expected.at);
    }
    if (near.len)
        eb_diag_note(as->ctx, diag, 0, 0, "did you mean '%.*s'?", (int)near.len, near.at);
}

/* ---- operands to fields ---- */

typedef struct build {
    eb_asm *as;
    eb_op op;
    ebpf_insn insn;
    bool set_dst, set_src;
    const eb_expr *symbolic; /* the operand that needs a fixup */
    eb_fixup_kind kind;
} build;

static void set_reg(build *b, bool dst, const operand *o) {
    uint8_t *reg = dst ? &b->insn.dst : &b->insn.src;
    bool *set = dst ? &b->set_dst : &b->set_src;
    if (*set && *reg != o->reg)
        eb_diag_add(b->as->ctx, EB_DIAG_EXPECTED, o->expr.lo, o->expr.hi,
                    "the same register as before");
    *reg = o->reg;
    *set = true;
}

static void set_off(build *b, const eb_expr *e) {
    if (e->value < INT16_MIN || e->value > INT16_MAX)
        eb_diag_add(b->as->ctx, EB_DIAG_OFF_RANGE, e->lo, e->hi, (long long)e->value);
    b->insn.off = (int16_t)e->value;
}

static void set_imm(build *b, const eb_expr *e, int64_t least, int64_t most) {
    if (e->value < least || e->value > most) {
        eb_str text = eb_str_fmt(&b->as->ctx->arena, "%lld", (long long)e->value);
        eb_diag_add(b->as->ctx, EB_DIAG_IMM_RANGE, e->lo, e->hi, text.at);
    }
    b->insn.imm = (int32_t)(uint32_t)(uint64_t)e->value;
}

/* A name where a number may stand too: jumps, calls and 64-bit loads take it as a fixup. */
static void set_symbolic(build *b, char field, const eb_expr *e) {
    static const struct {
        char field;
        eb_fixup_kind kind;
    } kinds[] = {
        {'j', EB_FIXUP_JUMP}, {'l', EB_FIXUP_JUMP32}, {'c', EB_FIXUP_CALL}, {'q', EB_FIXUP_IMM64}};
    if (field == 'i' && b->op == EB_OP_CALL_ONLY) {
        b->op = EB_OP_CALL_LOCAL_ONLY;
        field = 'c';
    }
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].field == field) {
            b->kind = kinds[i].kind;
            b->symbolic = e;
            return;
        }
    }
    eb_diag_add(b->as->ctx, EB_DIAG_NOT_CONSTANT, e->lo, e->hi);
}

static void set_field(build *b, char field, const operand *o) {
    const eb_expr *e = &o->expr;
    if (field == 'd' || field == 's') {
        set_reg(b, field == 'd', o);
        return;
    }
    if (e->plus || e->minus) {
        set_symbolic(b, field, e);
        return;
    }
    switch (field) {
    case 'o':
    case 'k':
    case 'j':
        set_off(b, e);
        break;
    case 'q':
        b->insn.imm = e->value;
        break;
    case 'p':
        if (e->value < 1 || e->value > 15)
            eb_diag_add(b->as->ctx, EB_DIAG_EXPECTED, e->lo, e->hi, "a number from 1 to 15");
        b->insn.src = (uint8_t)(e->value & 15);
        break;
    case 'a':
    case 'b': {
        if (e->value < 0 || e->value > UINT16_MAX)
            eb_diag_add(b->as->ctx, EB_DIAG_EXPECTED, e->lo, e->hi, "a number from 0 to 65535");
        uint32_t half = (uint32_t)e->value & 0xffff;
        b->insn.imm = (int32_t)((uint32_t)b->insn.imm | (field == 'a' ? half << 16 : half));
        break;
    }
    case 'i':
        set_imm(b, e, INT32_MIN, UINT32_MAX);
        break;
    default: /* l c: relative */
        set_imm(b, e, INT32_MIN, INT32_MAX);
        break;
    }
}

static void emit(build *b) {
    eb_asm *as = b->as;
    eb_section *section = eb_asm_section(as);
    if (!(section->flags & EB_SHF_EXECINSTR) && as->implied.at[as->section]) {
        section->flags |= EB_SHF_ALLOC | EB_SHF_EXECINSTR; /* it said nothing, and holds code */
        section->align = EBPF_SLOT;
    }
    uint32_t offset = (uint32_t)section->size; /* of bytes: below 4 GiB, see eb_asm_emit */
    const eb_insn_row *row = &eb_insn_rows[b->op];
    b->insn.code = row->code;
    if (b->op == EB_OP_CALL_LOCAL_ONLY)
        b->insn.src = row->src;
    unsigned slots = eb_insn_is_lddw(row->code) ? 2 : 1;
    uint8_t *at = eb_asm_emit(as, slots * EBPF_SLOT);
    if (!at)
        return;
    if (b->op == EB_OP_EXIT_ONLY && !as->exit_section) {
        as->exit_section = as->section;
        as->exit_value = offset;
    }
    ebpf_insn_encode(&b->insn, as->obj->big ? EBPF_BIG : EBPF_LITTLE, at);
    if (b->symbolic)
        *EB_PUSH(&as->ctx->arena, &as->fixups) = (eb_fixup){.kind = (uint8_t)b->kind,
                                                            .section = as->section,
                                                            .offset = offset,
                                                            .expr = *b->symbolic};
}

/* As in LLVM the first word of an instruction, be it a register, may be in capitals. */
void eb_asm_lower(eb_asm *as) {
    eb_token *token = &as->tokens.at[as->at], lower;
    char *text = eb_alloc(&as->ctx->arena, token->text.len);
    for (size_t i = 0; i < token->text.len; i++) {
        char c = token->text.at[i];
        text[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    eb_scanner scanner = {.ctx = as->ctx, .text = {text, token->text.len}, .first = token->lo};
    eb_scan_into(&scanner, &lower);
    bool reg = lower.kind == EB_TOKEN_REG64 || lower.kind == EB_TOKEN_REG32;
    if (reg || eb_trie_literal(as->trie, 0, &lower))
        *token = lower;
}

void eb_asm_insn(eb_asm *as) {
    walk w; /* its operands are filled as they are met */
    w.as = as;
    w.trie = as->trie;
    w.far_at = as->at;
    w.far_node = w.count = 0;
    uint32_t errors = as->ctx->errors;
    const eb_node *leaf = walk_from(&w, 0);
    if (as->ctx->errors != errors)
        return;
    if (!leaf) {
        report(&w);
        return;
    }
    const eb_insn_row *row = &eb_insn_rows[leaf->op - 1];
    build b = {.as = as, .op = (eb_op)(leaf->op - 1)};
    b.insn = (ebpf_insn){.src = row->src, .off = row->off, .imm = row->imm};
    for (unsigned i = 0; leaf->fields[i]; i++)
        set_field(&b, leaf->fields[i], &w.operands[i]);
    if (as->ctx->errors == errors)
        emit(&b);
}
