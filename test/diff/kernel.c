/* kernel.c - a program in the kernel: maps, load and runs by bare bpf(2), so that nothing but this
 * file stands between the program and the kernel. Everything that is opened is closed again. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "diff.h"

enum { LOG_ROOM = 1 << 20 };

static struct {
    int btf; /* functions for func_info */
    uint32_t cpus;
    char *log;
} shared = {-1, 0, NULL};

static int bpf(int command, union bpf_attr *attr) {
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

static uint64_t address(const void *at) {
    return (uint64_t)(uintptr_t)at;
}

/* ---- once ---- */

/* BTF that names functions: callbacks and global functions want func_info. Type 1 is long, 2 to 7
 * are prototypes with 0 to 5 such arguments, then static and global functions of each. */
static int load_btf(void) {
    uint32_t types[128], n = 0;
    static const char strings[] = "\0long\0a\0f";
    const uint32_t NAME_LONG = 1, NAME_ARG = 6, NAME_FUNC = 8;
    types[n++] = NAME_LONG, types[n++] = UINT32_C(1) << 24, types[n++] = 8,
    types[n++] = UINT32_C(1) << 24 | 64;
    for (uint32_t args = 0; args <= 5; args++) {
        types[n++] = 0, types[n++] = UINT32_C(13) << 24 | args, types[n++] = 1;
        for (uint32_t i = 0; i < args; i++)
            types[n++] = NAME_ARG, types[n++] = 1;
    }
    for (uint32_t linkage = 0; linkage < 2; linkage++)
        for (uint32_t args = 0; args <= 5; args++)
            types[n++] = NAME_FUNC, types[n++] = UINT32_C(12) << 24 | linkage,
            types[n++] = 2 + args;
    uint8_t blob[24 + sizeof types + sizeof strings];
    uint32_t size = n * 4;
    uint32_t head[6] = {0x1eb9f, 24, 0, size, size, sizeof strings};
    memcpy(blob, head, sizeof head);
    memcpy(blob + 24, types, size);
    memcpy(blob + 24 + size, strings, sizeof strings);
    union bpf_attr attr = {.btf = address(blob), .btf_size = 24 + size + (uint32_t)sizeof strings};
    return bpf(BPF_BTF_LOAD, &attr);
}

static uint32_t func_type(const func *f) {
    return 8 + (f->global ? 6u : 0u) + f->args;
}

static uint32_t possible_cpus(void) {
    FILE *file = fopen("/sys/devices/system/cpu/possible", "r");
    unsigned first = 0, last = 0;
    int got = file ? fscanf(file, "%u-%u", &first, &last) : 0;
    if (file)
        fclose(file);
    return got == 2 ? last + 1 : 1;
}

bool kernel_open(char *why, size_t size) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one); /* per-CPU maps: one CPU has all the values */
    shared.cpus = possible_cpus();
    shared.log = malloc(LOG_ROOM);
    shared.btf = load_btf();
    if (shared.btf < 0)
        snprintf(why, size, "the kernel takes no BPF from this process: BPF_BTF_LOAD: %s",
                 strerror(errno));
    else if (sched_setaffinity(0, sizeof one, &one))
        snprintf(why, size, "the process cannot be kept on CPU 0: %s", strerror(errno));
    else
        return true;
    kernel_close();
    return false;
}

void kernel_close(void) {
    if (shared.btf >= 0)
        close(shared.btf);
    shared.btf = -1;
    free(shared.log);
    shared.log = NULL;
}

uint32_t kernel_cpus(void) {
    return shared.cpus;
}

/* ---- one program ---- */

typedef struct session {
    const program *p;
    int maps[MOST_MAPS];   /* -1: not open */
    int progs[MOST_FUNCS]; /* by entry */
    bool quiet;            /* nobody asks why it was refused */
    outcome out;
} session;

static bool give_up(session *s, const char *what) {
    snprintf(s->out.why, sizeof s->out.why, "%s: %s", what, strerror(errno));
    return false;
}

