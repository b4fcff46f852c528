/* load.c - what the running kernel says to every program of BPF objects, for scripts/corpus.mjs.
 *
 *   load [--run] [--log] [--refusals] [--program NAME] OBJECT...
 *   load --asked OBJECT...
 *
 * Each program is asked for on its own, in a process of its own: a program that another refuses
 * does not take part, and a crash is the answer of one program. libbpf does all that it does for a
 * user, and its bpf_prog_load is wrapped by the linker (-Wl,--wrap): the wanted program goes to the
 * kernel with a log, others that libbpf insists on get a descriptor of /dev/null instead. What user
 * space sets before loading is set here: sizes that the object leaves open, inner maps, program
 * types that no section names, flags that the selftests' annotations ask for. With --run a program
 * that was accepted is run too, next to those that its program arrays hold. --log is everything
 * that the verifier does; --refusals is what a user sees: the log at level 1, where a program is
 * refused.
 *
 * Prints a line of JSON per program: { object, program, section, type, verdict: accepted, rejected,
 * environment (the kernel was not asked, or refused by policy) or crash, errno, reason, slots,
 * stats (the verifier's last line), expect and retval of annotations, log, runs, maps }; one with
 * `open` where libbpf does not open the object. Linked with libbpf.a 1.5.0.
 *
 * --asked loads each object once with all of its programs, those that are refused left out, and
 * prints a line: { object, asked: what was said to the kernel, programs: what it made of them,
 * result }. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG_ROOM = 1 << 24, TIME_MOST = 120, STACK_DEPTH = 127 };
/* Of <linux/bpf.h>, where it is older than what the kernel knows. */
enum { MAP_TYPE_CGRP_STORAGE = 32, F_TEST_REG_INVARIANTS = 1 << 7 };

static struct btf *kernel_btf; /* parsed once, not once per program */
static struct bpf_object *object;
static struct bpf_program *wanted;
static char *verifier_log;
static char last_warning[512];
static bool running, whole_log, refusals, asking;

/* What the kernel said to the wanted program. */
static struct {
    bool asked;
    int result; /* a descriptor, or -errno */
    size_t slots;
} answer;

struct btf *__wrap_btf__load_vmlinux_btf(void);
struct btf *__real_btf__load_vmlinux_btf(void);
void __wrap_btf__free(struct btf *btf);
void __real_btf__free(struct btf *btf);
int __real_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags);
int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags);
int __real_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
                         const struct bpf_insn *insns, size_t count,
                         struct bpf_prog_load_opts *opts);
int __wrap_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
                         const struct bpf_insn *insns, size_t count,
                         struct bpf_prog_load_opts *opts);

struct btf *__wrap_btf__load_vmlinux_btf(void) {
    if (!kernel_btf)
        kernel_btf = __real_btf__load_vmlinux_btf();
    return kernel_btf;
}

void __wrap_btf__free(struct btf *btf) {
    if (btf != kernel_btf)
        __real_btf__free(btf);
}

/* A slot of a program array whose program did not load stays empty. */
int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags) {
    struct bpf_map_info info = {0};
    __u32 size = sizeof info;
    int err = __real_bpf_map_update_elem(fd, key, value, flags);
    if (err && !bpf_map_get_info_by_fd(fd, &info, &size) && info.type == BPF_MAP_TYPE_PROG_ARRAY)
        return 0;
    return err;
}

static const char *last_line(const char *log, bool figures, size_t *size);

static struct bpf_program *program_of(const struct bpf_insn *insns) {
    struct bpf_program *program;
    bpf_object__for_each_program(program, object) {
        if (bpf_program__insns(program) == insns)
            return program;
    }
    return NULL; /* libbpf tries what the kernel can do */
}

/* --asked: tells the verdict, and keeps the object's other programs going. */
static int load_any(struct bpf_program *program, enum bpf_prog_type type, const char *name,
                    const char *license, const struct bpf_insn *insns, size_t count,
                    struct bpf_prog_load_opts *opts) {
    size_t size;
    const char *text;
    *verifier_log = 0;
    int fd = __real_bpf_prog_load(type, name, license, insns, count, opts);
    tell_open(NULL, '{');
    text = bpf_program__name(program);
    tell_text("program", text, strlen(text));
    tell_number("errno", fd < 0 ? errno : 0);
    text = last_line(verifier_log, true, &size);
    tell_text("stats", text, size);
    text = strstr(verifier_log, "verification time");
    if (text)
        verifier_log[text - verifier_log] = 0; /* a reason may end without a new line */
    text = last_line(verifier_log, false, &size);
    tell_text("reason", text, fd < 0 ? size : 0);
    telling_calls = false;
    if (fd >= 0)
        tell_loaded(fd);
    telling_calls = true;
    tell_close('}');
    return fd < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : fd;
}

