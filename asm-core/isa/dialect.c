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

/* Of all operations of a form, or of one alone: then `op` is its number + 1. */
static const struct alias {
    eb_form form;
    unsigned op;
    const char *text[EBPF_DIALECT_COUNT];
} aliases[] = {
#define ALIAS(form, llvm, ubpf)        {EB_FORM_##form, 0, {llvm, ubpf}},
#define ALIAS_OF(form, id, llvm, ubpf) {EB_FORM_##form, EB_OP_##form##_##id + 1, {llvm, ubpf}},
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
    bool wide =
        style->wide && (form == EB_FORM_LDX32 || form == EB_FORM_STX32 || form == EB_FORM_ATOMIC32);
    for (size_t i = 0; wide && i < sizeof aliases / sizeof *aliases; i++)
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

enum { NO_LITERAL = 0 };

/* The number of the literal that `token` may be, or NO_LITERAL. */
static uint32_t literal_of(const eb_trie *trie, const eb_token *token) {
    const uint32_t *word;
    switch (token->kind) {
    case EB_TOKEN_PUNCT:
        return token->punct;
    case EB_TOKEN_REG64:
        return EB_LITERAL_REG64 + (token->value & 15);
    case EB_TOKEN_REG32:
        return EB_LITERAL_REG32 + (token->value & 15);
    case EB_TOKEN_WORD:
        word = eb_map_find_hashed(&trie->words, token->text, token->hash);
        return word ? EB_WORD_FIRST + *word : NO_LITERAL;
    default:
        return NO_LITERAL;
    }
}

eb_str eb_trie_text(const eb_trie *trie, uint16_t literal) {
    static const char r0[] = "r0", w0[] = "w0"; /* the only registers that templates write out */
    if (literal >= EB_WORD_FIRST)
        return trie->words.entries.at[literal - EB_WORD_FIRST].key;
    if (literal >= EB_LITERAL_REG64)
        return eb_str_from(literal >= EB_LITERAL_REG32 ? w0 : r0);
    return eb_mark_text((uint8_t)literal);
}

/* An edge is (1, node, literal, child), 16 bits each; an empty slot is 0. */
static uint64_t edge_key(uint32_t node, uint32_t literal) {
    return (uint64_t)1 << 48 | (uint64_t)node << 32 | (uint64_t)literal << 16;
}

static uint64_t *edge_slot(const eb_trie *trie, uint64_t key) {
    uint32_t i = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 40) & trie->mask;
    while (trie->edges[i] && (trie->edges[i] ^ key) >> 16)
        i = (i + 1) & trie->mask;
    return &trie->edges[i];
}

uint32_t eb_trie_edge(const eb_trie *trie, uint32_t node, const eb_token *token) {
    uint32_t literal = token->kind == EB_TOKEN_PUNCT ? token->punct : literal_of(trie, token);
    return literal ? *edge_slot(trie, edge_key(node, literal)) & 0xffff : 0;
}

/* ---- building it ---- */

typedef struct builder {
    ebpf_ctx *ctx;
    eb_trie *trie;
    enum ebpf_dialect dialect;
} builder;

static void grow_edges(builder *b) {
    eb_trie *trie = b->trie;
    uint64_t *old = trie->edges;
    uint32_t count = old ? trie->mask + 1 : 0, more = count ? count * 2 : 4096;
    trie->edges = eb_alloc_array(&b->ctx->arena, more, sizeof *trie->edges);
    trie->mask = more - 1;
    for (uint32_t i = 0; i < count; i++)
        if (old[i])
            *edge_slot(trie, old[i]) = old[i];
}

static uint32_t add_node(builder *b, uint32_t parent, eb_take take, uint32_t literal) {
    eb_trie *trie = b->trie;
    uint32_t child = trie->nodes.len;
    *EB_PUSH(&b->ctx->arena, &trie->nodes) = (eb_node){.take = (uint8_t)take,
                                                       .literal = (uint16_t)literal,
                                                       .sibling = trie->nodes.at[parent].child};
    trie->nodes.at[parent].child = (uint16_t)child;
    return child;
}

static eb_token_kind kind_of(uint32_t literal) {
    return literal >= EB_WORD_FIRST      ? EB_TOKEN_WORD
           : literal >= EB_LITERAL_REG32 ? EB_TOKEN_REG32
           : literal >= EB_LITERAL_REG64 ? EB_TOKEN_REG64
                                         : EB_TOKEN_PUNCT;
}

static uint32_t enter_literal(builder *b, uint32_t node, uint32_t literal) {
    if (b->trie->nodes.len > b->trie->mask / 2)
        grow_edges(b);
    uint64_t key = edge_key(node, literal), *slot = edge_slot(b->trie, key);
    if (!*slot) {
        *slot = key | add_node(b, node, EB_TAKE_LITERAL, literal);
        b->trie->nodes.at[node].literals |= (uint16_t)(1u << kind_of(literal));
    }
    return *slot & 0xffff;
}

