/* check.h - what the files of checks share: check.c expressions one by one and declarations,
 * check_logic.c what conditions and comparisons come to, check_convert.c conversions,
 * check_format.c formats. */
#ifndef EB_CHECK_H
#define EB_CHECK_H

#include "parse.h"

/* The operand as it was written: without the conversions that C's rules put around it. */
const eb_expr *eb_plain(const eb_expr *e);
/* Whether an expression is an integer constant, and which. */
bool eb_number_of(const eb_expr *e, uint64_t *value);
/* A number as its type has it. */
const char *eb_number_text(eb_unit *u, uint64_t value, eb_type *type);
/* Whether two operands name the same variable or member of one. */
bool eb_same_place(const eb_expr *a, const eb_expr *b);
/* What is 0 or 1 by its operator or type. */
bool eb_is_truth(const eb_expr *e);
/* What a call names, NULL when it is by a value. */
const eb_decl *eb_called(const eb_expr *call);
bool eb_in_macro(const eb_unit *u, eb_loc loc);

/* The values that an integer expression can have: bits, the sign's among them. */
typedef struct eb_range {
    unsigned bits;
    bool positive;
} eb_range;
eb_range eb_range_of_type(eb_type *type);
eb_range eb_range_of(const eb_expr *e, unsigned depth);

/* The value of a bit-field in an initialiser. */
void eb_check_field(eb_unit *u, uint32_t at, const eb_init *init);

/* check_logic.c: a live binary expression; a condition; a loop with an empty body in front of the
 * statement that may have been meant as that. */
void eb_check_logic(eb_unit *u, uint32_t at, const eb_expr *e);
/* The two operands of a binary operator or assignment. */
void eb_check_sequence(eb_unit *u, uint32_t at, const eb_expr *e);
void eb_check_equality_parens(eb_unit *u, uint32_t at, const eb_expr *e);
void eb_check_empty_loop(eb_unit *u, const eb_stmt *loop);
/* A for loop whose condition cannot change. */
void eb_check_for(eb_unit *u, const eb_stmt *loop);

/* check_convert.c: an expression as it becomes a value of another type, where that is not written;
 * a cast that is. */
void eb_check_conversion(eb_unit *u, uint32_t at, const eb_expr *e);
void eb_check_cast(eb_unit *u, uint32_t at, const eb_expr *e);

/* check_format.c: a call whose arguments a format tells of. */
void eb_check_call(eb_unit *u, uint32_t at, const eb_expr *e);

#endif