int __wrap_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
                         const struct bpf_insn *insns, size_t count,
                         struct bpf_prog_load_opts *opts) {
    struct bpf_program *program = program_of(insns);
    int fd = -1;
    if (program && asking)
        return load_any(program, type, name, license, insns, count, opts);
    if (program == wanted && program) {
        answer.asked = true;
        answer.slots = count;
        answer.result = __real_bpf_prog_load(type, name, license, insns, count, opts);
        return answer.result;
    }
    if (!program || running)
        fd = __real_bpf_prog_load(type, name, license, insns, count, opts);
    return program && fd < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : fd;
}

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args) {
    char text[512];
    if (level != LIBBPF_WARN || strstr(format, "BEGIN PROG LOAD LOG"))
        return 0;
    vsnprintf(text, sizeof text, format, args);
    if (!strstr(text, "failed to load object") && !strstr(text, "failed to load BPF skeleton"))
        memcpy(last_warning, text, sizeof text);
    return 0;
}

/* ---- what user space sets ---- */

/* The names of contexts that a program's first argument may have. */
static const struct {
    const char *name;
    enum bpf_prog_type type;
    enum bpf_attach_type attach;
} contexts[] = {
    {"__sk_buff", BPF_PROG_TYPE_SCHED_CLS, 0},
    {"xdp_md", BPF_PROG_TYPE_XDP, BPF_XDP},
    {"bpf_sock", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND},
    {"bpf_sock_addr", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND},
    {"bpf_sock_ops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS},
    {"sk_msg_md", BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT},
    {"bpf_cgroup_dev_ctx", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE},
    {"bpf_sysctl", BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL},
    {"bpf_sockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT},
    {"sk_reuseport_md", BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE},
    {"bpf_sk_lookup", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP},
    {"bpf_perf_event_data", BPF_PROG_TYPE_PERF_EVENT, 0},
    {"pt_regs", BPF_PROG_TYPE_KPROBE, 0},
    {"bpf_raw_tracepoint_args", BPF_PROG_TYPE_RAW_TRACEPOINT, 0},
};

static const struct btf_type *skip_modifiers(const struct btf *btf, __u32 id) {
    const struct btf_type *type = btf__type_by_id(btf, id);
    while (type && (btf_is_mod(type) || btf_is_typedef(type)))
        type = btf__type_by_id(btf, type->type);
    return type;
}

/* The name of the record that the program's first argument points to, or NULL. */
static const char *context_of(const struct btf *btf, const char *program) {
    int id = btf ? btf__find_by_name_kind(btf, program, BTF_KIND_FUNC) : -1;
    const struct btf_type *proto =
        id > 0 ? btf__type_by_id(btf, btf__type_by_id(btf, (__u32)id)->type) : NULL;
    if (!proto || btf_vlen(proto) < 1)
        return NULL;
    const struct btf_type *type = skip_modifiers(btf, btf_params(proto)[0].type);
    if (!type || !btf_is_ptr(type))
        return NULL;
    type = skip_modifiers(btf, type->type);
    return type ? btf__name_by_offset(btf, type->name_off) : NULL;
}

/* A type for what has none that could be loaded by itself: unknown sections and freplace. */
static void guess_type(struct bpf_program *program) {
    enum bpf_prog_type type = bpf_program__type(program);
    const char *name;
    if (type != BPF_PROG_TYPE_UNSPEC && type != BPF_PROG_TYPE_EXT)
        return;
    name = context_of(bpf_object__btf(object), bpf_program__name(program));
    for (size_t n = 0; name && n < sizeof contexts / sizeof *contexts; n++) {
        if (strcmp(name, contexts[n].name) == 0) {
            bpf_program__set_type(program, contexts[n].type);
            bpf_program__set_expected_attach_type(program, contexts[n].attach);
            return;
        }
    }
    if (type == BPF_PROG_TYPE_UNSPEC)
        bpf_program__set_type(program, BPF_PROG_TYPE_SOCKET_FILTER);
}

static bool is_storage(enum bpf_map_type type) {
    return type == BPF_MAP_TYPE_SK_STORAGE || type == BPF_MAP_TYPE_TASK_STORAGE ||
           type == BPF_MAP_TYPE_INODE_STORAGE || (int)type == MAP_TYPE_CGRP_STORAGE ||
           type == BPF_MAP_TYPE_CGROUP_STORAGE || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE ||
           type == BPF_MAP_TYPE_STRUCT_OPS;
}

static void complete_map(struct bpf_map *map) {
    enum bpf_map_type type = bpf_map__type(map);
    bpf_map__set_pin_path(map, NULL);
    if (bpf_map__max_entries(map) == 0 && !is_storage(type))
        bpf_map__set_max_entries(map, 1);
    if (type == BPF_MAP_TYPE_STACK_TRACE && bpf_map__value_size(map) == 0) {
        bpf_map__set_key_size(map, 4);
        bpf_map__set_value_size(map, 8 * STACK_DEPTH);
    }
    if ((type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS) &&
        !bpf_map__inner_map(map))
        bpf_map__set_inner_map_fd(map, bpf_map_create(BPF_MAP_TYPE_ARRAY, "inner", 4, 4, 1, NULL));
}

/* ---- annotations of the selftests: declaration tags of a function ---- */

static const char *tag_of(struct bpf_program *program, const char *prefix, const char **expect,
                          __u32 *flags) {
    static const struct {
        const char *name;
        __u32 flag;
    } known[] = {
        {"BPF_F_STRICT_ALIGNMENT", BPF_F_STRICT_ALIGNMENT},
        {"BPF_F_ANY_ALIGNMENT", BPF_F_ANY_ALIGNMENT},
        {"BPF_F_TEST_RND_HI32", BPF_F_TEST_RND_HI32},
        {"BPF_F_TEST_STATE_FREQ", BPF_F_TEST_STATE_FREQ},
        {"BPF_F_SLEEPABLE", BPF_F_SLEEPABLE},
        {"BPF_F_XDP_HAS_FRAGS", BPF_F_XDP_HAS_FRAGS},
        {"BPF_F_TEST_REG_INVARIANTS", F_TEST_REG_INVARIANTS},
    };
    const struct btf *btf = bpf_object__btf(object);
    const char *found = NULL;
    int func = btf ? btf__find_by_name_kind(btf, bpf_program__name(program), BTF_KIND_FUNC) : -1;
    for (__u32 id = 1; func > 0 && id < btf__type_cnt(btf); id++) {
        const struct btf_type *type = btf__type_by_id(btf, id);
        const char *text;
        if (!btf_is_decl_tag(type) || type->type != (__u32)func ||
            btf_decl_tag(type)->component_idx != -1)
            continue;
        text = btf__name_by_offset(btf, type->name_off);
        if (strcmp(text, "comment:test_expect_success") == 0)
            *expect = "success";
        else if (strcmp(text, "comment:test_expect_failure") == 0)
            *expect = "failure";
        else if (strncmp(text, prefix, strlen(prefix)) == 0)
            found = text + strlen(prefix);
        else if (strncmp(text, "comment:test_prog_flags=", 24) == 0) {
            for (size_t n = 0; n < sizeof known / sizeof *known; n++)
                if (strcmp(text + 24, known[n].name) == 0)
                    *flags |= known[n].flag;
            *flags |= (__u32)strtoul(text + 24, NULL, 0);
        }
    }
    return found;
}

/* ---- one program ---- */

/* The last line of the log that says what is wrong, or the verifier's figures. */
static const char *last_line(const char *log, bool figures, size_t *size) {
    static const char *const others[] = {"verification time", "stack depth",
                                         "cur state:", "old state:"};
    const char *end = log + strlen(log), *best = "";
    *size = 0;
    while (end > log) {
        const char *start = end - 1;
        while (start > log && start[-1] != '\n')
            start--;
        bool is_figures = strncmp(start, "processed ", 10) == 0;
        bool is_other = *start == '\n';
        for (size_t n = 0; n < sizeof others / sizeof *others; n++)
            is_other |= strncmp(start, others[n], strlen(others[n])) == 0;
        if (is_figures == figures && !is_other) {
            best = start;
            *size = strcspn(start, "\n");
            break;
        }
        end = start;
    }
    return best;
}

static const char *verdict(void) {
    if (answer.asked && answer.result >= 0)
        return "accepted";
    if (!answer.asked || (answer.result == -EPERM && !*verifier_log))
        return "environment";
    return "rejected";
}

static void describe(struct bpf_program *program, const char *path) {
    const char *section = bpf_program__section_name(program), *name = bpf_program__name(program);
    tell_begin();
    tell_text("object", path, strlen(path));
    tell_text("program", name, strlen(name));
    tell_text("section", section, strlen(section));
}

static void judge(struct bpf_program *program, const char *path) {
    const char *expect = NULL, *retval, *text;
    __u32 flags = bpf_program__flags(program);
    bool arrays = false;
    struct bpf_program *other;
    struct bpf_map *map;
    size_t size;
    wanted = program;
    retval = tag_of(program, "comment:test_retval=", &expect, &flags);
    bpf_program__set_flags(program, flags);
    bpf_object__for_each_map(map, object) arrays |= bpf_map__type(map) == BPF_MAP_TYPE_PROG_ARRAY;
    bpf_object__for_each_program(other, object)
        bpf_program__set_autoload(other, other == program || (running && arrays));
    bpf_program__set_log_buf(program, verifier_log, LOG_ROOM);
    bpf_program__set_log_level(program, whole_log ? 6 : refusals ? 5 : 4);
    int loaded = bpf_object__load(object);
    describe(program, path);
    tell_number("type", bpf_program__type(program));
    tell_text("verdict", verdict(), strlen(verdict()));
    tell_number("errno", answer.asked ? (answer.result < 0 ? -answer.result : 0) : -loaded);
    tell_number("slots", (long long)answer.slots);
    if (expect)
        tell_text("expect", expect, strlen(expect));
    if (retval)
        tell_text("retval", retval, strlen(retval));
    text = last_line(verifier_log, true, &size);
    tell_text("stats", text, size);
    if (!answer.asked || answer.result < 0) {
        text = last_line(verifier_log, false, &size);
        tell_text("reason", *text ? text : last_warning,
                  *text ? size : strcspn(last_warning, "\n"));
    }
    if (whole_log || (refusals && strcmp(verdict(), "rejected") == 0))
        tell_text("log", verifier_log, strlen(verifier_log));
    if (running && loaded == 0 && answer.asked && answer.result >= 0)
        run_program(object, program, bpf_program__type(program));
    tell_end();
}

/* In a process of its own; what ends it early is the program's verdict. */
static void judge_apart(struct bpf_program *program, const char *path) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(TIME_MOST);
        judge(program, path);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0)
        _exit(3);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        char text[64];
        snprintf(text, sizeof text, "ended by signal %d, status %d", WTERMSIG(status),
                 WEXITSTATUS(status));
        describe(program, path);
        tell_text("verdict", "crash", 5);
        tell_text("reason", text, strlen(text));
        tell_end();
    }
}

