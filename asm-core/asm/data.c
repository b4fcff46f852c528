/* data.c - directives that put bytes: numbers, strings, room. */
#include "asm.h"

#include <string.h>

/* ---- strings ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte behind the backslash at text[*i]; *i moves to its last character. -1: unknown. */
static int escape(eb_str text, size_t *i) {
    char c = text.at[++*i];
    if (c >= '0' && c <= '7') {
        int value = c - '0';
        for (int n = 1;
             n < 3 && *i + 1 < text.len && text.at[*i + 1] >= '0' && text.at[*i + 1] <= '7'; n++)
            value = value * 8 + (text.at[++*i] - '0');
        return value & 0xff;
    }
    if (c == 'x' && *i + 1 < text.len && hex_digit(text.at[*i + 1]) >= 0) {
        int value = 0;
        while (*i + 1 < text.len && hex_digit(text.at[*i + 1]) >= 0)
            value = (value * 16 + hex_digit(text.at[++*i])) & 0xff;
        return value;
    }
    return eb_escape(c);
}

bool eb_asm_unescape(eb_asm *as, const eb_token *token, eb_buf *out) {
    for (size_t i = 0; i < token->text.len; i++) {
        int byte = (uint8_t)token->text.at[i];
        if (byte == '\\') {
            eb_loc lo = token->lo + 1 + (eb_loc)i;
            byte = i + 1 < token->text.len ? escape(token->text, &i) : -1;
            if (byte < 0) {
                eb_diag_add(as->ctx, EB_DIAG_BAD_ESCAPE, lo, lo + 2, token->text.at[i]);
                return false;
            }
        }
        eb_buf_byte(out, (uint8_t)byte);
    }
    return true;
}

bool eb_asm_unescape_name(eb_asm *as, const eb_token *token, eb_buf *out) {
    if (!eb_asm_unescape(as, token, out))
        return false;
    bool has_nul = out->len && memchr(out->at, 0, out->len);
    if (has_nul)
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi, "a name without a NUL in it");
    return !has_nul;
}

void eb_run_ascii(eb_asm *as, int nul) {
    do {
        eb_buf text = {.arena = &as->ctx->arena};
        if (eb_asm_peek(as)->kind != EB_TOKEN_STRING) {
            eb_asm_expected(as, "a string");
            return;
        }
        while (eb_asm_peek(as)->kind == EB_TOKEN_STRING) /* "a" "b" is one */
            if (!eb_asm_unescape(as, &as->tokens.at[as->at++], &text))
                return;
        if (nul)
            eb_buf_byte(&text, 0);
        bool zero = true;
        for (size_t i = 0; i < text.len; i++)
            zero &= !text.at[i];
        if (zero) {
            eb_asm_fill(as, text.len, 0);
            continue;
        }
        uint8_t *at = eb_asm_emit(as, text.len);
        if (at)
            memcpy(at, text.at, text.len);
    } while (eb_asm_accept(as, ','));
    eb_asm_ended(as);
}

/* ---- numbers ---- */

