/* text.h - the words of the text form, which print.c and read.c share. */
#ifndef EB_TEXT_H
#define EB_TEXT_H

#include "ir.h"

enum { EB_IR_TYPE_COUNT = 4, EB_IR_FLAG_COUNT = 5, EB_IR_SYMBOL_FLAG_COUNT = 8 };

typedef struct eb_ir_flag_name {
    const char *name;
    uint8_t flag;
} eb_ir_flag_name;

extern const char *const eb_ir_types[EB_IR_TYPE_COUNT];
extern const char *const eb_ir_conds[EB_COND_COUNT];
extern const char *const eb_ir_atomics[EB_ATOMIC_COUNT];
extern const eb_ir_flag_name eb_ir_flags[EB_IR_FLAG_COUNT];
extern const char *const eb_ir_symbol_flags[EB_IR_SYMBOL_FLAG_COUNT];
/* The field that the word of that number stands for. */
bool *eb_ir_symbol_flag(eb_ir_symbol *symbol, unsigned flag);

#endif
