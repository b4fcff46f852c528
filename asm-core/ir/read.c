/* read.c - the text of print.c back to a unit, for tests.
 *
 * A line is taken word by word from a cursor. The first thing that cannot be is remembered with its
 * line, the rest of the text is skipped. Values and blocks keep the numbers that they have in the
 * text: a first walk over it finds the highest, so that what has no number there (stores, jumps)
 * gets one above. Numbers are bounded by the length of the text, so a short text cannot ask for
 * much memory. Where a block does not say what it comes "from", its predecessors stand in the order
 * of the edges in the text. ';' starts a comment. */
#include "text.h"

typedef struct reader {
    const char *at, *end;
    uint32_t line, most; /* most: no value or block may have a higher number */
    eb_ir_unit *unit;
    eb_fn *fn;
    uint32_t block;
    eb_str error;
} reader;

static void wrong(reader *r, const char *what) {
    if (!r->error.len)
        r->error = eb_str_fmt(&r->unit->ctx->arena, "line %u: %s", r->line, what);
    r->at = r->end;
}

/* ---- words ---- */

static void skip_blanks(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        r->at++;
    if (r->at < r->end && *r->at == ';')
        while (r->at < r->end && *r->at != '\n')
            r->at++;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool take(reader *r, char c) {
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static void want(reader *r, char c, const char *what) {
    if (!take(r, c))
        wrong(r, what);
}

static bool line_ends(reader *r) {
    skip_blanks(r);
    return r->at == r->end || *r->at == '\n';
}

/* Letters, digits and _; "" when something else stands there. */
static eb_str word(reader *r) {
    skip_blanks(r);
    const char *start = r->at;
    while (r->at < r->end && (is_letter(*r->at) || is_digit(*r->at)))
        r->at++;
    return (eb_str){start, (size_t)(r->at - start)};
}

static bool take_word(reader *r, const char *text) {
    reader before = *r;
    if (eb_str_is(word(r), text))
        return true;
    r->at = before.at;
    return false;
}

static uint64_t number(reader *r) {
    skip_blanks(r);
    uint64_t value = 0;
    if (r->at == r->end || !is_digit(*r->at))
        wrong(r, "a number is missing");
    while (r->at < r->end && is_digit(*r->at)) {
        uint64_t digit = (uint64_t)(*r->at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            wrong(r, "a number is too large");
        else
            r->at++;
        value = value * 10 + digit;
    }
    return value;
}

static uint32_t number_up_to(reader *r, uint32_t most) {
    uint64_t value = number(r);
    if (value > most)
        wrong(r, "a number is out of range");
    return value > most ? 0 : (uint32_t)value;
}

static uint32_t alignment(reader *r) {
    uint32_t align = number_up_to(r, UINT32_MAX);
    bool good = !(align & (align - 1));
    if (!good)
        wrong(r, "an alignment is a power of two");
    return good ? align : 0;
}

static int64_t signed_number(reader *r) {
    bool negative = take(r, '-');
    if (!negative)
        (void)take(r, '+');
    uint64_t value = number(r);
    if (value > (uint64_t)INT64_MAX + negative)
        wrong(r, "a number is too large");
    return (int64_t)(negative ? 0 - value : value);
}

/* "+4", "-4" or nothing. */
static int64_t offset(reader *r) {
    skip_blanks(r);
    bool there = r->at < r->end && (*r->at == '+' || *r->at == '-') &&
                 !(r->end - r->at > 1 && r->at[1] == '>');
    return there ? signed_number(r) : 0;
}

static int hex_digit(char c) {
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex_byte(const char *at, const char *end) {
    if (end - at < 2 || hex_digit(at[0]) < 0 || hex_digit(at[1]) < 0)
        return -1;
    return hex_digit(at[0]) * 16 + hex_digit(at[1]);
}

static eb_str quoted(reader *r) {
    eb_buf out = {.arena = &r->unit->ctx->arena};
    want(r, '"', "a text in quotes is missing");
    while (r->at < r->end && *r->at != '"' && *r->at != '\n') {
        int byte = *r->at == '\\' ? hex_byte(r->at + 1, r->end) : (uint8_t)*r->at;
        if (byte < 0) {
            wrong(r, "two digits belong behind \\");
            break;
        }
        r->at += *r->at == '\\' ? 3 : 1;
        eb_buf_byte(&out, (uint8_t)byte);
    }
    if (r->at == r->end || *r->at != '"')
        wrong(r, "a text is not closed");
    else
        r->at++;
    return (eb_str){out.at ? (const char *)out.at : "", out.len};
}

/* What becomes a string of ELF. */
static eb_str quoted_name(reader *r) {
    eb_str name = quoted(r);
    if (name.len && memchr(name.at, 0, name.len))
        wrong(r, "a name ends at a byte 0");
    return name;
}

/* "(name)", which says nothing. */
static void skip_hint(reader *r) {
    if (r->at == r->end || *r->at != '(')
        return;
    while (r->at < r->end && *r->at != ')' && *r->at != '\n')
        r->at++;
    want(r, ')', "a ) is missing");
}

static unsigned one_of(reader *r, const char *const *names, unsigned count, const char *what) {
    eb_str name = word(r);
    for (unsigned n = 0; n < count; n++)
        if (eb_str_is(name, names[n]))
            return n;
    wrong(r, what);
    return 0;
}

static eb_ir_type type(reader *r) {
    return (eb_ir_type)one_of(r, eb_ir_types, EB_IR_TYPE_COUNT, "a type is missing");
}

static uint32_t symbol(reader *r) {
    want(r, '@', "a symbol is missing");
    uint32_t n = number_up_to(r, r->unit->symbols.len - 1);
    skip_hint(r);
    return n;
}

/* ---- the unit's tables ---- */

static void read_unit(reader *r) {
    static const char *const orders[] = {"little", "big"};
    r->unit->big = one_of(r, orders, 2, "it is little or big") == 1;
    eb_str cpu = word(r);
    if (cpu.len != 2 || cpu.at[0] != 'v' || cpu.at[1] < '1' || cpu.at[1] > '4')
        wrong(r, "v1 to v4 is missing");
    else
        r->unit->cpu = (unsigned)(cpu.at[1] - '0');
    r->unit->optimize = !take_word(r, "plain");
}

static void read_data(reader *r, eb_ir_symbol *sym) {
    skip_blanks(r);
    for (int byte; (byte = hex_byte(r->at, r->end)) >= 0; r->at += 2)
        eb_buf_byte(&sym->data, (uint8_t)byte);
}

static void read_word(reader *r, eb_ir_symbol *sym) {
    eb_ir_word w = {.offset = number(r)};
    want(r, '.', "a size is missing");
    w.size = (uint8_t)number_up_to(r, 8);
    want(r, '@', "a symbol is missing");
    w.symbol = number_up_to(r, r->most); /* it may come later: checked in the end */
    w.addend = offset(r);
    *EB_PUSH(&r->unit->ctx->arena, &sym->words) = w;
}

static bool read_symbol_flag(eb_ir_symbol *sym, eb_str name) {
    for (unsigned f = 0; f < EB_IR_SYMBOL_FLAG_COUNT; f++)
        if (eb_str_is(name, eb_ir_symbol_flags[f]))
            return *eb_ir_symbol_flag(sym, f) = true;
    if (!eb_str_is(name, "global") && !eb_str_is(name, "weak"))
        return false;
    sym->bind = name.at[0] == 'g' ? 1 : 2;
    return true;
}

static void read_symbol(reader *r) {
    static const char *const kinds[] = {"function", "variable"};
    if (number(r) != r->unit->symbols.len)
        wrong(r, "symbols are numbered from 1");
    unsigned kind = one_of(r, kinds, 2, "it is a function or a variable");
    uint32_t n = eb_ir_symbol_add(r->unit, quoted_name(r), kind ? EB_IR_VARIABLE : EB_IR_FUNCTION);
    eb_ir_symbol *sym = &r->unit->symbols.at[n];
    while (!line_ends(r)) {
        eb_str name = word(r);
        if (eb_str_is(name, "section"))
            sym->section = quoted_name(r);
        else if (eb_str_is(name, "size"))
            sym->size = number(r);
        else if (eb_str_is(name, "align"))
            sym->align = alignment(r);
        else if (eb_str_is(name, "data"))
            read_data(r, sym);
        else if (eb_str_is(name, "word"))
            read_word(r, sym);
        else if (!read_symbol_flag(sym, name))
            wrong(r, "symbols have nothing of that name");
    }
    if (sym->data.len && sym->data.len != sym->size)
        wrong(r, "the data is not of the symbol's size");
}

static uint32_t labelled(reader *r, const char *name) {
    if (!take_word(r, name))
        wrong(r, "kind, type or value is missing");
    return number_up_to(r, UINT32_MAX);
}

static void read_core(reader *r) {
    if (number(r) != r->unit->cores.len)
        wrong(r, "records are numbered from 1");
    eb_ir_core core = {0};
    core.kind = labelled(r, "kind");
    core.type = labelled(r, "type");
    if (!take_word(r, "value"))
        wrong(r, "its value is missing");
    core.value = signed_number(r);
    core.access = quoted(r);
    *EB_PUSH(&r->unit->ctx->arena, &r->unit->cores) = core;
}

static eb_ir_operand asm_operand(reader *r) {
    eb_ir_operand operand = {0};
    eb_str kind = word(r);
    if (kind.len != 1 || !(is_digit(kind.at[0]) || strchr("rinem", kind.at[0])))
        wrong(r, "an operand is r, i, n, e, m or a number");
    else
        operand.kind = kind.at[0];
    operand.type = (uint8_t)type(r);
    operand.size = (uint8_t)number_up_to(r, 8);
    operand.imm = signed_number(r);
    want(r, '@', "a symbol is missing");
    operand.symbol = number_up_to(r, r->unit->symbols.len);
    operand.name = quoted(r);
    operand.early = take_word(r, "early");
    operand.is_read = take_word(r, "read");
    return operand;
}

static void read_asm(reader *r) {
    eb_arena *arena = &r->unit->ctx->arena;
    if (number(r) != r->unit->asms.len)
        wrong(r, "assemblies are numbered from 1");
    eb_ir_asm *code = EB_PUSH(arena, &r->unit->asms);
    code->text = quoted(r);
    if (take_word(r, "clobbers"))
        code->clobbers = (uint16_t)number_up_to(r, 0x7ff);
    code->memory = take_word(r, "memory");
    while (take(r, ':'))
        if (take_word(r, "out"))
            *EB_PUSH(arena, &code->outputs) = asm_operand(r);
        else if (take_word(r, "in"))
            *EB_PUSH(arena, &code->inputs) = asm_operand(r);
        else if (take_word(r, "label"))
            *EB_PUSH(arena, &code->labels) = quoted(r);
        else
            wrong(r, "out, in or label is missing");
}

/* ---- functions ---- */

/* v12 or b12; 0 when something else stands there. */
static uint32_t numbered(reader *r, char letter) {
    eb_str name = word(r);
    uint32_t n = 0;
    if (name.len < 2 || name.at[0] != letter) {
        wrong(r, letter == 'v' ? "a value is missing" : "a block is missing");
        return 0;
    }
    for (size_t i = 1; i < name.len && n <= r->most; i++)
        n = is_digit(name.at[i]) ? n * 10 + (uint32_t)(name.at[i] - '0') : UINT32_MAX;
    if (n > r->most)
        wrong(r, "a number is out of range");
    return n > r->most ? 0 : n;
}

/* The highest number behind `letter` in the function's text. */
static uint32_t highest(const reader *r, char letter) {
    static const char next[] = "\nfunction ";
    uint32_t most = 0;
    for (const char *at = r->at; at < r->end; at++) {
        if ((size_t)(r->end - at) >= sizeof next - 1 && !memcmp(at, next, sizeof next - 1))
            break;
        if (*at != letter || is_letter(at[-1]) || is_digit(at[-1]))
            continue;
        uint32_t n = 0;
        const char *digit = at + 1;
        for (; digit < r->end && is_digit(*digit) && n <= r->most; digit++)
            n = n * 10 + (uint32_t)(*digit - '0');
        if (n > most && n <= r->most)
            most = n;
    }
    return most;
}

static void read_function(reader *r) {
    uint32_t n = symbol(r);
    if (!n || r->unit->symbols.at[n].kind != EB_IR_FUNCTION || r->unit->symbols.at[n].fn)
        wrong(r, "it is no function, or one that has a body");
    if (r->error.len)
        return;
    eb_fn *fn = r->fn = eb_fn_new(r->unit, n);
    r->unit->symbols.at[n].is_defined = true;
    r->block = 0;
    if (take_word(r, "params"))
        fn->params = number_up_to(r, 255);
    fn->result = (uint8_t)type(r);
    fn->entry = take_word(r, "entry");
    fn->is_naked = take_word(r, "naked");
    fn->always_inline = take_word(r, "always_inline");
    fn->noinline = take_word(r, "noinline");
    fn->hinted = take_word(r, "inline");
    eb_arena *arena = &r->unit->ctx->arena;
    for (uint32_t left = highest(r, 'v'); left; left--)
        (void)EB_PUSH(arena, &fn->values);
    for (uint32_t left = highest(r, 'b'); left > 1; left--)
        (void)EB_PUSH(arena, &fn->blocks);
}

static void read_scope(reader *r) {
    uint32_t scope = r->fn->scopes.len;
    if (number(r) != scope)
        wrong(r, "scopes are numbered from 1");
    if (!take_word(r, "in"))
        wrong(r, "the scope around it is missing");
    *EB_PUSH(&r->unit->ctx->arena, &r->fn->scopes) = number_up_to(r, scope - 1);
}

static void read_slot(reader *r) {
    eb_slot slot = {0};
    if (number(r) != r->fn->slots.len)
        wrong(r, "slots are numbered from 0");
    want(r, ':', "a : is missing");
    slot.size = number(r);
    if (take_word(r, "align"))
        slot.align = alignment(r);
    slot.name = quoted(r);
    if (take_word(r, "in"))
        slot.scope = number_up_to(r, r->fn->scopes.len - 1);
    *EB_PUSH(&r->unit->ctx->arena, &r->fn->slots) = slot;
}

/* A block's number, inside of the table that read_function made. */
static uint32_t block_number(reader *r) {
    uint32_t b = numbered(r, 'b');
    if (!b || b >= r->fn->blocks.len)
        wrong(r, "there is no such block");
    return r->error.len ? 0 : b;
}

static void read_block(reader *r) {
    uint32_t b = block_number(r);
    want(r, ':', "a : is missing");
    if (r->error.len)
        return;
    eb_block *block = &r->fn->blocks.at[b];
    if (block->first)
        wrong(r, "the block was there before");
    r->block = b;
    if (take_word(r, "from"))
        do
            *EB_PUSH(&r->unit->ctx->arena, &block->preds) = block_number(r);
        while (take(r, ','));
    if (take_word(r, "unroll"))
        block->unroll = number_up_to(r, UINT32_MAX);
}

/* ---- instructions ---- */

static void read_modifier(reader *r, eb_ir *ir) {
    if (r->at < r->end && is_digit(*r->at)) {
        ir->size = (uint8_t)number_up_to(r, 255);
        return;
    }
    eb_str name = word(r);
    for (unsigned n = 0; n < EB_IR_FLAG_COUNT; n++)
        if (eb_str_is(name, eb_ir_flags[n].name)) {
            ir->flags |= eb_ir_flags[n].flag;
            return;
        }
    bool atomic = ir->op == EB_IR_ATOMIC;
    const char *const *names = atomic ? eb_ir_atomics : eb_ir_conds;
    for (unsigned n = 0; n < (atomic ? (unsigned)EB_ATOMIC_COUNT : (unsigned)EB_COND_COUNT); n++)
        if (eb_str_is(name, names[n])) {
            ir->cond = (uint8_t)n;
            return;
        }
    wrong(r, "the operation has no such modifier");
}

static void read_list(reader *r, eb_ir *ir) {
    eb_arena *arena = &r->unit->ctx->arena;
    want(r, '[', "a list is missing");
    eb_list *list = EB_PUSH(arena, &r->fn->lists);
    ir->list = r->fn->lists.len - 1;
    if (take(r, ']'))
        return;
    do
        *EB_PUSH(arena, &list->values) = numbered(r, 'v');
    while (take(r, ','));
    want(r, ']', "a ] is missing");
}

static uint32_t record(reader *r, const char *name, uint32_t count) {
    if (!take_word(r, name))
        wrong(r, "a record is missing");
    uint32_t n = number_up_to(r, count - 1);
    skip_hint(r);
    return n;
}

static void read_operand(reader *r, eb_ir *ir, char letter) {
    switch (letter) { /* one case per letter */
    case 'a':
        ir->a = numbered(r, 'v');
        break;
    case 'b':
        ir->b = numbered(r, 'v');
        break;
    case 'c':
        ir->c = numbered(r, 'v');
        break;
    case 'i':
        ir->imm = signed_number(r);
        break;
    case 'l':
        read_list(r, ir);
        break;
    case 's':
        ir->extra = symbol(r);
        ir->imm = offset(r);
        break;
    case 'k':
        want(r, '#', "a slot is missing");
        ir->extra = number_up_to(r, r->fn->slots.len ? r->fn->slots.len - 1 : 0);
        ir->imm = offset(r);
        break;
    case 'r':
        ir->extra = record(r, "core", r->unit->cores.len);
        break;
    case 'x':
        ir->extra = record(r, "asm", r->unit->asms.len);
        break;
    default: /* m */
        ir->a = numbered(r, 'v');
        ir->imm = offset(r);
        skip_blanks(r);
        if (r->at < r->end && *r->at == 'c')
            ir->extra = record(r, "core", r->unit->cores.len);
    }
}

static void read_operands(reader *r, eb_ir *ir) {
    bool first = true;
    for (const char *letter = eb_ir_rows[ir->op].operands; *letter; letter++) {
        bool optional = *letter == 'c' || ir->op == EB_IR_RETURN || ir->op == EB_IR_UNREACHABLE;
        if (*letter == 'l') {
            read_list(r, ir);
            continue;
        }
        if (optional && line_ends(r))
            continue;
        reader before = *r;
        if (!first)
            want(r, ',', "a , is missing");
        skip_blanks(r);
        if (*letter == 'c' && !(r->at < r->end && *r->at == 'v')) {
            r->at = before.at; /* the number of a memory operation instead */
            continue;
        }
        first = false;
        read_operand(r, ir, *letter);
    }
}

static void read_succs(reader *r) {
    want(r, '-', "-> is missing");
    want(r, '>', "-> is missing");
    do
        *EB_PUSH(&r->unit->ctx->arena, &r->fn->blocks.at[r->block].succs) = block_number(r);
    while (take(r, ',') && !r->error.len);
}

static eb_ir_op operation(reader *r) {
    eb_str name = word(r);
    for (unsigned op = EB_IR_NONE + 1; op < EB_IR_OP_COUNT; op++)
        if (eb_str_is(name, eb_ir_rows[op].text))
            return (eb_ir_op)op;
    wrong(r, "there is no such operation");
    return EB_IR_NONE;
}

/* The number that the text gives to the value, or a new one. */
static eb_value place_of(reader *r, eb_ir *ir) {
    reader before = *r;
    eb_str name = word(r);
    if (name.len > 1 && name.at[0] == 'v' && take(r, ':')) {
        r->at = before.at;
        eb_value value = numbered(r, 'v');
        want(r, ':', "a : is missing");
        ir->type = (uint8_t)type(r);
        want(r, '=', "a = is missing");
        if (!value || value >= r->fn->values.len || r->fn->values.at[value].op)
            wrong(r, "the value was there before");
        return value;
    }
    r->at = before.at;
    return eb_ir_new(r->fn, EB_IR_NONE, EB_IR_VOID, 0, 0, 0);
}

static void read_instruction(reader *r) {
    eb_ir ir = {0};
    if (!r->block) {
        wrong(r, "an instruction stands in no block");
        return;
    }
    eb_value value = place_of(r, &ir);
    ir.op = (uint8_t)operation(r);
    while (r->at < r->end && *r->at == '.') {
        r->at++;
        read_modifier(r, &ir);
    }
    read_operands(r, &ir);
    if (!line_ends(r))
        read_succs(r);
    if (r->error.len)
        return;
    *eb_ir_at(r->fn, value) = ir;
    eb_ir_append(r->fn, r->block, value);
}

static bool is_block_line(const reader *r) {
    const char *at = r->at + 1;
    while (at < r->end && is_digit(*at))
        at++;
    return *r->at == 'b' && at > r->at + 1 && at < r->end && *at == ':';
}

static void read_line(reader *r) {
    if (take(r, '@'))
        read_symbol(r);
    else if (take_word(r, "unit"))
        read_unit(r);
    else if (take_word(r, "core"))
        read_core(r);
    else if (!r->fn && take_word(r, "asm"))
        read_asm(r);
    else if (take_word(r, "function"))
        read_function(r);
    else if (!r->fn)
        wrong(r, "there is no function yet");
    else if (!r->block && take_word(r, "scope"))
        read_scope(r);
    else if (!r->block && take_word(r, "slot"))
        read_slot(r);
    else if (is_block_line(r))
        read_block(r);
    else
        read_instruction(r);
}

/* ---- in the end ---- */

/* Predecessors of blocks that did not say theirs. */
static void fill_preds(eb_fn *fn) {
    uint8_t *said = eb_alloc(&fn->unit->ctx->arena, fn->blocks.len);
    for (uint32_t b = 1; b < fn->blocks.len; b++)
        said[b] = fn->blocks.at[b].preds.len != 0;
    for (uint32_t b = 1; b < fn->blocks.len; b++)
        for (uint32_t n = 0; n < fn->blocks.at[b].succs.len; n++)
            if (!said[fn->blocks.at[b].succs.at[n]])
                *EB_PUSH(&fn->unit->ctx->arena,
                         &fn->blocks.at[fn->blocks.at[b].succs.at[n]].preds) = b;
}

static void finish(reader *r) {
    eb_ir_unit *unit = r->unit;
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        const eb_ir_symbol *sym = &unit->symbols.at[n];
        for (uint32_t w = 0; w < sym->words.len; w++)
            if (sym->words.at[w].symbol >= unit->symbols.len)
                wrong(r, "a word names no symbol");
        if (sym->fn && !r->error.len)
            fill_preds(sym->fn);
    }
}

eb_ir_unit *eb_ir_read(ebpf_ctx *ctx, eb_str text, eb_str *error) {
    reader r = {.at = text.at, .end = text.at + text.len, .line = 1};
    r.most = text.len < UINT32_MAX / 16 ? (uint32_t)text.len + 256 : UINT32_MAX / 16;
    r.unit = eb_ir_unit_new(ctx, false, 3, true);
    while (r.at < r.end) {
        if (!line_ends(&r))
            read_line(&r);
        if (!line_ends(&r))
            wrong(&r, "there is more than belongs on the line");
        if (r.at < r.end)
            r.at++;
        r.line++;
    }
    finish(&r);
    *error = r.error;
    return r.error.len ? NULL : r.unit;
}
