/* Compiled by clang as a seed for the fuzzers of objects and of the VM: calls of all sorts, map
 * kinds, data with addresses in it. */
#define SEC(name) __attribute__((section(name), used))
#define MAP(kind, keys, values, entries)                                                           \
    int(*type)[kind];                                                                              \
    int(*key_size)[keys];                                                                          \
    int(*value_size)[values];                                                                      \
    int(*max_entries)[entries]

struct {
    MAP(3, 4, 4, 4);
} jumps SEC(".maps");
struct {
    MAP(2, 4, 8, 10);
} array SEC(".maps");
struct {
    int (*type)[27];
    int (*max_entries)[4096];
} events SEC(".maps");
struct inner {
    MAP(1, 4, 8, 3);
} inner SEC(".maps");
struct {
    MAP(12, 4, 4, 2);
    struct inner *values[];
} outer SEC(".maps") = {.values = {&inner, 0}};

static void *(*lookup)(void *, const void *) = (void *)1;
static long (*tail_call)(void *, void *, unsigned) = (void *)12;
static long (*print)(const char *, unsigned, ...) = (void *)6;
static void *(*reserve)(void *, unsigned long, unsigned long) = (void *)131;
static void (*submit)(void *, unsigned long) = (void *)132;
static long (*for_each)(void *, void *, void *, unsigned long) = (void *)164;
static long (*loop)(unsigned, void *, void *, unsigned long) = (void *)181;

static const char *const names[] = {"one", "two", "three"};
static unsigned long total;

static long add(unsigned index, unsigned long *sum) {
    *sum += index;
    return index > 20;
}

static long visit(void *map, unsigned *key, unsigned long *value, unsigned long *sum) {
    *sum += *value + *key;
    return 0;
}

__attribute__((noinline)) int fail(void *ctx) {
    static const char text[] = "no %d of %s\n";
    print(text, sizeof text, 1, names[(long)ctx & 1]);
    return -1;
}

SEC("xdp") int calls(void *ctx) {
    unsigned long sum = 0;
    unsigned key = 1;
    loop(10, add, &sum, 0);
    for_each(&array, visit, &sum, 0);
    void *map = lookup(&outer, &key);
    if (map && lookup(map, &key))
        sum++;
    unsigned long *event = reserve(&events, 16, 0);
    if (event) {
        *event = sum;
        submit(event, 0);
    }
    tail_call(ctx, &jumps, 2);
    __sync_fetch_and_add(&total, sum);
    return fail(ctx);
}
