/* helper_string.c - helpers and kernel functions for text: numbers read and written, comparing.
 * Source: kernel/bpf/helpers.c, lib/kstrtox.c. */
#include "vm.h"

#include <string.h>

enum { DIGITS_MOST = 63, ARGUMENTS_MOST = 12, TEXT_MOST = 4096, STRING_MOST = 65536 };

/* ---- numbers in text ---- */

typedef struct parsed {
    uint64_t value;
    bool negative;
    int64_t used; /* bytes, or -errno */
} parsed;

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0;
}

static unsigned digit_of(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* `at` with a digit's value, 99 behind the end. */
static unsigned digit_at(const uint8_t *text, uint32_t size, uint32_t at) {
    return at < size ? digit_of(text[at]) : 99;
}

static bool has_hex_prefix(const uint8_t *text, uint32_t size) {
    return size >= 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
}

static parsed parse(const uint8_t *text, uint32_t size, uint64_t flags) {
    parsed p = {.used = -EBPF_EINVAL};
    unsigned base = flags & 0x1f;
    if (!size || flags > 0x1f || (base && base != 8 && base != 10 && base != 16))
        return p;
    uint32_t at = 0, digits = 0;
    while (at < size && is_space(text[at]))
        at++;
    p.negative = at < size && text[at] == '-';
    at += p.negative;
    text += at;
    size = size - at < DIGITS_MOST ? size - at : DIGITS_MOST;
    uint32_t i = 0;
    if (!base && has_hex_prefix(text, size) && digit_at(text, size, 2) < 16)
        base = 16;
    else if (!base)
        base = size && text[0] == '0' ? 8 : 10;
    if (base == 16 && has_hex_prefix(text, size))
        i = 2;
    for (; digit_at(text, size, i) < base; i++, digits++) {
        uint64_t next = p.value * base + digit_of(text[i]);
        if (p.value > (UINT64_MAX - digit_of(text[i])) / base) {
            p.used = -EBPF_ERANGE;
            return p;
        }
        p.value = next;
    }
    if (digits)
        p.used = at + i;
    return p;
}

/* The text r1 of r2 bytes as a number to the 8 bytes at r4. */
static bool read_number(ebpf_vm *vm, uint64_t *r, bool is_signed) {
    uint32_t size = (uint32_t)r[2];
    const uint8_t *text = size ? eb_vm_reach(vm, r[1], size, false) : NULL;
    if (size && !text)
        return false;
    uint8_t *to = eb_vm_reach(vm, r[4], 8, true);
    if (!to)
        return false;
    eb_set64(to, vm->big, 0); /* which it stays when there is no number */
    parsed p = parse(text, size, r[3]);
    uint64_t most = (uint64_t)INT64_MAX + p.negative;
    if (p.used >= 0 && is_signed && p.value > most)
        p.used = -EBPF_ERANGE;
    else if (p.used >= 0 && !is_signed && p.negative)
        p.used = -EBPF_EINVAL;
    if (p.used >= 0)
        eb_set64(to, vm->big, p.negative ? 0 - p.value : p.value);
    r[0] = (uint64_t)p.used;
    return true;
}

bool eb_help_strtol(ebpf_vm *vm, uint64_t *r) {
    return read_number(vm, r, true);
}

bool eb_help_strtoul(ebpf_vm *vm, uint64_t *r) {
    return read_number(vm, r, false);
}

/* ---- text from values ---- */

/* Format r3 with the r5 bytes of words at r4 into the r2 bytes at r1. */
bool eb_help_snprintf(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2], bytes = (uint32_t)r[5];
    uint64_t args[ARGUMENTS_MOST] = {0};
    r[0] = eb_vm_failure(EBPF_EINVAL);
    if (bytes % 8 || bytes > sizeof args || (bytes && !r[4]))
        return true;
    uint8_t *to = size ? eb_vm_reach(vm, r[1], size, true) : NULL;
    const uint8_t *words = bytes ? eb_vm_reach(vm, r[4], bytes, false) : NULL;
    if ((size && !to) || (bytes && !words))
        return false;
    for (uint32_t i = 0; i < bytes / 8; i++)
        args[i] = eb_get64(words + i * 8, vm->big);
    eb_buf format = {.arena = &vm->ctx->arena}, out = {.arena = &vm->ctx->arena};
    for (uint32_t i = 0; i < TEXT_MOST; i++) {
        const uint8_t *c = eb_vm_reach(vm, r[3] + i, 1, false);
        if (!c)
            return false;
        if (!*c)
            break;
        eb_buf_byte(&format, *c);
    }
    int64_t length =
        eb_vm_format(vm, (eb_str){(const char *)format.at, format.len}, args, bytes / 8, &out);
    r[0] = (uint64_t)(length < 0 ? length : length + 1);
    if (length < 0 || !size)
        return true;
    size_t fits = out.len < size ? out.len : size - 1;
    if (fits)
        memcpy(to, out.at, fits);
    to[fits] = 0;
    return true;
}

