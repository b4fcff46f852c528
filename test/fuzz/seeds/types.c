/* Compiled by clang as a seed for the fuzzers of BTF: every kind of type that C makes. */
#define SEC(name) __attribute__((section(name), used))
#define TAG(name) __attribute__((btf_decl_tag(name)))

typedef unsigned int number;
typedef number numbers[3][2];
typedef int (*callback)(const char *text, ...);
typedef _Bool truth;

enum colour { RED, GREEN = 7, BLUE = -1 };
enum wide { SMALL = 1, LARGE = 0x123456789abcLL, LARGEST = -0x7fffffffffffffffLL };

struct forward;
union other;

struct TAG("tagged") record {
    number a : 3;
    signed b : 20;
    unsigned long long c : 40;
    enum colour colour;
    enum wide wide;
    union {
        float real;
        struct {
            char low, high;
        };
        double more;
    };
    numbers table;
    callback call;
    const volatile struct forward *restrict_me;
    union other *other;
    struct record *next;
    truth yes;
    __int128 huge;
    void *any TAG("a member");
    char text[];
} __attribute__((packed));

struct record___flavour {
    long c;
    struct {
        int inner;
    } named[4];
};

struct aligned {
    char first;
    long second __attribute__((aligned(32)));
} __attribute__((aligned(64)));

extern int outside SEC(".ksyms");
extern void kernel_function(struct record *record) SEC(".ksyms");

static struct record___flavour flavour;
struct aligned aligned;
struct record *volatile list;
const enum wide widest = LARGEST;

int __attribute__((noinline)) TAG("a function")
    use(struct record *restrict r, int TAG("a parameter") n) {
    return r ? r->b + n + (int)flavour.c : (int)aligned.second;
}

SEC("tc") int types(struct record *r) {
    kernel_function(r);
    list = r;
    return use(r, outside) + (int)widest;
}
