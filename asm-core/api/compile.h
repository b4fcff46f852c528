/* compile.h - the compiler's stages in a row. */
#ifndef EB_COMPILE_H
#define EB_COMPILE_H

#include "object.h"
#include "pp.h"

/* The preprocessed unit as an object, NULL when errors are in the context. */
ebpf_object *eb_compile(eb_pp *pp, const eb_pp_options *options);

#endif
