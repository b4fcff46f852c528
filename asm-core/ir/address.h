/* address.h - what an address is made of: a base, and a constant behind it. */
#ifndef EB_ADDRESS_H
#define EB_ADDRESS_H

#include "ir.h"

typedef struct eb_address {
    eb_value base;  /* a SLOT or SYMBOL, or whatever the address is computed from */
    int64_t offset; /* from the start of the slot or symbol, or from the value of base */
} eb_address;

/* Through sums with constants and copies; sums that pass 2^63 end the way. */
eb_address eb_address_of(const eb_fn *fn, eb_value address);

/* The same slot or symbol, or the same value. */
bool eb_address_shared(const eb_fn *fn, eb_address a, eb_address b);

/* The largest power of two up to 8 that divides address + offset, `least` if nothing better is
 * known. Slots, and symbols that nobody else lays out, are aligned better for it. */
unsigned eb_address_align(eb_fn *fn, eb_value address, unsigned least);

#endif
