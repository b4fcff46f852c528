/* dialect.c - the templates of dialect.def, walked in both directions.
 *
 * Printing substitutes operands into a template. For reading, every template is expanded with every
 * spelling of its operations and entered, token by token, into one tree per dialect: matching a
 * line is a walk from the root, and where it gets stuck the node's children are what was expected.
 */
#include "dialect.h"

#include <string.h>

#include "isa.h"

static const char *const templates[EBPF_DIALECT_COUNT][EB_FORM_COUNT] = {
    {
#define FORM(form, fields, llvm, ubpf) llvm,
#include "dialect.def"
    },
    {
#define FORM(form, fields, llvm, ubpf) ubpf,
#include "dialect.def"
    },
};

static const struct alias {
    eb_form form;
    const char *text[EBPF_DIALECT_COUNT];
} aliases[] = {
#define ALIAS(form, llvm, ubpf) {EB_FORM_##form, {llvm, ubpf}},
#include "dialect.def"
};

/* ---- printing ---- */

static void print_reg(eb_buf *out, enum ebpf_dialect dialect, char width, uint8_t reg) {
    if (dialect == EBPF_DIALECT_UBPF)
        eb_buf_fmt(out, "%%r%u", reg);
    else
        eb_buf_fmt(out, "%c%u", width, reg);
}

/* `sign` puts a + before what is not negative. */
static void print_number(eb_buf *out, const eb_style *style, bool sign, int64_t value) {
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    eb_buf_fmt(out, style->hex ? "%s0x%llx" : "%s%llu",
               value < 0 ? "-"
               : sign    ? "+"
                         : "",
               (unsigned long long)size);
}

static void print_offset(eb_buf *out, enum ebpf_dialect dialect, const eb_style *style, int off) {
    if (dialect == EBPF_DIALECT_LLVM) {
        eb_buf_str(out, off < 0 ? EB_STR(" - ") : EB_STR(" + "));
        print_number(out, style, false, off < 0 ? -off : off);
    } else if (off) {
        print_number(out, style, true, off);
    }
}

static void print_operand(eb_buf *out, enum ebpf_dialect dialect, char field, const ebpf_insn *insn,
                          const eb_style *style) {
    switch (field) {
    case 'd':
    case 'D':
        print_reg(out, dialect, field == 'd' ? 'r' : 'w', insn->dst);
        break;
    case 's':
    case 'S':
        print_reg(out, dialect, field == 's' ? 'r' : 'w', insn->src);
        break;
    case 'o':
        print_offset(out, dialect, style, insn->off);
        break;
    case 'j':
    case 'l':
    case 'c':
        if (style->target.len)
            eb_buf_str(out, style->target);
        else
            print_number(out, style, true, field == 'j' ? insn->off : insn->imm);
        break;
    case 'i':
    case 'q':
        if (style->imm.len)
            eb_buf_str(out, style->imm);
        else if (field == 'q' && dialect == EBPF_DIALECT_UBPF)
            eb_buf_fmt(out, "0x%llx", (unsigned long long)insn->imm);
        else
            print_number(out, style, false, insn->imm);
        break;
    case 'k':
        print_number(out, style, false, insn->off);
        break;
    case 'p':
        print_number(out, style, false, insn->src);
        break;
    default: /* a, b: halves of the immediate */
        print_number(out, style, false, (uint64_t)insn->imm >> (field == 'a' ? 16 : 0) & 0xffff);
        break;
    }
}

void eb_insn_print(eb_buf *out, enum ebpf_dialect dialect, eb_op op, const ebpf_insn *insn,
                   const eb_style *style) {
    const eb_insn_row *row = &eb_insn_rows[op];
    const char *t = templates[dialect][row->form];
    if (row->form == EB_FORM_CALL_LOCAL && dialect == EBPF_DIALECT_LLVM && style->target.len)
        t = "call $c"; /* "pc" announces a number */
    for (; *t; t++) {
        if (*t == '$')
            print_operand(out, dialect, *++t, insn, style);
        else if (*t == '@')
            eb_buf_str(out, eb_str_from(row->spelling[dialect]));
        else
            eb_buf_byte(out, (uint8_t)*t);
    }
}

/* ---- the tree ---- */

static uint32_t slot_hash(uint32_t node, eb_str text) {
    return eb_str_hash(text) ^ node * 0x9e3779b1u;
}

uint32_t eb_trie_literal(const eb_trie *trie, uint32_t node, eb_str text) {
    if (!trie->nodes.at[node].literals)
        return 0;
    for (uint32_t i = slot_hash(node, text) & trie->mask; trie->slots[i];
         i = (i + 1) & trie->mask) {
        /* A slot holds (parent, child); the parent tells equal literals apart. */
        uint32_t child = trie->slots[i] & 0xffff, parent = trie->slots[i] >> 16;
        if (parent == node && eb_str_eq(trie->nodes.at[child].literal, text))
            return child;
    }
    return 0;
}

static void hash_child(eb_trie *trie, uint32_t node, uint32_t child) {
    uint32_t i = slot_hash(node, trie->nodes.at[child].literal) & trie->mask;
    while (trie->slots[i])
        i = (i + 1) & trie->mask;
    trie->slots[i] = node << 16 | child;
}

