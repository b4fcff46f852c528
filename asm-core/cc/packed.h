/* packed.h - the packed header set (scripts/pack-headers.mjs writes it): files by their paths.
 *
 * Little-endian; offsets count from the start of the set:
 *   8 bytes "BPFHDR2\n", u32 number of files
 *   per file, sorted by path: u32 offset and size of the path, u32 offset and size of its contents
 *   as a DEFLATE stream, u32 size of the contents
 *   the paths, the streams */
#ifndef EB_PACKED_H
#define EB_PACKED_H

#include "str.h"

/* The contents of file `path`, in the arena: 1; 0 when the set has no such file; -1 when this is no
 * header set, or a damaged one. */
int eb_packed_find(eb_arena *arena, eb_str set, eb_str path, eb_str *text);
/* The path of the set, or vmlinux.h, that may have been meant by one that it has not; empty for
 * none. Not a copy. */
eb_str eb_packed_near(eb_str set, eb_str path);

#endif
