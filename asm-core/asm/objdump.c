/* objdump.c - the executable sections as `llvm-objdump -d` lists them, line by line the same; with
 * EBPF_DIS_RELOCS as -dr does.
 *
 * A section is listed in pieces, one for each place that has a symbol. Of the symbols at a place
 * the last in the order of (name, type) that is no data is shown; a piece with data symbols alone
 * is dumped as bytes. Runs of zeroes are skipped. A jump shows the nearest symbol before its
 * target. Without EBPF_DIS_ALU32 the instructions are those of a processor without 32-bit
 * registers, which is llvm-objdump's way when no -mcpu is given: loads and stores name the whole
 * register, and of 32-bit atomics only the addition is known. Source: tools/llvm-objdump of LLVM 19
 * and what it prints. */
#include <string.h>

#include "btf_ext.h"
#include "dis.h"
#include "kinds.h"
#include "sort.h"

typedef struct dump {
    const ebpf_object *obj;
    uint32_t flags;
    eb_buf *out;
    eb_view *views;

    /* The section at hand. */
    const eb_section *section;
    const eb_view *view;
    uint32_t *symbols; /* by value, name and type; 0, the null symbol, stands for the section */
    uint32_t symbol_count;
    uint32_t next_reloc;
} dump;

/* ---- symbols ---- */

static int by_name(const void *data, uint32_t a, uint32_t b) {
    const eb_symbol *left = (const eb_symbol *)data + a, *right = (const eb_symbol *)data + b;
    if (left->value != right->value)
        return left->value < right->value ? -1 : 1;
    size_t len = left->name.len < right->name.len ? left->name.len : right->name.len;
    int order = len ? memcmp(left->name.at, right->name.at, len) : 0;
    if (order || left->name.len != right->name.len)
        return order ? order : left->name.len < right->name.len ? -1 : 1;
    return (int)left->type - right->type;
}

static uint64_t value_of(const dump *d, uint32_t number) {
    return d->symbols[number] ? d->obj->symbols.at[d->symbols[number]].value : 0;
}

static eb_str name_of(const dump *d, uint32_t number) {
    return d->symbols[number] ? d->obj->symbols.at[d->symbols[number]].name : d->section->name;
}

static bool is_data(const dump *d, uint32_t number) {
    return d->symbols[number] && d->obj->symbols.at[d->symbols[number]].type == EB_STT_OBJECT;
}

/* The named symbols, and in front the section itself where none stands at its start. */
static void list_symbols(dump *d) {
    const eb_view *view = d->view;
    const eb_symbol *symbols = d->obj->symbols.at;
    d->symbols = eb_alloc_array(&d->obj->ctx->arena, view->symbol_count + 1u, sizeof(uint32_t));
    d->symbol_count = 1;
    for (uint32_t i = 0; i < view->symbol_count; i++)
        if (symbols[view->symbols[i]].name.len)
            d->symbols[d->symbol_count++] = view->symbols[i];
    eb_sort(&d->obj->ctx->arena, d->symbols + 1, d->symbol_count - 1, by_name, symbols);
    if (d->symbol_count > 1 && value_of(d, 1) == 0) {
        d->symbols++;
        d->symbol_count--;
    }
}

/* The last symbol at or before `target`; there is always one. */
static uint32_t symbol_before(const dump *d, uint64_t target) {
    uint32_t lo = 0, hi = d->symbol_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (value_of(d, mid) <= target)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? lo - 1 : 0;
}

/* ---- lines ---- */

static const char digits[] = "0123456789abcdef";

/* `value` in base 10 or 16, right in `width` characters filled with `fill`. */
static uint8_t *put_padded(uint8_t *at, uint64_t value, unsigned base, unsigned width, char fill) {
    char text[20];
    unsigned n = 0;
    do {
        text[n++] = digits[value % base];
        value /= base;
    } while (value);
    for (unsigned i = n; i < width; i++)
        *at++ = (uint8_t)fill;
    while (n)
        *at++ = (uint8_t)text[--n];
    return at;
}

/* The number of the slot and `count` bytes: "       3:\tbf a2 00 00 00 00 00 00". */
static void put_start(dump *d, uint64_t offset, unsigned count) {
    const uint8_t *bytes = d->section->bytes.at + offset;
    uint8_t *from = eb_buf_reserve(d->out, 96), *at = from;
    at = put_padded(at, offset / EBPF_SLOT, 10, 8, ' ');
    *at++ = ':';
    for (unsigned i = 0; i < count; i++) {
        *at++ = i ? ' ' : '\t';
        *at++ = (uint8_t)digits[bytes[i] >> 4];
        *at++ = (uint8_t)digits[bytes[i] & 15];
    }
    d->out->len += (size_t)(at - from);
}

