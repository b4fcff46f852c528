/* inflate.h - DEFLATE, decompressing only (RFC 1951). */
#ifndef EB_INFLATE_H
#define EB_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decompress `in`, a raw DEFLATE stream, into exactly `size` bytes; false when it is damaged or
 * holds more or fewer. */
bool eb_inflate(const uint8_t *in, size_t in_size, uint8_t *out, size_t size);

#endif
