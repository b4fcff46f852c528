/* again.h - an object as text, and that assembled again. */
#ifndef AGAIN_H
#define AGAIN_H

#include "object.h"

/* The same bytes in the sections, and the same relocations of code; but for objects that the text
 * has no words for. */
void require_text_round_trip(ebpf_ctx *ctx, const ebpf_object *obj, int dialect, uint32_t flags);

#endif