static void put_target(dump *d, uint64_t target) {
    uint32_t symbol = symbol_before(d, target);
    uint64_t distance = target - value_of(d, symbol);
    eb_buf_str(d->out, EB_STR(" <"));
    eb_buf_str(d->out, name_of(d, symbol));
    if (distance)
        eb_buf_fmt(d->out, "+0x%llx", (unsigned long long)distance);
    eb_buf_byte(d->out, '>');
}

/* ---- relocations ---- */

static void put_address(dump *d, uint64_t offset) {
    uint8_t *from = eb_buf_reserve(d->out, 32), *at = from;
    *at++ = '\t';
    *at++ = '\t';
    at = put_padded(at, offset, 16, 16, '0');
    d->out->len += (size_t)(at - from);
    eb_buf_str(d->out, EB_STR(":  "));
}

static void put_reloc(dump *d, const eb_reloc *reloc) {
    const eb_symbol *symbol = &d->obj->symbols.at[reloc->symbol];
    const char *type = eb_reloc_name(reloc->type);
    int64_t addend = reloc->addend;
    put_address(d, reloc->offset);
    eb_buf_str(d->out, eb_str_from(type ? type : "Unknown"));
    eb_buf_byte(d->out, '\t');
    if (!reloc->symbol)
        eb_buf_str(d->out, EB_STR("*ABS*"));
    else if (symbol->type == EB_STT_SECTION && symbol->section < d->obj->sections.len)
        eb_buf_str(d->out, d->obj->sections.at[symbol->section].name);
    else
        eb_buf_str(d->out, symbol->name);
    if (addend)
        eb_buf_fmt(d->out, "%c0x%llx", addend < 0 ? '-' : '+',
                   (unsigned long long)(addend < 0 ? 0 - (uint64_t)addend : (uint64_t)addend));
    eb_buf_byte(d->out, '\n');
}

/* The next relocation before `end`, or NULL. */
static const eb_reloc *next_reloc(const dump *d, uint64_t end) {
    if (d->next_reloc == d->view->reloc_count)
        return NULL;
    const eb_reloc *reloc = &d->section->relocs.at[d->view->relocs[d->next_reloc]];
    return reloc->offset < end ? reloc : NULL;
}

static void put_relocs(dump *d, uint64_t from, uint64_t to) {
    for (const eb_reloc *reloc; (reloc = next_reloc(d, to)); d->next_reloc++)
        if (reloc->offset >= from)
            put_reloc(d, reloc);
}

/* ---- instructions ---- */

/* An instruction as a processor without 32-bit registers has it; false when it has none. */
static bool narrow(eb_op *op, eb_style *style) {
    style->wide = true;
    switch (eb_insn_rows[*op].form) {
    case EB_FORM_FETCH32:
        if (*op != EB_OP_FETCH32_ADD)
            return false;
        *op = EB_OP_ATOMIC32_ADD;
        return true;
    case EB_FORM_ATOMIC32:
        return *op == EB_OP_ATOMIC32_ADD;
    case EB_FORM_XCHG32:
    case EB_FORM_CMPXCHG32:
        return false;
    default:
        return true;
    }
}

/* The text of one instruction; returns its bytes. Where not even a slot is left, each byte is one
 * that is unknown. */
static unsigned put_insn(dump *d, uint64_t offset) {
    eb_style style = {.hex = true};
    ebpf_insn insn;
    eb_op op;
    const uint8_t *bytes = d->section->bytes.at + offset;
    size_t left = d->section->bytes.len - (size_t)offset;
    unsigned slots = ebpf_insn_decode(bytes, left, d->obj->big ? EBPF_BIG : EBPF_LITTLE, &insn);
    op = slots ? eb_insn_op(d->obj->ctx, &insn) : EB_OP_COUNT;
    bool known = op != EB_OP_COUNT && ((d->flags & EBPF_DIS_ALU32) || narrow(&op, &style));
    unsigned size = known ? slots * EBPF_SLOT : slots ? EBPF_SLOT : 1;
    put_start(d, offset, size);
    eb_buf_byte(d->out, '\t');
    if (!known) {
        eb_buf_str(d->out, EB_STR("<unknown>\n"));
        return size;
    }
    eb_target target = eb_op_target(op);
    if (target == EB_TARGET_CALL || op == EB_OP_CALL_KFUNC_ONLY)
        op = EB_OP_CALL_ONLY;
    else if (eb_insn_rows[op].form == EB_FORM_LDIND_K)
        op = (eb_op)(op - EB_OP_LDIND_K_W + EB_OP_LDIND_W);
    eb_insn_print(d->out, EBPF_DIALECT_LLVM, op, &insn, &style);
    if (target == EB_TARGET_OFF || target == EB_TARGET_IMM) {
        int64_t distance = target == EB_TARGET_OFF ? insn.off : insn.imm;
        put_target(d, offset + EBPF_SLOT + (uint64_t)distance * EBPF_SLOT);
    }
    eb_buf_byte(d->out, '\n');
    return size;
}

