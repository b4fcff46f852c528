/* check_format.c - the formats of bpf_printk: conversions as the kernel's bpf_bprintf_prepare knows
 * them, against the arguments that are given. */
#include "check.h"

/* The text of a format: a literal, or what a constant array is initialised with. */
static const eb_expr *format_text(const eb_expr *e) {
    e = eb_plain(e);
    if (e->kind == EB_EXPR_CAST)
        e = eb_plain(e->a);
    if (e->kind != EB_EXPR_DECAY)
        return NULL;
    e = e->a;
    if (e->kind == EB_EXPR_DECL && e->of.decl->inits.len == 1 &&
        (eb_type_quals(e->of.decl->type) & EB_CONST))
        e = e->of.decl->inits.at[0].expr;
    return e->kind == EB_EXPR_STRING && eb_type_size(eb_type_plain(e->type)->base) == 1 ? e : NULL;
}

static bool is_one_of(const char *set, char c) {
    while (*set && *set != c)
        set++;
    return *set;
}

/* One conversion of the kernel's bpf_bprintf_prepare behind its '%': how long it is, 0 if it is
 * none; *bits of the argument that it prints, 0 for a pointer. */
static size_t conversion(eb_str text, unsigned *bits) {
    size_t at = 0;
    while (at < text.len && text.at[at] && is_one_of("0+- #", text.at[at]))
        at++;
    while (at < text.len && text.at[at] >= '0' && text.at[at] <= '9')
        at++;
    *bits = 32;
    if (at < text.len && (text.at[at] == 'p' || text.at[at] == 's')) {
        bool pointer = text.at[at++] == 'p';
        *bits = 0;
        if (pointer && at + 1 < text.len && (text.at[at] == 'k' || text.at[at] == 'u') &&
            text.at[at + 1] == 's')
            return at + 2;
        if (pointer && at + 1 < text.len && (text.at[at] == 'i' || text.at[at] == 'I') &&
            (text.at[at + 1] == '4' || text.at[at + 1] == '6'))
            return at + 2;
        if (pointer && at < text.len && is_one_of("BKxsS", text.at[at]))
            return at + 1;
        return at;
    }
    for (; at < text.len && text.at[at] == 'l'; at++)
        *bits = 64;
    if (at < text.len && is_one_of(*bits == 64 ? "diuxX" : "diuxXc", text.at[at]))
        return at + 1;
    return 0;
}

/* The arguments behind the format, from `first` on; `typed` if they are there as they were given.
 */
static void check_format(eb_unit *u, uint32_t at, const eb_expr *format, eb_expr *const *args,
                         uint32_t count, bool typed) {
    eb_str text = format->of.text;
    uint32_t given = 0;
    for (size_t n = 0; n + 1 < text.len && text.at[n];) {
        if (text.at[n++] != '%')
            continue;
        if (text.at[n] == '%') {
            n++;
            continue;
        }
        unsigned bits;
        eb_str rest = {text.at + n, text.len - 1 - n};
        size_t length = conversion(rest, &bits);
        if (!length) {
            eb_warn_at(u, at, EB_DIAG_FORMAT_UNKNOWN, format->lo, format->hi, rest.len ? 1 : 0,
                       rest.at);
            return;
        }
        if (given >= count) {
            eb_warn_at(u, at, EB_DIAG_FORMAT_FEW, format->lo, format->hi, (int)length, rest.at);
            return;
        }
        const eb_expr *arg = typed ? eb_plain(args[given]) : NULL;
        bool pointer = arg && eb_type_is(arg->type, EB_TYPE_POINTER);
        if (arg && bits == 32 && (pointer || eb_type_size(arg->type) > 4))
            eb_warn_at(u, at, EB_DIAG_FORMAT_TYPE, arg->lo, arg->hi, (int)length, rest.at,
                       "32 bits", eb_type_string(u, arg->type));
        else if (arg && !bits && rest.at[length - 1] == 's' && !pointer &&
                 eb_type_size(arg->type) < 8)
            eb_warn_at(u, at, EB_DIAG_FORMAT_TYPE, arg->lo, arg->hi, (int)length, rest.at,
                       "a string", eb_type_string(u, arg->type));
        given++;
        n += length;
    }
    if (given < count)
        eb_warn_at(u, at, EB_DIAG_FORMAT_MANY, args[typed ? given : 0]->lo,
                   args[typed ? given : 0]->hi);
}

void eb_check_call(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_decl *decl = eb_called(e);
    eb_expr *const *args = e->of.args.at;
    uint32_t count = e->of.args.count;
    if (!decl || decl->name == UINT32_MAX || count < 2)
        return;
    eb_str name = eb_name_text(u, decl->name);
    const eb_expr *format = NULL;
    if (eb_str_is(name, "bpf_trace_printk")) {
        if ((format = format_text(args[0])))
            check_format(u, at, format, args + 2, count - 2, true);
    } else if (eb_str_is(name, "bpf_trace_vprintk") && count == 4) {
        uint64_t size;
        if ((format = format_text(args[0])) && eb_number_of(args[3], &size))
            check_format(u, at, format, args + 2, (uint32_t)(size / 8), false);
    }
}
