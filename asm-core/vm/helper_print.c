/* helper_print.c - helpers that write text.
 * Source: kernel/trace/bpf_trace.c. */
#include "vm.h"

#include <string.h>

enum { PRINTK_MOST = 1 << 20, FORMAT_MOST = 4096 };

/* Keep the newest lines when there are too many. */
static void trim(eb_buf *out) {
    if (out->len <= PRINTK_MOST)
        return;
    size_t drop = out->len - PRINTK_MOST / 2;
    const uint8_t *line = memchr(out->at + drop, '\n', out->len - drop);
    if (line)
        drop = (size_t)(line - out->at) + 1;
    memmove(out->at, out->at + drop, out->len - drop);
    out->len -= drop;
}

static bool print(ebpf_vm *vm, uint64_t *r, const uint64_t *args, uint32_t count) {
    uint32_t size = (uint32_t)r[2];
    r[0] = eb_vm_failure(EBPF_EINVAL);
    if (size == 0 || size > FORMAT_MOST)
        return true;
    const uint8_t *format = eb_vm_reach(vm, r[1], size, false);
    if (!format)
        return false;
    const uint8_t *end = memchr(format, 0, size);
    if (!end)
        return true;
    size_t before = vm->printk.len;
    int64_t written = eb_vm_format(vm, (eb_str){(const char *)format, (size_t)(end - format)}, args,
                                   count, &vm->printk);
    r[0] = (uint64_t)written;
    if (written < 0)
        vm->printk.len = before;
    else if (written == 0 || vm->printk.at[vm->printk.len - 1] != '\n')
        eb_buf_byte(&vm->printk, '\n');
    trim(&vm->printk);
    return true;
}

bool eb_help_trace_printk(ebpf_vm *vm, uint64_t *r) {
    uint64_t args[] = {r[3], r[4], r[5]};
    return print(vm, r, args, 3);
}

/* The arguments are 64-bit words in memory: r4 bytes at r3. */
bool eb_help_trace_vprintk(ebpf_vm *vm, uint64_t *r) {
    enum { MOST = 12 };
    uint64_t args[MOST] = {0};
    uint32_t size = (uint32_t)r[4];
    if (size % 8 || size > MOST * 8) {
        r[0] = eb_vm_failure(EBPF_EINVAL);
        return true;
    }
    const uint8_t *at = size ? eb_vm_reach(vm, r[3], size, false) : NULL;
    if (size && !at)
        return false;
    for (uint32_t i = 0; i < size / 8; i++)
        args[i] = eb_get64(at + i * 8, vm->big);
    return print(vm, r, args, size / 8);
}