static int update(int fd, const void *key, const void *value) {
    union bpf_attr attr = {.map_fd = (uint32_t)fd, .key = address(key), .value = address(value)};
    return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static bool fill_map(session *s, uint32_t i) {
    const map *from = &s->p->maps[i];
    for (uint32_t e = 0; e < from->entry_count; e++) {
        uint8_t *value = map_host_value(from, e, shared.cpus);
        if (map_holds_maps(from))
            memcpy(value, &s->maps[value[0]], sizeof(int));
        if (from->type == BPF_MAP_TYPE_PROG_ARRAY)
            memcpy(value, &s->progs[value[0]], sizeof(int));
        const uint8_t *key = from->key_size ? from->entries[e].key : NULL;
        int status = update(s->maps[i], key, value);
        free(value);
        if (status)
            return give_up(s, "BPF_MAP_UPDATE_ELEM");
    }
    return true;
}

static bool make_map(session *s, uint32_t i) {
    const map *from = &s->p->maps[i];
    union bpf_attr attr = {.map_type = from->type,
                           .key_size = from->key_size,
                           .value_size = from->value_size,
                           .max_entries = from->max_entries,
                           .inner_map_fd = from->inner ? (uint32_t)s->maps[from->inner - 1] : 0,
                           .map_flags = from->flags};
    s->maps[i] = bpf(BPF_MAP_CREATE, &attr);
    if (s->maps[i] < 0)
        return give_up(s, "BPF_MAP_CREATE");
    if (from->type != BPF_MAP_TYPE_PROG_ARRAY && !fill_map(s, i))
        return false;
    union bpf_attr freeze = {.map_fd = (uint32_t)s->maps[i]};
    if (from->use == USE_RODATA && bpf(BPF_MAP_FREEZE, &freeze))
        return give_up(s, "BPF_MAP_FREEZE");
    return true;
}

static void put_slot(uint8_t *to, const ebpf_insn *insn, uint32_t src, int32_t imm) {
    to[0] = insn->code;
    to[1] = (uint8_t)(src << 4 | insn->dst);
    memcpy(to + 2, &insn->off, 2);
    memcpy(to + 4, &imm, 4);
}

/* The instructions as the kernel takes them: 64-bit loads name maps by their descriptors. */
static uint8_t *encode(const session *s, const code *c) {
    uint8_t *out = calloc(c->slots + 1, EBPF_SLOT);
    for (uint32_t i = 0; i < c->count; i++) {
        const step *from = c->at[i].from;
        const ebpf_insn *insn = &c->at[i].insn;
        uint32_t src = insn->src;
        int32_t low = (int32_t)insn->imm, high = (int32_t)(insn->imm >> 32);
        if (from->ref == REF_CALL)
            src = BPF_PSEUDO_CALL;
        if (from->ref == REF_FUNC)
            src = BPF_PSEUDO_FUNC, high = 0;
        if (from->ref == REF_MAP)
            src = BPF_PSEUDO_MAP_FD, low = s->maps[from->target], high = 0;
        if (from->ref == REF_VALUE)
            src = BPF_PSEUDO_MAP_VALUE, high = low, low = s->maps[from->target];
        uint8_t *to = out + (size_t)c->at[i].slot * EBPF_SLOT;
        put_slot(to, insn, src, low);
        if (insn->slots == 2)
            put_slot(to + EBPF_SLOT, &(ebpf_insn){0}, 0, high);
    }
    return out;
}

/* What the verifier said at last, without its statistics and numbers of instructions. */
static void keep_reason(session *s, const char *log) {
    const char *last = log, *at = log;
    while (*at) {
        const char *end = strchr(at, '\n');
        if (strncmp(at, "processed ", 10) && strncmp(at, "verification time", 17) &&
            strncmp(at, "stack depth", 11) && end != at)
            last = at;
        if (!end)
            break;
        at = end + 1;
    }
    snprintf(s->out.why, sizeof s->out.why, "%.*s", (int)strcspn(last, "\n"), last);
    if (!s->out.why[0])
        snprintf(s->out.why, sizeof s->out.why, "BPF_PROG_LOAD: %s", strerror(errno));
}

static void wake_up(int signal) {
    (void)signal;
}

/* From now on the verifier has half a second of CPU time, or none to watch. Some programs keep it
 * busy for minutes; a signal makes it give up (EAGAIN). */
static void limit_time(bool on) {
    struct sigaction action = {.sa_handler = wake_up};
    struct itimerval time = {.it_value.tv_usec = on ? 500000 : 0};
    sigaction(SIGPROF, &action, NULL);
    setitimer(ITIMER_PROF, &time, NULL);
}

static bool load(session *s, uint32_t entry, bool log) {
    code c = code_of(s->p, entry);
    uint8_t *insns = encode(s, &c);
    struct {
        uint32_t offset, type;
    } infos[MOST_FUNCS];
    uint32_t count = 0;
    for (uint32_t f = 0; f < s->p->func_count; f++) {
        if (!c.reached[f])
            continue;
        infos[count].offset = c.func_slot[f];
        infos[count++].type = func_type(&s->p->funcs[f]);
    }
    const prog_type *type = &prog_types[s->p->kind];
    shared.log[0] = 0;
    union bpf_attr attr = {.prog_type = type->type,
                           .insns = address(insns),
                           .insn_cnt = c.slots,
                           .license = address("GPL"),
                           .prog_flags = type->sleepable ? BPF_F_SLEEPABLE : 0,
                           .prog_btf_fd = (uint32_t)shared.btf,
                           .func_info_rec_size = 8,
                           .func_info = address(infos),
                           .func_info_cnt = count,
                           .log_level = log,
                           .log_size = log ? LOG_ROOM : 0,
                           .log_buf = log ? address(shared.log) : 0};
    limit_time(true);
    s->progs[entry] = bpf(BPF_PROG_LOAD, &attr);
    bool late = s->progs[entry] < 0 && errno == EAGAIN;
    limit_time(false);
    if (late)
        snprintf(s->out.why, sizeof s->out.why, "the verifier took longer than half a second");
    else if (s->progs[entry] < 0 && log)
        keep_reason(s, shared.log);
    free(insns);
    code_free(&c);
    return s->progs[entry] >= 0;
}

/* The program and those of its tail calls, which then come into their arrays. */
static bool load_all(session *s) {
    code c = code_of(s->p, ALL_ENTRIES);
    bool well = true;
    for (uint32_t e = 0; well && e < s->p->entry_count; e++)
        well =
            !c.reached[e] || load(s, e, false) || (!s->quiet && !s->out.why[0] && load(s, e, true));
    for (uint32_t i = 0; well && i < s->p->map_count; i++)
        if (s->p->maps[i].type == BPF_MAP_TYPE_PROG_ARRAY && !s->p->maps[i].dead)
            well = fill_map(s, i);
    code_free(&c);
    return well;
}

static bool run(session *s, uint32_t i) {
    const input *in = &s->p->runs[i];
    input *after = &s->out.after[i];
    *after = *in;
    union bpf_attr attr = {.test = {.prog_fd = (uint32_t)s->progs[0]}};
    if (prog_types[s->p->kind].packet) {
        attr.test.data_in = address(in->bytes);
        attr.test.data_size_in = in->size;
        attr.test.data_out = address(after->bytes);
        attr.test.data_size_out = sizeof after->bytes;
    } else {
        attr.test.ctx_in = address(after->bytes);
        attr.test.ctx_size_in = in->size;
    }
    if (bpf(BPF_PROG_TEST_RUN, &attr))
        return give_up(s, "BPF_PROG_TEST_RUN");
    if (prog_types[s->p->kind].packet)
        after->size = attr.test.data_size_out;
    s->out.result[i] = attr.test.retval;
    s->out.runs++;
    return true;
}

static void drain_queue(session *s, uint32_t i) {
    uint32_t size = s->p->maps[i].value_size;
    uint8_t *value = malloc(size + 1);
    union bpf_attr attr = {.map_fd = (uint32_t)s->maps[i], .value = address(value)};
    for (uint32_t n = 0; bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &attr) == 0; n++)
        outcome_add_numbered(&s->out, i, n, value, size);
    free(value);
}