static void put_bytes(const eb_asm *as, uint8_t *at, unsigned size, uint64_t value) {
    bool big = as->obj->big;
    for (unsigned i = 0; i < size; i++)
        at[big ? size - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

static bool in_range(eb_asm *as, const eb_expr *expr, unsigned size) {
    unsigned bits = size * 8;
    int64_t v = expr->value;
    if (bits >= 64 || (v < (int64_t)1 << bits && v >= -((int64_t)1 << (bits - 1))))
        return true;
    eb_str text = eb_str_fmt(&as->ctx->arena, "%lld", (long long)v);
    eb_diag_add(as->ctx, EB_DIAG_NUMBER_RANGE, expr->lo, expr->hi, (int)text.len, text.at, bits);
    return false;
}

static void put_value(eb_asm *as, const eb_expr *expr, unsigned size) {
    bool constant = !expr->plus && !expr->minus;
    if (constant && !in_range(as, expr, size))
        return;
    if (constant && !expr->value) {
        eb_asm_fill(as, size, 0); /* also where there are no bytes */
        return;
    }
    uint64_t offset = eb_asm_section(as)->size;
    uint8_t *at = eb_asm_emit(as, size);
    if (at && constant)
        put_bytes(as, at, size, (uint64_t)expr->value);
    else if (at)
        *EB_PUSH(&as->ctx->arena, &as->fixups) = (eb_fixup){.kind = EB_FIXUP_DATA,
                                                            .section = as->section,
                                                            .size = (uint8_t)size,
                                                            .offset = (uint32_t)offset,
                                                            .expr = *expr};
}

void eb_run_data(eb_asm *as, int size) {
    do {
        eb_expr expr;
        if (!eb_asm_expr_of(as, &expr, "a number or name"))
            return;
        put_value(as, &expr, (unsigned)size);
    } while (eb_asm_accept(as, ','));
    eb_asm_ended(as);
}

/* .uleb128 and .sleb128: seven bits a byte, the lowest first, while more follow the eighth is set.
 */
void eb_run_leb(eb_asm *as, int is_signed) {
    do {
        int64_t value;
        uint8_t bytes[10];
        unsigned count = 0;
        if (!eb_asm_constant(as, &value))
            return;
        for (bool more = true; more; count++) {
            uint8_t low = (uint8_t)(value & 0x7f);
            uint64_t rest = (uint64_t)value >> 7;
            value = is_signed ? (int64_t)(value < 0 ? rest | (uint64_t)0x7f << 57 : rest)
                              : (int64_t)rest;
            more = is_signed ? (value != 0 || (low & 0x40)) && (value != -1 || !(low & 0x40))
                             : value != 0;
            bytes[count] = (uint8_t)(low | (more ? 0x80 : 0));
        }
        uint8_t *at = eb_asm_emit(as, count);
        if (at)
            memcpy(at, bytes, count);
    } while (eb_asm_accept(as, ','));
    eb_asm_ended(as);
}

/* ---- room ---- */

static bool not_negative(eb_asm *as, int64_t size, const eb_token *token) {
    if (size < 0)
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi, "a size of 0 or more");
    return size >= 0;
}

void eb_run_zero(eb_asm *as, int unused) {
    int64_t size, fill = 0;
    (void)unused;
    const eb_token *token = eb_asm_peek(as);
    if (eb_asm_constant(as, &size) && (!eb_asm_accept(as, ',') || eb_asm_constant(as, &fill)) &&
        eb_asm_ended(as) && not_negative(as, size, token))
        eb_asm_fill(as, (uint64_t)size, (int)(fill & 0xff));
}

/* .fill count[, size[, value]]: size is up to 8, of the value 4 bytes are taken. */
void eb_run_fill(eb_asm *as, int unused) {
    int64_t count, size = 1, value = 0;
    (void)unused;
    const eb_token *token = eb_asm_peek(as);
    if (!eb_asm_constant(as, &count) || (eb_asm_accept(as, ',') && !eb_asm_constant(as, &size)) ||
        (eb_asm_accept(as, ',') && !eb_asm_constant(as, &value)) || !eb_asm_ended(as) ||
        !not_negative(as, count, token) || !not_negative(as, size, token))
        return;
    unsigned each = size > 8 ? 8 : (unsigned)size;
    if (!value) {
        eb_asm_fill(as, count > INT64_MAX / 8 ? INT64_MAX : (uint64_t)count * each, 0);
        return;
    }
    uint8_t *at = eb_asm_emit(as, count > INT64_MAX / 8 ? INT64_MAX : (uint64_t)count * each);
    for (int64_t i = 0; at && i < count; i++)
        put_bytes(as, at + (uint64_t)i * each, each, (uint64_t)value & UINT32_MAX);
}

/* Room in code is filled with jumps to the next instruction, unless another filling is given or
 * the section has no bytes. */
static void pad(eb_asm *as, uint64_t size, bool given, int fill) {
    static const uint8_t nop_code = 0x05;
    const eb_section *section = eb_asm_section(as);
    bool code = (section->flags & EB_SHF_EXECINSTR) && section->type != EB_SHT_NOBITS &&
                size % EBPF_SLOT == 0;
    if (given || !code) {
        eb_asm_fill(as, size, fill);
        return;
    }
    uint8_t *at = eb_asm_emit(as, size);
    for (uint64_t i = 0; at && i < size; i += EBPF_SLOT)
        at[i] = nop_code;
}

void eb_run_align(eb_asm *as, int power) {
    enum { POWER_MOST = 16 };
    int64_t align, fill = 0, most = INT64_MAX;
    bool given = false;
    const eb_token *token = eb_asm_peek(as);
    if (!eb_asm_constant(as, &align))
        return;
    if (eb_asm_accept(as, ',') && !eb_asm_is(as, ',')) {
        if (!eb_asm_constant(as, &fill))
            return;
        given = true;
    }
    if ((eb_asm_accept(as, ',') && !eb_asm_constant(as, &most)) || !eb_asm_ended(as))
        return;
    if (power ? align < 0 || align > POWER_MOST
              : align < 0 || align > 1 << POWER_MOST || (align & (align - 1))) {
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi,
                    power ? "a power from 0 to 16" : "a power of two up to 65536");
        return;
    }
    uint64_t bytes = power ? (uint64_t)1 << align : align ? (uint64_t)align : 1;
    eb_section *section = eb_asm_section(as);
    if (section->align < bytes)
        section->align = bytes;
    uint64_t room = (bytes - section->size % bytes) % bytes;
    if ((int64_t)room <= most)
        pad(as, room, given, (int)(fill & 0xff));
}

/* .org offset[, fill]: go on there, in this section. */
void eb_run_org(eb_asm *as, int unused) {
    eb_expr to;
    int64_t fill = 0;
    (void)unused;
    const eb_token *token = eb_asm_peek(as);
    if (!eb_asm_expr_of(as, &to, "an offset") ||
        (eb_asm_accept(as, ',') && !eb_asm_constant(as, &fill)) || !eb_asm_ended(as))
        return;
    const eb_label *label = to.plus ? &as->labels.at[to.plus - 1] : NULL;
    uint64_t here = eb_asm_section(as)->size, at = (uint64_t)to.value;
    if (label && label->defined && label->section == as->section)
        at += label->value;
    else if (label)
        at = 0;
    if (to.minus || at < here)
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi,
                    "an offset in this section that is not behind us");
    else
        eb_asm_fill(as, at - here, (int)(fill & 0xff));
}
