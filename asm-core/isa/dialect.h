/* dialect.h - instructions to text, and the tree that turns text back into instructions. */
#ifndef EB_DIALECT_H
#define EB_DIALECT_H

#include "insn.h"
#include "scan.h"

/* What a node of the tree takes from the input. */
typedef enum eb_take {
    EB_TAKE_LITERAL, /* a token with just this text */
    EB_TAKE_REG64,
    EB_TAKE_REG32,
    EB_TAKE_OFFSET, /* nothing, or + or - and an expression */
    EB_TAKE_EXPR
} eb_take;

enum { EB_OPERANDS_MOST = 6 };

/* A literal is known by a number: the code of a mark, EB_WORD_FIRST + the number of a word, or, for
 * a register written out (r0), one of these. */
enum { EB_LITERAL_REG64 = 0x100, EB_LITERAL_REG32 = 0x200, EB_WORD_FIRST = 0x300 };

typedef struct eb_node {
    uint8_t take; /* eb_take */
    uint16_t literal;
    uint16_t child, sibling;           /* node numbers; 0 is none (the root is nobody's child) */
    uint16_t operand, operand_sibling; /* the children that are no literals, once more */
    uint16_t literals;                 /* the kinds of its literal children: 1 << eb_token_kind */
    uint16_t op;                       /* 1 + the operation that ends here, or 0 */
    const char *fields;                /* of the operands on the way to here, when op is set */
} eb_node;

typedef struct eb_trie {
    EB_VEC(eb_node) nodes; /* [0] is the root */
    eb_map words;          /* the value is the word's number */
    uint64_t *edges;       /* from (node, literal) to node, hashed */
    uint32_t mask;
} eb_trie;

/* The tree of a dialect, built from dialect.def on first use. */
const eb_trie *eb_trie_of(ebpf_ctx *ctx, enum ebpf_dialect dialect);
uint32_t eb_trie_edge(const eb_trie *trie, uint32_t node, const eb_token *token);
/* The child of `node` that takes the literal at `token`, or 0. */
static inline uint32_t eb_trie_literal(const eb_trie *trie, uint32_t node, const eb_token *token) {
    bool may = trie->nodes.at[node].literals >> token->kind & 1;
    return may ? eb_trie_edge(trie, node, token) : 0;
}
/* What a literal looks like. */
eb_str eb_trie_text(const eb_trie *trie, uint16_t literal);

/* How to print an instruction; zeroed: everything as numbers, decimal ones. */
typedef struct eb_style {
    eb_str target; /* name of a jump's or local call's target; empty: the number */
    eb_str imm;    /* name of an immediate; empty: the number */
    bool hex;      /* numbers as 0x10 and -0x10 */
    bool wide; /* 32-bit loads, stores and atomics with 64-bit registers: the ALIAS forms, as LLVM
                  writes them for processors without 32-bit arithmetic */
} eb_style;

/* Print `insn`, whose operation is `op`. */
void eb_insn_print(eb_buf *out, enum ebpf_dialect dialect, eb_op op, const ebpf_insn *insn,
                   const eb_style *style);

#endif
