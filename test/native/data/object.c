/* What clang and gcc make of this is read, written and compared by obj_test.c: maps of each form,
 * data in every kind of section, calls between sections, static and global functions, a weak
 * extern. */
#define SEC(name)            __attribute__((section(name), used))
#define __uint(name, value)  int(*name)[value]
#define __type(name, value)  typeof(value) *name
#define __array(name, value) typeof(value) *name[]

typedef unsigned int u32;
typedef unsigned long long u64;

struct stat {
    u64 calls;
    char comm[16];
    unsigned flag : 3, rest : 29;
};

enum colour { RED, GREEN = 7 };

struct inner {
    __uint(type, 2);
    __uint(max_entries, 4);
    __type(key, u32);
    __type(value, u64);
};

struct {
    __uint(type, 1);
    __uint(max_entries, 1024);
    __uint(map_flags, 1);
    __type(key, u32);
    __type(value, struct stat);
} counts SEC(".maps");

struct {
    __uint(type, 27);
    __uint(max_entries, 4096);
} events SEC(".maps");

struct {
    __uint(type, 12);
    __uint(max_entries, 8);
    __uint(key_size, 4);
    __array(values, struct inner);
} outer SEC(".maps");

int global = 3;
long zeroed;
const volatile u32 setting = 5;
const volatile enum colour colour = GREEN;
static const char *const message = "a string literal";

#ifdef __clang__
static void *(*lookup)(void *, const void *) = (void *)1;
#else
void *lookup(void *, const void *) __attribute__((kernel_helper(1)));
#endif
extern int absent(void) __attribute__((weak));

static __attribute__((noinline)) int twice(int a) {
    return a * 2 + global;
}

__attribute__((noinline)) int shared(int a) {
    zeroed++;
    return twice(a);
}

SEC("xdp")
int on_packet(void *ctx) {
    u32 key = setting;
    struct stat *stat = lookup(&counts, &key);
    if (stat) {
        stat->calls += (u64)shared((int)key);
        stat->flag = colour;
    }
    lookup(&outer, &key);
    lookup(&events, &key);
    return global ? message[key & 7] : twice(2);
}

SEC("raw_tp/sys_enter")
int on_call(void *ctx) {
    return global;
}

SEC("raw_tp/sys_enter")
int on_call_too(void *ctx) {
    return shared(1);
}

char LICENSE[] SEC("license") = "GPL";