/* Twice the slots, with everything that is there in them. */
static void grow_slots(ebpf_ctx *ctx, eb_trie *trie) {
    uint32_t count = trie->mask ? (trie->mask + 1) * 2 : 1024;
    trie->slots = eb_alloc_array(&ctx->arena, count, sizeof *trie->slots);
    trie->mask = count - 1;
    for (uint32_t node = 0; node < trie->nodes.len; node++)
        for (uint32_t c = trie->nodes.at[node].child; c; c = trie->nodes.at[c].sibling)
            if (trie->nodes.at[c].take == EB_TAKE_LITERAL)
                hash_child(trie, node, c);
}

static uint32_t find_operand(const eb_trie *trie, uint32_t node, eb_take take) {
    for (uint32_t c = trie->nodes.at[node].operand; c; c = trie->nodes.at[c].operand_sibling)
        if (trie->nodes.at[c].take == take)
            return c;
    return 0;
}

static uint32_t enter_child(ebpf_ctx *ctx, eb_trie *trie, uint32_t node, eb_take take,
                            eb_str literal) {
    bool is_literal = take == EB_TAKE_LITERAL;
    uint32_t child =
        is_literal ? eb_trie_literal(trie, node, literal) : find_operand(trie, node, take);
    if (child)
        return child;
    child = trie->nodes.len;
    *EB_PUSH(&ctx->arena, &trie->nodes) =
        (eb_node){.take = take, .literal = literal, .sibling = trie->nodes.at[node].child};
    eb_node *parent = &trie->nodes.at[node];
    parent->child = child;
    if (is_literal) {
        parent->literals++;
        if (trie->nodes.len > trie->mask / 2)
            grow_slots(ctx, trie);
        else
            hash_child(trie, node, child);
    } else {
        trie->nodes.at[child].operand_sibling = parent->operand;
        parent->operand = child;
    }
    return child;
}

static eb_take take_of(char field) {
    switch (field) {
    case 'd':
    case 's':
        return EB_TAKE_REG64;
    case 'D':
    case 'S':
        return EB_TAKE_REG32;
    case 'o':
        return EB_TAKE_OFFSET;
    default:
        return EB_TAKE_EXPR;
    }
}

/* Enter the literal tokens of `text`; a register written out (r0) is a literal too. */
static uint32_t enter_literals(ebpf_ctx *ctx, eb_trie *trie, uint32_t node, eb_str text) {
    eb_scanner scanner = {.ctx = ctx, .text = text};
    for (;;) {
        eb_token token = eb_scan(&scanner);
        if (token.kind == EB_TOKEN_END)
            return node;
        node = enter_child(ctx, trie, node, EB_TAKE_LITERAL, token.text);
    }
}

static void enter_template(ebpf_ctx *ctx, eb_trie *trie, enum ebpf_dialect dialect, unsigned op,
                           const char *template) {
    eb_buf text = {.arena = &ctx->arena};
    for (const char *t = template; *t; t++) {
        if (*t == '@')
            eb_buf_str(&text, eb_str_from(eb_insn_rows[op].spelling[dialect]));
        else
            eb_buf_byte(&text, (uint8_t)*t);
    }
    uint32_t node = 0;
    char fields[EB_OPERANDS_MOST + 1] = "";
    unsigned count = 0;
    for (size_t i = 0; i < text.len;) {
        size_t from = i;
        while (i < text.len && text.at[i] != '$')
            i++;
        node = enter_literals(ctx, trie, node, (eb_str){(char *)text.at + from, i - from});
        if (i < text.len) {
            char field = (char)text.at[i + 1];
            node = enter_child(ctx, trie, node, take_of(field), (eb_str){0});
            fields[count++] = (char)(field == 'D' ? 'd' : field == 'S' ? 's' : field);
            i += 2;
        }
    }
    eb_node *leaf = &trie->nodes.at[node];
    if (leaf->op)
        return; /* the first row that is written like this wins: LDX64 before its aliases */
    leaf->op = (uint16_t)(op + 1);
    memcpy(leaf->fields, fields, sizeof fields);
}

const eb_trie *eb_trie_of(ebpf_ctx *ctx, enum ebpf_dialect dialect) {
    struct eb_isa *isa = eb_isa_of(ctx);
    if (isa->tries[dialect])
        return isa->tries[dialect];
    eb_trie *trie = eb_alloc(&ctx->arena, sizeof *trie);
    *EB_PUSH(&ctx->arena, &trie->nodes) = (eb_node){0};
    grow_slots(ctx, trie);
    for (unsigned op = 0; op < EB_OP_COUNT; op++)
        enter_template(ctx, trie, dialect, op, templates[dialect][eb_insn_rows[op].form]);
    for (unsigned op = 0; op < EB_OP_COUNT; op++)
        for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
            if (aliases[i].form == eb_insn_rows[op].form && aliases[i].text[dialect][0])
                enter_template(ctx, trie, dialect, op, aliases[i].text[dialect]);
    return isa->tries[dialect] = trie;
}
