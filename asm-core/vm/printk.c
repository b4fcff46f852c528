/* printk.c - the messages of trace_printk, formatted as the kernel formats them.
 * Strings are read from the program's memory. Source: kernel/trace/bpf_trace.c and
 * bpf_bprintf_prepare in kernel/bpf/helpers.c. */
#include "vm.h"

#include <string.h>

enum { STRING_MOST = 512, WIDTH_MOST = 128 };

typedef struct spec {
    bool left, zero, prefix, plus, space;
    unsigned width;
    unsigned bits;
    char kind;
} spec;

/* The conversion behind a '%'; the characters read, or 0 when it is none of the kernel's. */
static size_t parse_spec(eb_str text, spec *out) {
    size_t i = 0;
    *out = (spec){.bits = 32};
    for (; i < text.len && memchr("-0+ ", text.at[i], 4); i++) {
        out->left |= text.at[i] == '-';
        out->zero |= text.at[i] == '0';
        out->plus |= text.at[i] == '+';
        out->space |= text.at[i] == ' ';
    }
    for (; i < text.len && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        if ((out->width = out->width * 10 + (unsigned)(text.at[i] - '0')) > WIDTH_MOST)
            return 0;
    for (; i < text.len && text.at[i] == 'l'; i++)
        out->bits = 64;
    if (i == text.len || !memchr("diuxXpsc", text.at[i], 8))
        return 0;
    out->kind = text.at[i++];
    if (out->kind == 'p' && i + 1 < text.len && (text.at[i] == 'k' || text.at[i] == 'u') &&
        text.at[i + 1] == 's') { /* %pks, %pus: strings in kernel and user memory */
        out->kind = 's';
        i += 2;
    } else if (out->kind == 'p' && i + 1 < text.len && (text.at[i] == 'i' || text.at[i] == 'I') &&
               (text.at[i + 1] == '4' || text.at[i + 1] == '6')) { /* addresses of the Internet */
        out->zero = text.at[i] == 'i';
        out->kind = text.at[i + 1];
        i += 2;
    } else if (out->kind == 'p' && i < text.len && memchr("xKsSB", text.at[i], 5)) {
        out->prefix = text.at[i] != 'x' && text.at[i] != 'K'; /* symbols: there are none */
        i++;
    }
    return i;
}

static void pad(eb_buf *out, char with, size_t count) {
    memset(eb_buf_room(out, count), with, count);
}

/* `digits` behind a prefix (sign, 0x), padded to the width. */
static void put_padded(eb_buf *out, const spec *s, eb_str prefix, eb_str digits) {
    size_t size = prefix.len + digits.len, fill = s->width > size ? s->width - size : 0;
    bool zero = s->zero && !s->left;
    if (fill && !s->left && !zero)
        pad(out, ' ', fill);
    eb_buf_str(out, prefix);
    if (fill && zero)
        pad(out, '0', fill);
    eb_buf_str(out, digits);
    if (fill && s->left)
        pad(out, ' ', fill);
}

static void put_number(eb_buf *out, const spec *s, uint64_t value) {
    char digits[24];
    size_t at = sizeof digits;
    bool hex = s->kind == 'x' || s->kind == 'X' || s->kind == 'p';
    const char *prefix = s->prefix ? "0x" : "";
    if (s->kind == 'd' || s->kind == 'i') {
        int64_t number = s->bits == 32 ? (int32_t)(uint32_t)value : (int64_t)value;
        prefix = number < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";
        value = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    } else if (s->bits == 32 && s->kind != 'p') {
        value = (uint32_t)value;
    }
    unsigned base = hex ? 16 : 10;
    do {
        digits[--at] = (s->kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
        value /= base;
    } while (value);
    put_padded(out, s, eb_str_from(prefix), (eb_str){digits + at, sizeof digits - at});
}

/* A string of the program, or the kernel's word for one that cannot be read. */
static void put_string(ebpf_vm *vm, eb_buf *out, const spec *s, uint64_t address) {
    char text[STRING_MOST];
    size_t len = 0;
    while (len < sizeof text) {
        const uint8_t *at = eb_vm_reach(vm, address + len, 1, false);
        if (!at || !*at)
            break;
        text[len++] = (char)*at;
    }
    bool unreadable = len == 0 && !eb_vm_reach(vm, address, 1, false);
    vm->fault = (ebpf_vm_fault){0};
    eb_str value = unreadable ? EB_STR("(fault)") : (eb_str){text, len};
    spec plain = *s;
    plain.zero = false;
    put_padded(out, &plain, (eb_str){0}, value);
}

/* %pI4, %pi4 (with zeroes), %pI6, %pi6 (without colons): the address is in memory. */
static void put_internet(ebpf_vm *vm, eb_buf *out, const spec *s, uint64_t address) {
    const uint8_t *at = eb_vm_reach(vm, address, s->kind == '4' ? 4 : 16, false);
    vm->fault = (ebpf_vm_fault){0};
    if (!at)
        eb_buf_str(out, EB_STR("(fault)"));
    for (unsigned i = 0; at && s->kind == '4' && i < 4; i++)
        eb_buf_fmt(out, s->zero ? "%s%03u" : "%s%u", i ? "." : "", at[i]);
    for (unsigned i = 0; at && s->kind == '6' && i < 16; i += 2)
        eb_buf_fmt(out, "%s%02x%02x", i && !s->zero ? ":" : "", at[i], at[i + 1]);
}

static void put_value(ebpf_vm *vm, eb_buf *out, spec *s, uint64_t value) {
    char c = (char)value;
    if (s->kind == '4' || s->kind == '6') {
        put_internet(vm, out, s, value);
    } else if (s->kind == 's') {
        put_string(vm, out, s, value);
    } else if (s->kind == 'c') {
        s->zero = false;
        put_padded(out, s, (eb_str){0}, (eb_str){&c, 1});
    } else {
        if (s->kind == 'p' && !s->prefix) {
            s->zero = true;
            s->width = s->width ? s->width : 16;
        }
        put_number(out, s, value);
    }
}

int64_t eb_vm_format(ebpf_vm *vm, eb_str format, const uint64_t *args, uint32_t count,
                     eb_buf *out) {
    size_t first = out->len;
    uint32_t used = 0;
    for (size_t i = 0; i < format.len; i++) {
        unsigned char c = (unsigned char)format.at[i];
        if (c != '%') {
            if (c >= 0x80 || (c < 0x20 && !memchr("\t\n\r", c, 3)))
                return -EBPF_EINVAL;
            eb_buf_byte(out, c);
            continue;
        }
        if (i + 1 < format.len && format.at[i + 1] == '%') {
            eb_buf_byte(out, '%');
            i++;
            continue;
        }
        spec s;
        size_t size = parse_spec((eb_str){format.at + i + 1, format.len - i - 1}, &s);
        if (!size || used == count)
            return -EBPF_EINVAL;
        put_value(vm, out, &s, args[used++]);
        i += size;
    }
    return (int64_t)(out->len - first);
}
