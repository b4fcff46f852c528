/* Compiled by clang as a seed for the fuzzers of ELF files: maps, globals, calls, BTF. */
#define SEC(name) __attribute__((section(name), used))

struct {
    int (*type)[1];
    unsigned *key;
    unsigned long *value;
    int (*max_entries)[100];
} counts SEC(".maps");

static void *(*lookup)(void *, const void *) = (void *)1;

int scale = 3;
const volatile int offset = 5;
static int calls;

static __attribute__((noinline)) int scaled(int x) {
    calls++;
    return x * scale + offset;
}

SEC("raw_tp/sys_enter") int count(void *ctx) {
    unsigned key = 1;
    unsigned long *value = lookup(&counts, &key);
    if (value)
        *value += 1;
    return scaled((int)(long)ctx);
}

SEC("xdp") int pass(void *ctx) {
    return ctx ? 2 : 1;
}

char _license[] SEC("license") = "GPL";
