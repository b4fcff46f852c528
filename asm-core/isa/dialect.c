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

/* ---- printing ----
 * Into room that the caller of each function has reserved: a listing is some hundred thousand lines
 * of a dozen operands each. */

static char *put_text(char *at, const char *text) {
    while (*text)
        *at++ = *text++;
    return at;
}

static char *put_str(char *at, eb_str text) {
    memcpy(at, text.at, text.len);
    return at + text.len;
}

static char *put_reg(char *at, enum ebpf_dialect dialect, char width, uint8_t reg) {
    if (dialect == EBPF_DIALECT_UBPF)
        *at++ = '%';
    *at++ = dialect == EBPF_DIALECT_UBPF ? 'r' : width;
    if (reg >= 10)
        *at++ = '1';
    *at++ = (char)('0' + reg % 10);
    return at;
}

static char *put_unsigned(char *at, uint64_t value, bool hex) {
    char digits[20];
    unsigned n = 0;
    if (hex) {
        *at++ = '0';
        *at++ = 'x';
    }
    do {
        digits[n++] = hex ? "0123456789abcdef"[value & 15] : (char)('0' + value % 10);
        value = hex ? value >> 4 : value / 10;
    } while (value);
    while (n)
        *at++ = digits[--n];
    return at;
}

/* `sign` puts a + before what is not negative. */
static char *put_number(char *at, const eb_style *style, bool sign, int64_t value) {
    if (value < 0 || sign)
        *at++ = value < 0 ? '-' : '+';
    return put_unsigned(at, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, style->hex);
}

static char *put_offset(char *at, enum ebpf_dialect dialect, const eb_style *style, int off) {
    if (dialect == EBPF_DIALECT_LLVM)
        return put_number(put_text(at, off < 0 ? " - " : " + "), style, false,
                          off < 0 ? -off : off);
    return off ? put_number(at, style, true, off) : at;
}

static char *put_operand(char *at, enum ebpf_dialect dialect, char field, const ebpf_insn *insn,
                         const eb_style *style) {
    switch (field) {
    case 'd':
    case 'D':
        return put_reg(at, dialect, field == 'd' ? 'r' : 'w', insn->dst);
    case 's':
    case 'S':
        return put_reg(at, dialect, field == 's' ? 'r' : 'w', insn->src);
    case 'o':
        return put_offset(at, dialect, style, insn->off);
    case 'j':
    case 'l':
    case 'c':
        if (style->target.len)
            return put_str(at, style->target);
        return put_number(at, style, true, field == 'j' ? insn->off : insn->imm);
    case 'i':
    case 'q':
        if (style->imm.len)
            return put_str(at, style->imm);
        if (field == 'q' && dialect == EBPF_DIALECT_UBPF)
            return put_unsigned(at, (uint64_t)insn->imm, true);
        return put_number(at, style, false, insn->imm);
    case 'k':
        return put_number(at, style, false, insn->off);
    case 'p':
        return put_number(at, style, false, insn->src);
    default: /* a, b: halves of the immediate */
        return put_number(at, style, false,
                          (uint64_t)insn->imm >> (field == 'a' ? 16 : 0) & 0xffff);
    }
}

/* The template to print: the form's, but for two. */
static const char *template_of(enum ebpf_dialect dialect, eb_form form, const eb_style *style) {
    if (form == EB_FORM_CALL_LOCAL && dialect == EBPF_DIALECT_LLVM && style->target.len)
        return "call $c"; /* "pc" announces a number */
    for (size_t i = 0; style->wide && i < sizeof aliases / sizeof *aliases; i++)
        if (aliases[i].form == form && aliases[i].text[dialect][0])
            return aliases[i].text[dialect];
    return templates[dialect][form];
}

void eb_insn_print(eb_buf *out, enum ebpf_dialect dialect, eb_op op, const ebpf_insn *insn,
                   const eb_style *style) {
    enum { MOST = 192 }; /* above the longest template with the longest numbers in it */
    const eb_insn_row *row = &eb_insn_rows[op];
    char *from = (char *)eb_buf_reserve(out, MOST + style->target.len + style->imm.len), *at = from;
    for (const char *t = template_of(dialect, (eb_form)row->form, style); *t; t++) {
        if (*t == '$')
            at = put_operand(at, dialect, *++t, insn, style);
        else if (*t == '@')
            at = put_text(at, row->spelling[dialect]);
        else
            *at++ = *t;
    }
    out->len += (size_t)(at - from);
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