/* A ring buffer: a page with the consumer's position, one with the producer's, then the data,
 * mapped twice. Each record has 8 bytes before it: length and flags, page offset. */
static void drain_ring(session *s, uint32_t i) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = s->p->maps[i].max_entries;
    uint64_t *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, s->maps[i], 0);
    uint8_t *rest = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, s->maps[i], (off_t)page);
    if (consumer == MAP_FAILED || rest == MAP_FAILED) {
        s->out.ran = give_up(s, "mmap");
        return;
    }
    uint64_t produced;
    memcpy(&produced, rest, sizeof produced);
    for (uint32_t n = 0; *consumer < produced;) {
        const uint8_t *at = rest + page + (*consumer & (size - 1));
        uint32_t head;
        memcpy(&head, at, sizeof head);
        uint32_t length = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
        if (!(head & BPF_RINGBUF_DISCARD_BIT))
            outcome_add_numbered(&s->out, i, n++, at + BPF_RINGBUF_HDR_SZ, length);
        *consumer += (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
    }
    munmap(consumer, page);
    munmap(rest, page + 2 * size);
}

static void read_map(session *s, uint32_t i) {
    const map *from = &s->p->maps[i];
    if (map_is_queue(from) || from->type == BPF_MAP_TYPE_RINGBUF) {
        (map_is_queue(from) ? drain_queue : drain_ring)(s, i);
        return;
    }
    uint32_t fd = (uint32_t)s->maps[i], size = map_host_size(from, shared.cpus);
    uint8_t key[MOST_KEY] = {0}, next[MOST_KEY] = {0}, *value = malloc(size + 1);
    union bpf_attr walk = {.map_fd = fd, .next_key = address(next)};
    for (; bpf(BPF_MAP_GET_NEXT_KEY, &walk) == 0; walk.key = address(key)) {
        memcpy(key, next, sizeof key);
        union bpf_attr attr = {.map_fd = fd, .key = address(key), .value = address(value)};
        if (bpf(BPF_MAP_LOOKUP_ELEM, &attr) == 0)
            outcome_add(&s->out, i, key, from->key_size, value, size);
    }
    free(value);
}