/* ---- kernel functions: -EFAULT for what cannot be read, -E2BIG for what does not end ---- */

/* The byte at `address`, or -EFAULT. */
static int byte_at(ebpf_vm *vm, uint64_t address) {
    const uint8_t *at = eb_vm_reach(vm, address, 1, false);
    vm->fault = (ebpf_vm_fault){0};
    return at ? *at : -EBPF_EFAULT;
}

static bool answer(uint64_t *r, int64_t value) {
    r[0] = (uint64_t)value;
    return true;
}

bool eb_help_strcmp(ebpf_vm *vm, uint64_t *r) {
    for (uint32_t i = 0; i < STRING_MOST; i++) {
        int a = byte_at(vm, r[1] + i), b = byte_at(vm, r[2] + i);
        if (a < 0 || b < 0)
            return answer(r, -EBPF_EFAULT);
        if (a != b)
            return answer(r, a < b ? -1 : 1);
        if (!a)
            return answer(r, 0);
    }
    return answer(r, -EBPF_E2BIG);
}

static int64_t length(ebpf_vm *vm, uint64_t address, uint64_t most) {
    for (uint32_t i = 0; i < STRING_MOST; i++) {
        int c = i < most ? byte_at(vm, address + i) : 0;
        if (c <= 0)
            return c < 0 ? c : (int64_t)i;
    }
    return -EBPF_E2BIG;
}

bool eb_help_strlen(ebpf_vm *vm, uint64_t *r) {
    return answer(r, length(vm, r[1], UINT64_MAX));
}

bool eb_help_strnlen(ebpf_vm *vm, uint64_t *r) {
    return answer(r, length(vm, r[1], r[2]));
}

static bool find_char(ebpf_vm *vm, uint64_t *r, bool last) {
    int64_t found = -EBPF_ENOENT;
    for (uint32_t i = 0; i < STRING_MOST; i++) {
        int c = byte_at(vm, r[1] + i);
        if (c < 0)
            return answer(r, c);
        if (c == (uint8_t)r[2])
            found = i;
        if (!c || (found >= 0 && !last))
            return answer(r, found);
    }
    return answer(r, -EBPF_E2BIG);
}

bool eb_help_strchr(ebpf_vm *vm, uint64_t *r) {
    return find_char(vm, r, false);
}

bool eb_help_strrchr(ebpf_vm *vm, uint64_t *r) {
    return find_char(vm, r, true);
}

/* 1: the string at `b` begins at `a`; 0: not; -1: not, and it never will; or -errno. */
static int begins(ebpf_vm *vm, uint64_t a, uint64_t b) {
    for (uint32_t i = 0; i < STRING_MOST; i++) {
        int want = byte_at(vm, b + i), have = want > 0 ? byte_at(vm, a + i) : 0;
        if (want < 0 || have < 0)
            return -EBPF_EFAULT;
        if (!want)
            return 1;
        if (want != have)
            return have ? 0 : -1;
    }
    return -EBPF_E2BIG;
}

bool eb_help_strstr(ebpf_vm *vm, uint64_t *r) {
    for (uint32_t i = 0; i < STRING_MOST; i++) {
        int found = begins(vm, r[1] + i, r[2]);
        if (found)
            return answer(r, found > 0 ? (int64_t)i : found == -1 ? -EBPF_ENOENT : found);
    }
    return answer(r, -EBPF_E2BIG);
}
