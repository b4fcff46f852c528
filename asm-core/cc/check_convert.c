/* check_convert.c - conversions that may change a value or its sign (-Wconversion), and casts that
 * lose const or ask for more alignment (-Wcast-qual, -Wcast-align). Told by name only, as by clang.
 */
#include "check.h"

/* As clang takes it here: sums and products do not outgrow their operands. */
static eb_range likely_range(const eb_expr *e, unsigned depth) {
    enum { DEEPEST = 20 };
    e = eb_plain(e);
    bool grows = e->kind == EB_EXPR_BINARY && depth < DEEPEST && eb_type_is_integer(e->a->type) &&
                 eb_type_is_integer(e->b->type) &&
                 (e->op == EB_TOK_PLUS || e->op == EB_TOK_MINUS || e->op == EB_TOK_STAR);
    if (!grows)
        return eb_range_of(e, 0);
    eb_range a = likely_range(e->a, depth + 1), b = likely_range(e->b, depth + 1);
    return (eb_range){a.bits > b.bits ? a.bits : b.bits, a.positive && b.positive};
}

/* Whether values that the source can have become others. Its range is what its operands show, not
 * only what its type could hold. */
void eb_check_conversion(eb_unit *u, uint32_t at, const eb_expr *e) {
    uint64_t value;
    if (e->kind != EB_EXPR_CAST || e->written)
        return;
    const eb_expr *a = eb_plain(e);
    eb_type *to = e->type, *from = a->type;
    if (!eb_type_is_integer(to) || !eb_type_is_integer(from) || eb_type_is(to, EB_TYPE_BOOL))
        return;
    bool constant = eb_number_of(a, &value);
    eb_range source = likely_range(a, 0), target = eb_range_of_type(to);
    const char *is = eb_type_string(u, from), *becomes = eb_type_string(u, to);
    if (source.bits > target.bits) {
        if (!constant)
            eb_warn_at(u, at,
                       eb_range_of_type(from).bits == 64 && target.bits == 32 ? EB_DIAG_SHORTENED
                                                                              : EB_DIAG_NARROWED,
                       a->lo, a->hi, is, becomes);
        return;
    }
    bool changes = (target.positive && !source.positive) ||
                   (!target.positive && source.positive && source.bits == target.bits);
    if (changes && !(constant && !target.positive))
        eb_warn_at(u, at, EB_DIAG_SIGN_CHANGED, a->lo, a->hi, is, becomes);
}

void eb_check_cast(eb_unit *u, uint32_t at, const eb_expr *e) {
    eb_type *to = e->type, *from = e->a->type;
    if (!eb_type_is(to, EB_TYPE_POINTER) || !eb_type_is(from, EB_TYPE_POINTER))
        return;
    eb_type *target = eb_type_plain(to)->base, *source = eb_type_plain(from)->base;
    unsigned lost = eb_type_quals(source) & ~eb_type_quals(target) & (EB_CONST | EB_VOLATILE);
    if (lost)
        eb_warn_at(u, at, EB_DIAG_CAST_QUALS, e->lo, e->hi, eb_type_string(u, from),
                   eb_type_string(u, to), lost & EB_CONST ? "const" : "volatile");
    bool sized = eb_type_is_complete(target) && eb_type_is_complete(source);
    if (sized && !eb_type_is(source, EB_TYPE_VOID) && !eb_type_is(target, EB_TYPE_FUNCTION) &&
        eb_type_align(target) > eb_type_align(source))
        eb_warn_at(u, at, EB_DIAG_CAST_ALIGN, e->lo, e->hi, eb_type_string(u, from),
                   eb_type_string(u, to), (unsigned)eb_type_align(target));
}