/* Open maps and program, run, read back; what is open stays so. */
static void *open_and_run(void *at) {
    session *s = at;
    const program *p = s->p;
    bool well = true;
    for (uint32_t i = 0; well && i < p->map_count; i++)
        well = p->maps[i].dead || make_map(s, i);
    well = well && load_all(s);
    for (uint32_t i = 0; well && i < p->run_count; i++)
        well = run(s, i);
    s->out.ran = well;
    for (uint32_t i = 0; well && i < p->map_count; i++)
        if (!p->maps[i].dead && !map_holds_maps(&p->maps[i]) &&
            p->maps[i].type != BPF_MAP_TYPE_PROG_ARRAY)
            read_map(s, i);
    outcome_sort(&s->out);
    return NULL;
}

static session session_of(const program *p, bool quiet) {
    session s = {.p = p, .quiet = quiet};
    memset(s.maps, -1, sizeof s.maps);
    memset(s.progs, -1, sizeof s.progs);
    return s;
}

static void close_session(session *s) {
    for (uint32_t e = 0; e < s->p->entry_count; e++)
        if (s->progs[e] >= 0)
            close(s->progs[e]);
    for (uint32_t i = 0; i < s->p->map_count; i++)
        if (s->maps[i] >= 0)
            close(s->maps[i]);
}

outcome kernel_run(const program *p) {
    session s = session_of(p, false);
    open_and_run(&s);
    close_session(&s);
    return s.out;
}

outcome kernel_run_sure(const program *p) {
    session first = session_of(p, true), second = session_of(p, true);
    pthread_t thread; /* has a kernel stack of its own */
    char text[64];
    open_and_run(&first);
    if (first.out.ran && pthread_create(&thread, NULL, open_and_run, &second) == 0) {
        pthread_join(thread, NULL);
        first.out.ran =
            second.out.ran && outcome_equal(p, &first.out, &second.out, text, sizeof text);
        outcome_free(&second.out);
    }
    close_session(&first);
    close_session(&second);
    return first.out;
}
