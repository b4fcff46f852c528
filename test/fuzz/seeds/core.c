/* Compiled by clang as a seed for the fuzzers of CO-RE relocations: one of every kind. */
#define SEC(name) __attribute__((section(name), used))
#define CORE      __attribute__((preserve_access_index))

typedef int number;
enum state { IDLE, BUSY = 5 };
enum large { FAR = 0x100000000LL };

struct inner {
    int first;
    short list[5];
} CORE;

struct task {
    int pid;
    unsigned flags : 5;
    long long wide : 33;
    struct inner inner, many[3];
    union {
        char c;
        long l;
    };
    struct task *parent;
    enum state state;
} CORE;

struct task___old {
    long long pid;
    struct inner *inner;
} CORE;

SEC("raw_tp/core") long fields(struct task *task) {
    struct task___old *old = (void *)task;
    long sum = task->pid + task->inner.list[2] + task->many[1].first + task->l + task->parent->c;
    sum += old->pid + old->inner->first;
    sum += __builtin_preserve_field_info(task->flags, 0);
    sum += __builtin_preserve_field_info(task->flags, 1);
    sum += __builtin_preserve_field_info(task->flags, 2);
    sum += __builtin_preserve_field_info(task->wide, 3);
    sum += __builtin_preserve_field_info(task->wide, 4);
    sum += __builtin_preserve_field_info(task->wide, 5);
    task->pid = 3;
    return sum;
}

SEC("raw_tp/types") long types(void *ctx) {
    long sum = __builtin_preserve_type_info(*(struct task *)0, 0);
    sum += __builtin_preserve_type_info(*(struct task___old *)0, 1);
    sum += __builtin_preserve_type_info(*(number *)0, 0);
    sum += __builtin_btf_type_id(*(struct task *)0, 0);
    sum += __builtin_btf_type_id(*(struct inner *)0, 1);
    sum += __builtin_preserve_enum_value(*(enum state *)BUSY, 0);
    sum += __builtin_preserve_enum_value(*(enum state *)BUSY, 1);
    sum += (long)__builtin_preserve_enum_value(*(enum large *)FAR, 1);
    return sum;
}