/* ---- objects ---- */

static void unopened(const char *path, int err, const char *why) {
    tell_begin();
    tell_text("object", path, strlen(path));
    tell_number("open", err);
    tell_text("reason", why, strcspn(why, "\n"));
    tell_end();
}

/* --asked: the whole object at once. */
static void ask_all(const char *path) {
    struct bpf_program *program;
    bpf_object__for_each_program(program, object) {
        bpf_program__set_autoload(program, true);
        bpf_program__set_log_buf(program, verifier_log, LOG_ROOM);
        bpf_program__set_log_level(program, 4);
    }
    alarm(TIME_MOST);
    tell_begin();
    tell_text("object", path, strlen(path));
    tell_open("asked", '[');
    telling_calls = true;
    int loaded = bpf_object__load(object);
    telling_calls = false;
    tell_close(']');
    tell_number("result", loaded);
    if (loaded)
        tell_text("reason", last_warning, strcspn(last_warning, "\n"));
    tell_end();
}

static void judge_object(const char *path, const char *only) {
    LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "corpus");
    struct bpf_program *program;
    struct bpf_map *map;
    object = bpf_object__open_file(path, &opts);
    if (!object) {
        unopened(path, errno, last_warning);
        return;
    }
    bpf_object__for_each_map(map, object) complete_map(map);
    bpf_object__for_each_program(program, object) guess_type(program);
    if (asking) {
        ask_all(path);
        return;
    }
    bpf_object__for_each_program(program, object) {
        if (!only || strcmp(only, bpf_program__name(program)) == 0)
            judge_apart(program, path);
    }
}

static void judge_object_apart(const char *path, const char *only) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        judge_object(path, only);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0)
        _exit(3);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        unopened(path, EFAULT, "libbpf crashed");
}

int main(int argc, char **argv) {
    const char *only = NULL;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--run") == 0)
            running = true;
        else if (strcmp(argv[at], "--log") == 0)
            whole_log = true;
        else if (strcmp(argv[at], "--refusals") == 0)
            refusals = true;
        else if (strcmp(argv[at], "--asked") == 0)
            asking = true;
        else if (strcmp(argv[at], "--program") == 0 && at + 1 < argc)
            only = argv[++at];
        else
            return 2;
    }
    verifier_log = calloc(1, LOG_ROOM);
    libbpf_set_print(keep_warning);
    libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
    setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    kernel_btf = __wrap_btf__load_vmlinux_btf();
    if (!verifier_log || !kernel_btf)
        return 3;
    for (; at < argc; at++)
        judge_object_apart(argv[at], only);
    return 0;
}
