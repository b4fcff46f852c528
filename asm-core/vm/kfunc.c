/* kfunc.c - kernel functions: their names, and those that are nobody else's.
 * A call names one by an undefined symbol; load.c gives it the number that follows the helpers'.
 * Source: kernel/bpf/bpf_iter.c, kernel/bpf/helpers.c. */
#include "vm.h"

#include <string.h>

static const char *const names[] = {
#define KFUNC(name, vm) #name,
#include "kfunc.def"
};

uint32_t eb_kfunc_find(eb_str name) {
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (eb_str_is(name, names[i]))
            return EB_HELPERS + i;
    return 0;
}

const char *ebpf_vm_helper_name(const ebpf_vm *vm, uint32_t id) {
    if (id < EB_HELPERS)
        return ebpf_helper_name(id);
    if (id < EB_KFUNCS_END)
        return names[id - EB_HELPERS];
    return id < vm->helper_count ? vm->foreign.at[id - EB_KFUNCS_END].at : NULL;
}

/* The argument itself: a reference that is counted elsewhere, a cast. */
bool eb_help_identity(ebpf_vm *vm, uint64_t *r) {
    (void)vm;
    r[0] = r[1];
    return true;
}

bool eb_help_map_count(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], UINT64_MAX);
    r[0] = map ? map->count : 0;
    return map;
}

/* ---- numbers from r2 up to r3: two words, the current and the end ---- */

enum { LOOPS_MOST = 8 << 20, ITER_SIZE = 8 };

bool eb_help_iter_num_new(ebpf_vm *vm, uint64_t *r) {
    uint8_t *at = eb_vm_reach(vm, r[1], ITER_SIZE, true);
    if (!at)
        return false;
    int64_t start = (int32_t)(uint32_t)r[2], end = (int32_t)(uint32_t)r[3];
    int error = start > end ? EBPF_EINVAL : end - start > LOOPS_MOST ? EBPF_E2BIG : 0;
    eb_set32(at, vm->big, error ? 0 : (uint32_t)start - 1);
    eb_set32(at + 4, vm->big, error ? 0 : (uint32_t)end);
    r[0] = eb_vm_failure(error);
    return true;
}

bool eb_help_iter_num_next(ebpf_vm *vm, uint64_t *r) {
    uint8_t *at = eb_vm_reach(vm, r[1], ITER_SIZE, true);
    if (!at)
        return false;
    uint32_t next = eb_get32(at, vm->big) + 1, end = eb_get32(at + 4, vm->big);
    bool more = (int32_t)next < (int32_t)end;
    eb_set32(at, vm->big, more ? next : 0);
    eb_set32(at + 4, vm->big, more ? end : 0);
    r[0] = more ? r[1] : 0;
    return true;
}

bool eb_help_iter_num_destroy(ebpf_vm *vm, uint64_t *r) {
    uint8_t *at = eb_vm_reach(vm, r[1], ITER_SIZE, true);
    if (at)
        eb_set64(at, vm->big, 0);
    return at;
}

/* ---- the bits that are set in r3 words at r2: where they are, how many, the bit at hand ----
 * One word is copied; of more the iterator keeps the address. */

enum { WORDS_MOST = 511, BITS_SIZE = 16 };

bool eb_help_iter_bits_new(ebpf_vm *vm, uint64_t *r) {
    uint8_t *at = eb_vm_reach(vm, r[1], BITS_SIZE, true);
    uint32_t words = (uint32_t)r[3];
    if (!at)
        return false;
    int error = !r[2] || !words ? EBPF_EINVAL : words > WORDS_MOST ? EBPF_E2BIG : 0;
    const uint8_t *from = error ? NULL : eb_vm_reach(vm, r[2], words * 8, false);
    if (!error && !from) {
        vm->fault = (ebpf_vm_fault){0};
        error = EBPF_EFAULT;
    }
    eb_set64(at, vm->big, error ? 0 : words == 1 ? eb_get64(from, vm->big) : r[2]);
    eb_set32(at + 8, vm->big, error ? 0 : words * 64);
    eb_set32(at + 12, vm->big, UINT32_MAX);
    r[0] = eb_vm_failure(error);
    return true;
}

bool eb_help_iter_bits_next(ebpf_vm *vm, uint64_t *r) {
    uint8_t *at = eb_vm_reach(vm, r[1], BITS_SIZE, true);
    if (!at)
        return false;
    uint64_t bits = eb_get64(at, vm->big);
    uint32_t count = eb_get32(at + 8, vm->big), bit = eb_get32(at + 12, vm->big) + 1;
    const uint8_t *words = at;
    if (count > WORDS_MOST * 64)
        count = 0; /* forged */
    if (count > 64 && !(words = eb_vm_reach(vm, bits, count / 8, false)))
        return false;
    while (bit < count && !(eb_get64(words + bit / 64 * 8, vm->big) >> bit % 64 & 1))
        bit++;
    r[0] = bit < count ? r[1] + 12 : 0;
    if (count)
        eb_set32(at + 12, vm->big, bit < count ? bit : count - 1);
    return true;
}

bool eb_help_iter_bits_destroy(ebpf_vm *vm, uint64_t *r) {
    uint8_t *at = eb_vm_reach(vm, r[1], BITS_SIZE, true);
    if (at)
        memset(at, 0, BITS_SIZE);
    return at;
}
