/* csmith.h - what programs of csmith include, for BPF: arithmetic that is always defined, without
 * signed division, which BPF has only since -mcpu=v4, and a checksum that is the entry's result.
 * With -DNATIVE the program prints it instead. Written for this project: csmith's own headers want
 * the C library. */
#ifndef CSMITH_H
#define CSMITH_H

#ifdef NATIVE
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#define PROGRAM
#else
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
#define PROGRAM          __attribute__((section("syscall"), used))
#define main(parameters) PROGRAM entry(void *context)
char _license[] __attribute__((section("license"), used)) = "GPL";
#define memset           __builtin_memset
#define memcpy           __builtin_memcpy
#define NULL             ((void *)0)
#define printf(...)      0
#define INT32_MIN        (-2147483647 - 1)
#endif

#define SAFE static inline __attribute__((always_inline, unused))

static uint64_t csmith_sum;

SAFE void transparent_crc(uint64_t value, const char *name, int flag) {
    (void)name;
    (void)flag;
    csmith_sum = (csmith_sum ^ value) * 0x100000001b3ull;
    csmith_sum ^= csmith_sum >> 29;
}

SAFE void platform_main_begin(void) {}

SAFE void crc32_gentab(void) {}

#define crc32_context 0u
#ifdef NATIVE
#define platform_main_end(crc, flag) printf("%u\n", (uint32_t)(csmith_sum ^ (csmith_sum >> 32)))
#else
#define platform_main_end(crc, flag) return (int)(csmith_sum ^ (csmith_sum >> 32))
#endif

SAFE uint64_t magnitude(int64_t a) {
    return a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
}

/* Quotient and remainder as C has them, rounding towards zero; of a zero divisor the dividend. */
SAFE uint64_t signed_div(int64_t a, int64_t b) {
    uint64_t quotient = magnitude(a) / magnitude(b);
    return (a < 0) != (b < 0) ? 0 - quotient : quotient;
}

SAFE uint64_t signed_mod(int64_t a, int64_t b) {
    uint64_t rest = magnitude(a) % magnitude(b);
    return a < 0 ? 0 - rest : rest;
}

/* T is the type, S its kind in the names of csmith, W the unsigned type to compute in. */
#define COMMON(T, S, W)                                                                            \
    SAFE T safe_unary_minus_func_##T##_##S(T a) {                                                  \
        return (T)(0 - (W)a);                                                                      \
    }                                                                                              \
    SAFE T safe_add_func_##T##_##S##_##S(T a, T b) {                                               \
        return (T)((W)a + (W)b);                                                                   \
    }                                                                                              \
    SAFE T safe_sub_func_##T##_##S##_##S(T a, T b) {                                               \
        return (T)((W)a - (W)b);                                                                   \
    }                                                                                              \
    SAFE T safe_mul_func_##T##_##S##_##S(T a, T b) {                                               \
        return (T)((W)a * (W)b);                                                                   \
    }                                                                                              \
    SAFE T safe_lshift_func_##T##_##S##_s(T a, int b) {                                            \
        return (T)((W)a << (b & (8 * sizeof(T) - 1)));                                             \
    }                                                                                              \
    SAFE T safe_lshift_func_##T##_##S##_u(T a, unsigned b) {                                       \
        return (T)((W)a << (b & (8 * sizeof(T) - 1)));                                             \
    }                                                                                              \
    SAFE T safe_rshift_func_##T##_##S##_s(T a, int b) {                                            \
        return (T)(a >> (b & (8 * sizeof(T) - 1)));                                                \
    }                                                                                              \
    SAFE T safe_rshift_func_##T##_##S##_u(T a, unsigned b) {                                       \
        return (T)(a >> (b & (8 * sizeof(T) - 1)));                                                \
    }

#define UNSIGNED(T, W)                                                                             \
    COMMON(T, u, W)                                                                                \
    SAFE T safe_div_func_##T##_u_u(T a, T b) {                                                     \
        return b == 0 ? a : (T)((W)a / (W)b);                                                      \
    }                                                                                              \
    SAFE T safe_mod_func_##T##_u_u(T a, T b) {                                                     \
        return b == 0 ? a : (T)((W)a % (W)b);                                                      \
    }

#define SIGNED(T, W)                                                                               \
    COMMON(T, s, W)                                                                                \
    SAFE T safe_div_func_##T##_s_s(T a, T b) {                                                     \
        return b == 0 ? a : (T)signed_div(a, b);                                                   \
    }                                                                                              \
    SAFE T safe_mod_func_##T##_s_s(T a, T b) {                                                     \
        return b == 0 ? a : (T)signed_mod(a, b);                                                   \
    }

UNSIGNED(uint8_t, uint32_t)
UNSIGNED(uint16_t, uint32_t)
UNSIGNED(uint32_t, uint32_t)
UNSIGNED(uint64_t, uint64_t)
SIGNED(int8_t, uint32_t)
SIGNED(int16_t, uint32_t)
SIGNED(int32_t, uint32_t)
SIGNED(int64_t, uint64_t)

#endif