/* How many bytes of [from, to) are zeroes that are skipped: eight or more, by fours. */
static uint64_t zeroes(const dump *d, uint64_t from, uint64_t to) {
    const eb_reloc *reloc = d->flags & EBPF_DIS_RELOCS ? next_reloc(d, to) : NULL;
    uint64_t end = reloc && reloc->offset >= from ? reloc->offset : to, at = from;
    while (at < end && !d->section->bytes.at[at])
        at++;
    return at - from < EBPF_SLOT ? 0 : (at - from) & ~(uint64_t)3;
}

/* Objects without types have no CO-RE relocations either. */
static void put_core(dump *d, uint64_t offset) {
    const eb_core_relo *relo = eb_core_of(d->section, offset);
    if (!relo)
        return;
    put_address(d, offset);
    eb_buf_str(d->out, EB_STR("CO-RE "));
    eb_objdump_core(d->obj->btf, relo, d->out);
    eb_buf_byte(d->out, '\n');
}

static void put_code(dump *d, uint64_t from, uint64_t to) {
    while (from < to) {
        uint64_t skip = zeroes(d, from, to);
        if (skip) {
            eb_buf_str(d->out, EB_STR("\t\t...\n"));
            from += skip;
            continue;
        }
        unsigned size = put_insn(d, from);
        if (d->flags & EBPF_DIS_RELOCS) {
            put_core(d, from);
            put_relocs(d, from, from + size);
        }
        from += size;
    }
}

/* Data among the code: eight bytes to the line, and what of them can be printed. */
static void put_data(dump *d, uint64_t from, uint64_t to) {
    const uint8_t *bytes = d->section->bytes.at;
    while (from < to) {
        uint64_t end = to - from < 8 ? to : from + 8;
        uint8_t *start = eb_buf_reserve(d->out, 128), *at = start;
        at = put_padded(at, from, 16, 8, ' ');
        *at++ = ':';
        for (uint64_t i = from; i < from + 8; i++) {
            *at++ = ' ';
            *at++ = i < end ? (uint8_t)digits[bytes[i] >> 4] : ' ';
            *at++ = i < end ? (uint8_t)digits[bytes[i] & 15] : ' ';
        }
        memset(at, ' ', 9);
        at += 9;
        for (; from < end; from++)
            *at++ = bytes[from] >= 0x20 && bytes[from] < 0x7f ? bytes[from] : '.';
        *at++ = '\n';
        d->out->len += (size_t)(at - start);
    }
}

/* ---- the object ---- */

/* The symbols from `first` on that stand at one place; returns the number behind them. */
static uint32_t put_piece(dump *d, uint32_t first, bool *titled) {
    uint64_t from = value_of(d, first), to = d->section->size;
    uint32_t next = first, shown = first;
    bool data = true;
    for (; next < d->symbol_count && value_of(d, next) == from; next++) {
        shown = is_data(d, next) && !data ? shown : next;
        data = data && is_data(d, next);
    }
    if (next < d->symbol_count && value_of(d, next) < to)
        to = value_of(d, next);
    if (from >= to)
        return next;
    if (!*titled) {
        eb_buf_fmt(d->out, "\nDisassembly of section %.*s:\n", (int)d->section->name.len,
                   d->section->name.at);
        *titled = true;
    }
    eb_str name = name_of(d, shown);
    eb_buf_fmt(d->out, "\n%016llx <%.*s>:\n", (unsigned long long)from, (int)name.len, name.at);
    if (data)
        put_data(d, from, to);
    else
        put_code(d, from, to);
    return next;
}

void eb_objdump(const ebpf_object *obj, uint32_t flags, eb_buf *out) {
    dump d = {.obj = obj, .flags = flags, .out = out, .views = eb_views_of(obj)};
    eb_buf_fmt(out, "\n%.*s:\tfile format elf64-bpf\n", (int)obj->name.len, obj->name.at);
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        bool titled = false;
        d.section = &obj->sections.at[i];
        d.view = &d.views[i];
        d.next_reloc = 0;
        if (!(d.section->flags & EB_SHF_EXECINSTR) || d.section->type == EB_SHT_NOBITS)
            continue;
        list_symbols(&d);
        for (uint32_t symbol = 0; symbol < d.symbol_count;)
            symbol = put_piece(&d, symbol, &titled);
    }
}
