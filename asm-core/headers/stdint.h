/* SPDX-License-Identifier: MIT */
/* glibc's headers, where they are used beside this one, define the exact types again unless they
 * see that it was done: for a target that they do not know, with other types of the same size. */
#ifndef EBPF_STDINT_H
#define EBPF_STDINT_H

#ifndef _BITS_STDINT_INTN_H
#define _BITS_STDINT_INTN_H 1
typedef __INT8_TYPE__ int8_t;
typedef __INT16_TYPE__ int16_t;
typedef __INT32_TYPE__ int32_t;
typedef __INT64_TYPE__ int64_t;
#endif
#ifndef _BITS_STDINT_UINTN_H
#define _BITS_STDINT_UINTN_H 1
typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
#endif

typedef int8_t int_least8_t;
typedef int16_t int_least16_t;
typedef int32_t int_least32_t;
typedef int64_t int_least64_t;
typedef uint8_t uint_least8_t;
typedef uint16_t uint_least16_t;
typedef uint32_t uint_least32_t;
typedef uint64_t uint_least64_t;
typedef int8_t int_fast8_t;
typedef int16_t int_fast16_t;
typedef int32_t int_fast32_t;
typedef int64_t int_fast64_t;
typedef uint8_t uint_fast8_t;
typedef uint16_t uint_fast16_t;
typedef uint32_t uint_fast32_t;
typedef uint64_t uint_fast64_t;
typedef __INTPTR_TYPE__ intptr_t;
typedef __UINTPTR_TYPE__ uintptr_t;
typedef __INTMAX_TYPE__ intmax_t;
typedef __UINTMAX_TYPE__ uintmax_t;

#define INT8_MAX         127
#define INT8_MIN         (-127 - 1)
#define UINT8_MAX        255
#define INT_LEAST8_MAX   127
#define INT_LEAST8_MIN   (-127 - 1)
#define UINT_LEAST8_MAX  255
#define INT_FAST8_MAX    127
#define INT_FAST8_MIN    (-127 - 1)
#define UINT_FAST8_MAX   255
#define INT16_MAX        32767
#define INT16_MIN        (-32767 - 1)
#define UINT16_MAX       65535
#define INT_LEAST16_MAX  32767
#define INT_LEAST16_MIN  (-32767 - 1)
#define UINT_LEAST16_MAX 65535
#define INT_FAST16_MAX   32767
#define INT_FAST16_MIN   (-32767 - 1)
#define UINT_FAST16_MAX  65535
#define INT32_MAX        2147483647
#define INT32_MIN        (-2147483647 - 1)
#define UINT32_MAX       4294967295U
#define INT_LEAST32_MAX  2147483647
#define INT_LEAST32_MIN  (-2147483647 - 1)
#define UINT_LEAST32_MAX 4294967295U
#define INT_FAST32_MAX   2147483647
#define INT_FAST32_MIN   (-2147483647 - 1)
#define UINT_FAST32_MAX  4294967295U
#define INT64_MAX        9223372036854775807L
#define INT64_MIN        (-9223372036854775807L - 1)
#define UINT64_MAX       18446744073709551615UL
#define INT_LEAST64_MAX  9223372036854775807L
#define INT_LEAST64_MIN  (-9223372036854775807L - 1)
#define UINT_LEAST64_MAX 18446744073709551615UL
#define INT_FAST64_MAX   9223372036854775807L
#define INT_FAST64_MIN   (-9223372036854775807L - 1)
#define UINT_FAST64_MAX  18446744073709551615UL
#define INTPTR_MAX       INT64_MAX
#define INTPTR_MIN       INT64_MIN
#define UINTPTR_MAX      UINT64_MAX
#define INTMAX_MAX       INT64_MAX
#define INTMAX_MIN       INT64_MIN
#define UINTMAX_MAX      UINT64_MAX
#define PTRDIFF_MAX      INT64_MAX
#define PTRDIFF_MIN      INT64_MIN
#define SIZE_MAX         UINT64_MAX

#define INT8_C(value)    value
#define INT16_C(value)   value
#define INT32_C(value)   value
#define INT64_C(value)   value##L
#define UINT8_C(value)   value
#define UINT16_C(value)  value
#define UINT32_C(value)  value##U
#define UINT64_C(value)  value##UL
#define INTMAX_C(value)  value##L
#define UINTMAX_C(value) value##UL

#endif