static uint32_t enter_operand(builder *b, uint32_t node, eb_take take) {
    const eb_node *nodes = b->trie->nodes.at;
    for (uint32_t c = nodes[node].operand; c; c = nodes[c].operand_sibling)
        if (nodes[c].take == take)
            return c;
    uint32_t child = add_node(b, node, take, NO_LITERAL);
    b->trie->nodes.at[child].operand_sibling = b->trie->nodes.at[node].operand;
    b->trie->nodes.at[node].operand = (uint16_t)child;
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

/* A template taken to pieces, once for all operations of its form. */
enum { PIECES_MOST = 24, SPELLED_MOST = 32, SPELLING = 0xffff };

typedef struct shape {
    bool read;
    uint16_t pieces[PIECES_MOST]; /* literals, SPELLING, or EB_TAKE_... of operands | OPERAND */
    unsigned count;
    eb_str before, after;              /* what is written without a space around the spelling */
    char fields[EB_OPERANDS_MOST + 1]; /* of the operands, in their order */
} shape;

enum { OPERAND = 0x8000 };

static uint16_t literal_number(builder *b, const eb_token *token) {
    if (token->kind == EB_TOKEN_WORD) {
        bool is_new;
        uint32_t *word = eb_map_enter_hashed(&b->trie->words, token->text, token->hash, &is_new);
        if (is_new)
            *word = b->trie->words.entries.len - 1;
    }
    return (uint16_t)literal_of(b->trie, token);
}

static bool is_part(const eb_token *token) {
    return !token->spaced && (token->kind == EB_TOKEN_WORD || token->kind == EB_TOKEN_NUMBER);
}

static bool is_spelling(const eb_token *token) {
    return token->kind == EB_TOKEN_PUNCT && token->punct == '@';
}

/* The literal tokens of `text`, which is free of operands, as pieces. */
static void read_literals(builder *b, shape *s, eb_str text) {
    eb_scanner scanner = {.ctx = b->ctx, .text = text};
    eb_token token = eb_scan(&scanner), next;
    for (; token.kind != EB_TOKEN_END; token = next) {
        next = eb_scan(&scanner);
        bool spelling = is_spelling(&token);
        if (token.kind == EB_TOKEN_WORD && is_spelling(&next) && !next.spaced) {
            s->before = token.text; /* of the spelling behind it */
            continue;
        }
        s->pieces[s->count++] = spelling ? (uint16_t)SPELLING : literal_number(b, &token);
        if (spelling && is_part(&next)) {
            s->after = next.text;
            next = eb_scan(&scanner);
        }
    }
}

static void read_shape(builder *b, shape *s, const char *template) {
    unsigned fields = 0;
    for (const char *t = template; *t;) {
        const char *from = t;
        while (*t && *t != '$')
            t++;
        read_literals(b, s, (eb_str){from, (size_t)(t - from)});
        if (*t) {
            char field = t[1];
            s->pieces[s->count++] = (uint16_t)(OPERAND | take_of(field));
            s->fields[fields++] = (char)(field == 'D' ? 'd' : field == 'S' ? 's' : field);
            t += 2;
        }
    }
    s->read = true;
}

/* The tokens of the operation's spelling; words are kept, so they are copied when they are new. */
static uint32_t enter_spelling(builder *b, uint32_t node, const shape *s, const char *spelling) {
    char text[SPELLED_MOST];
    size_t size = 0;
    eb_str parts[] = {s->before, eb_str_from(spelling), s->after};
    for (unsigned i = 0; i < 3; i++)
        for (size_t c = 0; c < parts[i].len && size < sizeof text; c++)
            text[size++] = parts[i].at[c];
    eb_scanner scanner = {.ctx = b->ctx, .text = {text, size}};
    for (eb_token token = eb_scan(&scanner); token.kind != EB_TOKEN_END;
         token = eb_scan(&scanner)) {
        if (token.kind == EB_TOKEN_WORD && !literal_of(b->trie, &token))
            token.text = eb_str_copy(&b->ctx->arena, token.text);
        node = enter_literal(b, node, literal_number(b, &token));
    }
    return node;
}

static void enter_template(builder *b, unsigned op, shape *s, const char *template) {
    if (!s->read)
        read_shape(b, s, template);
    uint32_t node = 0;
    for (unsigned i = 0; i < s->count; i++) {
        uint16_t piece = s->pieces[i];
        if (piece == SPELLING)
            node = enter_spelling(b, node, s, eb_insn_rows[op].spelling[b->dialect]);
        else if (piece & OPERAND)
            node = enter_operand(b, node, (eb_take)(piece & ~OPERAND));
        else
            node = enter_literal(b, node, piece);
    }
    eb_node *leaf = &b->trie->nodes.at[node];
    if (leaf->op)
        return; /* the first row that is written like this wins: LDX64 before its aliases */
    leaf->op = (uint16_t)(op + 1);
    leaf->fields = s->fields;
}

const eb_trie *eb_trie_of(ebpf_ctx *ctx, enum ebpf_dialect dialect) {
    enum { ALIASES = sizeof aliases / sizeof *aliases };
    struct eb_isa *isa = eb_isa_of(ctx);
    if (isa->tries[dialect])
        return isa->tries[dialect];
    builder b = {.ctx = ctx, .trie = eb_alloc(&ctx->arena, sizeof *b.trie), .dialect = dialect};
    shape *shapes = eb_alloc_array(&ctx->arena, EB_FORM_COUNT + ALIASES, sizeof *shapes);
    b.trie->words.arena = &ctx->arena;
    *EB_PUSH(&ctx->arena, &b.trie->nodes) = (eb_node){0};
    grow_edges(&b);
    for (unsigned op = 0; op < EB_OP_COUNT; op++) {
        eb_form form = (eb_form)eb_insn_rows[op].form;
        enter_template(&b, op, &shapes[form], templates[dialect][form]);
    }
    for (unsigned op = 0; op < EB_OP_COUNT; op++)
        for (unsigned i = 0; i < ALIASES; i++)
            if (aliases[i].form == eb_insn_rows[op].form && aliases[i].text[dialect][0] &&
                (!aliases[i].op || aliases[i].op == op + 1))
                enter_template(&b, op, &shapes[EB_FORM_COUNT + i], aliases[i].text[dialect]);
    return isa->tries[dialect] = b.trie;
}
