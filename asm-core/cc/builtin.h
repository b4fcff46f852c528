/* builtin.h - numbers of the builtin functions (eb_expr.builtin). */
#ifndef EB_BUILTIN_H
#define EB_BUILTIN_H

typedef enum eb_builtin {
    EB_BUILTIN_NONE,
#define BUILTIN_FUNCTION(id, name, shape) EB_BUILTIN_##id,
#include "builtin.def"
} eb_builtin;

#endif
