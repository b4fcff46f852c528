/* Compiled by clang as a seed for the fuzzers of objects, and read as it is by those of C: much of
 * the language in few lines. */
#define SEC(name)  __attribute__((section(name), used))
#define CAT(a, b)  a##b
#define TEXT(x...) #x
#define MAX(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) _a = (a);                                                                    \
        __typeof__(b) _b = (b);                                                                    \
        _a > _b ? _a : _b;                                                                         \
    })
typedef unsigned int u32;
typedef unsigned long long u64;
enum big { SMALL = -1, HUGE = 0x7fffffffff };
enum __attribute__((packed)) tiny { ONE = 1, TWO };
union value {
    u64 whole;
    struct {
        u32 low, high;
    };
};
struct record {
    const char *name;
    union value value;
    unsigned char flags : 3, : 0, rest : 5;
    enum tiny tiny;
    struct {
        int x, y;
    } points[4];
    u32 tail[];
} __attribute__((preserve_access_index));
_Static_assert(sizeof(union value) == 8, "size");
static const struct record start = {
    .name = TEXT(start), .value.low = 1, .points = {[1 ... 2] = {.x = 3}, {4, 5}}};
static volatile u64 counts[4] = {1, [3] = 2};
static int (*const handlers[])(int);
extern int CONFIG_HZ __attribute__((section(".kconfig"), weak));
static __attribute__((noinline)) int twice(int x) {
    return x * 2;
}
static int (*const handlers[])(int) = {twice, 0};
char CAT(_lic, ense)[] SEC("license") = "GP"
                                        "L";
static inline __attribute__((always_inline)) u64 choose(const struct record *r, u64 key) {
    switch (key) {
    case 0 ... 9:
        return __builtin_preserve_access_index(r->value.low);
    case 10:
        key++;
        __attribute__((fallthrough));
    default:
        return _Generic(key, u64 : key, default : 0u);
    }
}
SEC("tc") int program(void *ctx) {
    __label__ out;
    struct record local = {.value = {.whole = 7}}, *r = &local;
    u64 sum = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        sum += choose(r, (u64)i) + counts[i];
        if (sum > 100)
            goto out;
        else if (!sum)
            continue;
    }
    do
        sum = MAX(sum, (u64)CONFIG_HZ) ?: 1;
    while (sum-- > 10);
    asm volatile("%[a] += 1" : [a] "+r"(sum) : : "memory");
    __sync_fetch_and_add(&counts[1], 1);
    __builtin_memcpy(&local.points, &(struct record){.name = ""}.points, sizeof local.points);
out:
    return (int)(sum & 0xff) + handlers[0](start.points[1].x) + twice(sizeof(struct record)) +
           (int)__builtin_offsetof(struct record, points[1].y);
}
