/* contents.h - what is known of the contents of static variables. */
#ifndef EB_CONTENTS_H
#define EB_CONTENTS_H

#include "ir.h"

/* Sets what symbols say of their contents (is_const, written, is_private, bytes), and takes out
 * stores that nobody sees; whether there is something new to be folded into loads. Only variables
 * that are live count as holding the addresses of others. */
bool eb_find_contents(eb_ir_unit *unit);

/* Whether nobody ever stores there: what the load gets is what the variable has from the start. */
bool eb_is_initial(const eb_ir_unit *unit, uint32_t symbol, int64_t at, const eb_ir *load);

#endif
