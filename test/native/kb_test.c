/* kb_test.c - kernel-backend against the running kernel. Objects are assembled here by asm-core, so
 * this is also the proof that what its writer emits is what libbpf and the kernel take. What needs
 * bpf(2) skips, with kb_probe's reason, where the process may not use it; the rest always runs.
 * Other programs may come and go on the machine: ids are compared one by one, ours only. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ebpf.h"
#include "kb.h"

/* Objects --------------------------------------------------------------------------------------*/

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)
#define LICENSE    ".section license\n.asciz \"GPL\"\n"

/* Counts calls of getppid per process, once by raw tracepoint and once, per CPU, by tracepoint. */
static const char counting[] =
    ".map counts, type=hash, key=u32, value=u64, max_entries=4096\n"
    ".map percpu, type=percpu_array, key=u32, value=u32, max_entries=2\n"
    ".map tiny, type=hash, key_size=1, value_size=3, max_entries=16\n"
    ".map slots, type=array, key=u32, value=u64, max_entries=4\n"
    ".section raw_tp/sys_enter,\"ax\",@progbits\n"
    ".globl count_raw\n"
    "count_raw:\n"
    "  r2 = *(u64 *)(r1 + 8)\n" /* the system call's number */
    "  if r2 != " TEXT(SYS_getppid) " goto done\n"
                                    "  call 14\n" /* get_current_pid_tgid */
                                    "  r0 >>= 32\n"
                                    "  *(u32 *)(r10 - 4) = r0\n"
                                    "  r2 = r10\n"
                                    "  r2 += -4\n"
                                    "  r1 = counts ll\n"
                                    "  call 1\n" /* map_lookup_elem */
                                    "  if r0 == 0 goto absent\n"
                                    "  r1 = 1\n"
                                    "  lock *(u64 *)(r0 + 0) += r1\n"
                                    "  goto done\n"
                                    "absent:\n"
                                    "  r1 = 1\n"
                                    "  *(u64 *)(r10 - 16) = r1\n"
                                    "  r3 = r10\n"
                                    "  r3 += -16\n"
                                    "  r2 = r10\n"
                                    "  r2 += -4\n"
                                    "  r1 = counts ll\n"
                                    "  r4 = 0\n"
                                    "  call 2\n" /* map_update_elem */
                                    "done:\n"
                                    "  r0 = 0\n"
                                    "  exit\n"
                                    ".size count_raw, .-count_raw\n"
                                    ".section tp/syscalls/sys_enter_getppid,\"ax\",@progbits\n"
                                    ".globl count_tp\n"
                                    "count_tp:\n"
                                    "  r1 = 0\n"
                                    "  *(u32 *)(r10 - 4) = r1\n"
                                    "  r2 = r10\n"
                                    "  r2 += -4\n"
                                    "  r1 = percpu ll\n"
                                    "  call 1\n"
                                    "  if r0 == 0 goto out\n"
                                    "  r1 = *(u32 *)(r0 + 0)\n"
                                    "  r1 += 1\n"
                                    "  *(u32 *)(r0 + 0) = r1\n"
                                    "out:\n"
                                    "  r0 = 0\n"
                                    "  exit\n"
                                    ".size count_tp, .-count_tp\n" LICENSE;

/* Stores its cookie under key 0. */
static const char cookies[] = ".map slots, type=array, key=u32, value=u64, max_entries=1\n"
                              ".section raw_tp,\"ax\",@progbits\n"
                              ".globl cookie\n"
                              "cookie:\n"
                              "  r2 = *(u64 *)(r1 + 8)\n"
                              "  if r2 != " TEXT(SYS_getppid) " goto out\n"
                                                              "  call 174\n" /* get_attach_cookie */
                                                              "  r6 = r0\n"
                                                              "  r1 = 0\n"
                                                              "  *(u32 *)(r10 - 4) = r1\n"
                                                              "  r2 = r10\n"
                                                              "  r2 += -4\n"
                                                              "  r1 = slots ll\n"
                                                              "  call 1\n"
                                                              "  if r0 == 0 goto out\n"
                                                              "  *(u64 *)(r0 + 0) = r6\n"
                                                              "out:\n"
                                                              "  r0 = 0\n"
                                                              "  exit\n"
                                                              ".size cookie, .-cookie\n" LICENSE;

/* Refused: %s reads memory that nothing points to, after as many instructions as are put before. */
static const char refused_start[] = ".section raw_tp/sys_enter,\"ax\",@progbits\n"
                                    ".globl %s\n"
                                    "%s:\n";
static const char refused_end[] = "  r1 = 4660\n"
                                  "  r0 = *(u32 *)(r1 + 0)\n"
                                  "  exit\n"
                                  ".size %s, .-%s\n" LICENSE;

static const char bad_map[] = ".map broken, type=array, key_size=8, value_size=8, max_entries=1\n"
                              ".section socket,\"ax\",@progbits\n"
                              ".globl user\n"
                              "user:\n"
                              "  r1 = broken ll\n"
                              "  r0 = 0\n"
                              "  exit\n"
                              ".size user, .-user\n" LICENSE;

static const char fentry[] = ".section socket,\"ax\",@progbits\n"
                             ".globl filter\n"
                             "filter:\n"
                             "  r0 = 0\n"
                             "  exit\n"
                             ".size filter, .-filter\n" LICENSE;

/* The only error record of a test: freed at its end whatever happens. */
static struct kb_error err;

/* cmocka fails a test by a long jump, which in a child process would run the other tests there. */
static bool child_process;

static void __attribute__((format(printf, 1, 2), noreturn)) give_up(const char *format, ...) {
    static char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (child_process) {
        fputs(text, stdout);
        fflush(stdout);
        _exit(1);
    }
    fail_msg("%s", text);
    abort(); /* not reached */
}

static struct kb_object *open_text(const char *text, struct kb_error *record) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    ebpf_object *assembled;
    ebpf_bytes elf, diagnostics;
    struct kb_object *object = NULL;

    if (ebpf_assemble(ctx, "kb_test.s", 9, text, strlen(text), EBPF_DIALECT_LLVM, EBPF_LITTLE,
                      &assembled) != 0) {
        ebpf_diagnostics(ctx, EBPF_DIAG_TEXT, &diagnostics);
        give_up("%.*s", (int)diagnostics.size, (const char *)diagnostics.data);
    }
    if (ebpf_object_write(ctx, assembled, &elf) != 0)
        give_up("not written");
    int rc = kb_object_open(elf.data, elf.size, NULL, &object, record);
    /* kb has copied them. */
    ebpf_ctx_free(ctx);
    if (rc != 0)
        give_up("%s", record->text);
    return object;
}

static struct kb_object *load_text(const char *text) {
    struct kb_object *object = open_text(text, &err);

    if (kb_object_load(object, NULL, &err) != 0)
        give_up("%s\n%s", err.text, err.log ? err.log : "");
    return object;
}

static void write_refused(char *text, size_t size, const char *name, int fillers) {
    int used = snprintf(text, size, refused_start, name, name);

    for (int i = 0; i < fillers; i++)
        used += snprintf(text + used, size - (size_t)used, "  r%d = %d\n", 2 + i % 4, i);
    used += snprintf(text + used, size - (size_t)used, refused_end, name, name);
    assert_true((size_t)used < size);
}

static int clear_error(void **state) {
    (void)state;
    kb_error_clear(&err);
    return 0;
}

static void need_bpf(void) {
    uint32_t id;

    if (kb_probe(BPF_PROG_TYPE_RAW_TRACEPOINT, &err) != 0 ||
        kb_next_id(KB_ID_PROGRAM, 0, &id, &err) == -EPERM) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
}

static struct kb_map *find_map(struct kb_object *object, const char *name) {
    struct kb_map *map;

    for (size_t i = 0; i < kb_object_map_count(object); i++) {
        struct kb_map_info info;
        if (kb_object_map_info(object, i, &info) != 0 || strcmp(info.name, name) != 0)
            continue;
        if (kb_object_map(object, i, &map, &err) != 0)
            give_up("%s", err.text);
        return map;
    }
    give_up("no map %s", name);
}

static struct kb_program *find_program(struct kb_object *object, const char *name) {
    struct kb_program *program;

    for (size_t i = 0; i < kb_object_program_count(object); i++) {
        struct kb_program_info info;
        if (kb_object_program_info(object, i, &info) != 0 || strcmp(info.name, name) != 0)
            continue;
        if (kb_object_program(object, i, &program, &err) != 0)
            give_up("%s", err.text);
        return program;
    }
    give_up("no program %s", name);
}

static void assert_contains(const char *text, const char *part) {
    assert_non_null(text);
    if (!strstr(text, part))
        fail_msg("'%s' does not say '%s'", text, part);
}

static bool linux_before(int major, int minor) {
    struct utsname name;
    int here_major = 0, here_minor = 0;

    assert_int_equal(uname(&name), 0);
    assert_int_equal(sscanf(name.release, "%d.%d", &here_major, &here_minor), 2);
    return here_major < major || (here_major == major && here_minor < minor);
}

/* Exactly this call, whatever a C library caches. */
static void call_getppid(int times) {
    for (int i = 0; i < times; i++)
        syscall(SYS_getppid);
}

static int open_files(void) {
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static bool exists(enum kb_id_kind kind, uint32_t id) {
    uint32_t next = 0;

    assert_int_not_equal(id, 0);
    return kb_next_id(kind, id - 1, &next, NULL) == 0 && next == id;
}

/* The kernel frees what the last holder left a little later. */
static void assert_gone(enum kb_id_kind kind, uint32_t id) {
    for (int i = 0; i < 500 && exists(kind, id); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    if (exists(kind, id))
        fail_msg("id %u of kind %d is still there", id, (int)kind);
}

/* Without the kernel ---------------------------------------------------------------------------*/

static void test_errno_names(void **state) {
    (void)state;
    assert_string_equal(kb_errno_name(EPERM), "EPERM");
    assert_string_equal(kb_errno_name(EOPNOTSUPP), "EOPNOTSUPP");
    assert_string_equal(kb_errno_name(524), "ENOTSUPP");
    assert_string_equal(kb_errno_name(4001), "LIBBPF_ERRNO__FORMAT");
    assert_string_equal(kb_errno_name(4012), "LIBBPF_ERRNO__NLPARSE");
    assert_string_equal(kb_errno_name(4013), "E?");
    assert_string_equal(kb_errno_name(-1), "E?");
}

static void test_open_garbage(void **state) {
    static const char elf_start[64] = {0x7f, 'E', 'L', 'F'};
    struct kb_object *object;

    (void)state;
    assert_int_equal(kb_object_open("hello", 5, NULL, &object, &err), -EINVAL);
    assert_null(object);
    assert_string_equal(err.operation, "open object");
    assert_contains(err.text, "no 64-bit ELF file");
    assert_int_equal(kb_object_open(NULL, 0, NULL, &object, NULL), -EINVAL);
    assert_true(kb_object_open(elf_start, sizeof(elf_start), NULL, &object, &err) < 0);
    assert_null(object);
    assert_non_null(err.text);
}

static void test_contents(void **state) {
    struct kb_object *object = open_text(counting, &err);
    struct kb_program_info program;
    struct kb_map_info map;

    (void)state;
    assert_int_equal(kb_object_program_count(object), 2);
    assert_int_equal(kb_object_map_count(object), 4);
    assert_int_equal(kb_object_program_info(object, 0, &program), 0);
    assert_string_equal(program.name, "count_raw");
    assert_string_equal(program.section, "raw_tp/sys_enter");
    assert_int_equal(program.type, BPF_PROG_TYPE_RAW_TRACEPOINT);
    assert_int_equal(program.insn_count, 26); /* 24 instructions, two of them with two slots */
    assert_int_equal(program.fd, -1);
    assert_int_equal(program.id, 0);
    assert_int_equal(kb_object_map_info(object, 1, &map), 0);
    assert_string_equal(map.name, "percpu");
    assert_int_equal(map.type, BPF_MAP_TYPE_PERCPU_ARRAY);
    assert_int_equal(map.key_size, 4);
    assert_int_equal(map.value_size, 4);
    assert_int_equal(map.value_size_user, 8 * (size_t)kb_possible_cpus());
    assert_int_equal(map.max_entries, 2);
    assert_int_not_equal(map.btf_key_type_id, 0);
    assert_int_equal(map.fd, -1);
    assert_int_equal(kb_object_program_info(object, 2, &program), -ERANGE);
    assert_int_equal(kb_object_map_info(object, 4, &map), -ERANGE);
    kb_object_close(&object);
}

static void test_before_load(void **state) {
    struct kb_object *object = open_text(counting, &err);
    struct kb_program *program = find_program(object, "count_raw");
    struct kb_program *none;
    struct kb_link *link;
    struct kb_map *map;

    (void)state;
    assert_int_equal(kb_object_map(object, 0, &map, &err), -EBADF);
    assert_null(map);
    assert_contains(err.text, "load the object first");
    assert_string_equal(err.subject, "counts");
    assert_int_equal(kb_program_attach(program, NULL, &link, &err), -EBADF);
    assert_null(link);
    assert_int_equal(kb_object_program(object, 7, &none, &err), -ERANGE);
    assert_int_equal(kb_object_map(object, 7, &map, &err), -ERANGE);
    kb_object_close(&object);
    assert_int_equal(kb_program_fd(program), -1); /* it keeps the object */
    kb_program_close(&program);
}

static void test_close_twice(void **state) {
    struct kb_object *object = open_text(counting, &err);
    struct kb_program *program = find_program(object, "count_raw");
    struct kb_link *link = NULL;
    struct kb_map *map = NULL;

    (void)state;
    kb_program_close(&program);
    kb_program_close(&program);
    kb_object_close(&object);
    kb_object_close(&object);
    kb_link_close(&link);
    kb_map_close(&map);
    assert_null(object);
    kb_error_clear(&err);
    kb_error_clear(&err);
}

static void test_versions(void **state) {
    struct kb_versions versions;

    (void)state;
    kb_get_versions(&versions);
    assert_true(versions.libbpf[0] >= '1' && versions.libbpf[0] <= '9');
    assert_true(strlen(versions.kernel) > 2);
    assert_true(kb_possible_cpus() > 0);
}

/* Loading and attaching ------------------------------------------------------------------------*/

static void test_counts(void **state) {
    struct kb_link *link;
    struct kb_link_info info;
    struct kb_program_info program_info;
    uint64_t count = 0;
    uint32_t self = (uint32_t)getpid();

    (void)state;
    need_bpf();
    struct kb_object *object = load_text(counting);
    struct kb_map *map = find_map(object, "counts");
    struct kb_program *program = find_program(object, "count_raw");
    assert_int_equal(kb_map_lookup(map, &self, 4, &count, 8, 0, &err), -ENOENT);
    assert_int_equal(err.errnum, 0);
    if (kb_program_attach(program, NULL, &link, &err) != 0)
        fail_msg("%s", err.text);
    call_getppid(1000);
    assert_int_equal(kb_link_get_info(link, &info, &err), 0);
    assert_int_equal(kb_program_get_info(program, &program_info, &err), 0);
    assert_int_equal(info.program_id, program_info.id);
    assert_int_equal(info.type, BPF_LINK_TYPE_RAW_TRACEPOINT);
    assert_true(exists(KB_ID_LINK, info.id));
    assert_int_equal(kb_link_detach(link, &err), -EOPNOTSUPP);
    kb_link_close(&link);
    call_getppid(10);
    assert_int_equal(kb_map_lookup(map, &self, 4, &count, 8, 0, &err), 0);
    assert_int_equal(count, 1000);
    assert_gone(KB_ID_LINK, info.id);
    kb_program_close(&program);
    kb_map_close(&map);
    kb_object_close(&object);
}

static void test_explicit_target(void **state) {
    struct kb_attach_opts opts = {.kind = KB_TARGET_RAW_TRACEPOINT, .cookie = 0x123456789abcdef0};
    struct kb_link *link;
    uint64_t cookie = 0;
    uint32_t key = 0;

    (void)state;
    need_bpf();
    struct kb_object *object = open_text(cookies, &err);
    if (kb_object_load(object, NULL, &err) != 0) {
        print_message("skipped: this kernel has no cookies for raw tracepoints (Linux 6.10)\n");
        kb_object_close(&object);
        skip();
    }
    struct kb_program *program = find_program(object, "cookie");
    struct kb_map *map = find_map(object, "slots");
    /* SEC("raw_tp") has no target. */
    assert_int_equal(kb_program_attach(program, NULL, &link, &err), -EOPNOTSUPP);
    assert_contains(err.text, "explicit target");
    assert_int_equal(kb_program_attach(program, &opts, &link, &err), -EINVAL);
    opts.name = "no_such_tracepoint";
    assert_int_equal(kb_program_attach(program, &opts, &link, &err), -ENOENT);
    assert_contains(err.text, "no raw tracepoint 'no_such_tracepoint'");
    opts.name = "sys_enter";
    if (kb_program_attach(program, &opts, &link, &err) != 0)
        fail_msg("%s", err.text);
    call_getppid(1);
    assert_int_equal(kb_map_lookup(map, &key, 4, &cookie, 8, 0, &err), 0);
    assert_true(cookie == opts.cookie);
    kb_link_close(&link);
    opts.kind = KB_TARGET_TRACEPOINT;
    opts.category = "syscalls";
    opts.name = "sys_enter_getppid";
    assert_int_equal(kb_program_attach(program, &opts, &link, &err), -EINVAL);
    assert_contains(err.text, "only tracepoint programs");
    kb_program_close(&program);
    kb_map_close(&map);
    kb_object_close(&object);
}

enum { NO_NAMESPACE = 77, NO_USER_NAMESPACE = 78 };

/* Runs body in a child process with a mount namespace of its own; fails with what it prints. */
static void in_child(void (*body)(void)) {
    int report[2], status;
    char text[2048] = "";

    assert_int_equal(pipe(report), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        child_process = true;
        dup2(report[1], STDOUT_FILENO);
        close(report[0]);
        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
            _exit(NO_NAMESPACE);
        body();
        fflush(NULL);
        _exit(0);
    }
    close(report[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(report[0], text + used, sizeof(text) - 1 - used)) > 0;)
        used += (size_t)n;
    close(report[0]);
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_NAMESPACE) {
        print_message("skipped: no private mount namespace here (a chroot?)\n");
        skip();
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_USER_NAMESPACE) {
        print_message("skipped: no user namespace to be had\n");
        skip();
    }
    if (used || status)
        fail_msg("child: %s (status %d)", text, status);
}

/* In children cmocka cannot fail a test: they print. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            printf("line %d: " #condition " (%s)\n", __LINE__, err.text ? err.text : "");          \
    } while (0)

static void tracepoint_child(void) {
    struct kb_object *object = load_text(counting);
    struct kb_program *program = find_program(object, "count_tp");
    struct kb_map *map = find_map(object, "percpu");
    struct kb_attach_opts opts = {.kind = KB_TARGET_TRACEPOINT};
    struct kb_link *link;
    size_t size = kb_map_value_size_user(map);
    unsigned char *values = calloc(1, size);
    uint32_t key = 0, sum = 0;

    while (umount("/sys/kernel/tracing") == 0 || umount("/sys/kernel/debug") == 0)
        ;
    EXPECT(kb_program_attach(program, NULL, &link, &err) == -ENOENT);
    EXPECT(err.text && strstr(err.text, "mount -t tracefs"));
    EXPECT(kb_mount_tracefs(&err) == 0);
    EXPECT(kb_mount_tracefs(&err) == 0); /* it is there: nothing to do */
    opts.category = "syscalls";
    opts.name = "sys_enter_nothing";
    EXPECT(kb_program_attach(program, &opts, &link, &err) == -ENOENT);
    EXPECT(err.text && strstr(err.text, "no tracepoint 'syscalls/sys_enter_nothing'"));
    EXPECT(kb_program_attach(program, NULL, &link, &err) == 0);
    call_getppid(100);
    kb_link_close(&link);
    EXPECT(kb_map_lookup(map, &key, 4, values, size, 0, &err) == 0);
    for (int cpu = 0; cpu < kb_possible_cpus(); cpu++) {
        uint32_t value;
        memcpy(&value, values + 8 * cpu, 4);
        sum += value;
    }
    EXPECT(sum >= 100);
    free(values);
    kb_map_close(&map);
    kb_program_close(&program);
    kb_object_close(&object);
}

static void test_tracepoint(void **state) {
    (void)state;
    need_bpf();
    in_child(tracepoint_child);
}

/* Refusals -------------------------------------------------------------------------------------*/

static void test_verifier_log(void **state) {
    static char text[1 << 20];
    struct kb_error mine = {0};

    (void)state;
    need_bpf();
    /* The log of 20,000 instructions at level 1 is long, and must be complete. */
    write_refused(text, sizeof(text), "wild_read", 20000);
    struct kb_object *object = open_text(text, &mine);
    assert_int_equal(kb_object_load(object, NULL, &mine), -EACCES);
    assert_int_equal(mine.errnum, EACCES);
    assert_string_equal(mine.operation, "load program");
    assert_string_equal(mine.subject, "wild_read");
    assert_contains(mine.text, "R1 invalid mem access");
    assert_non_null(mine.log);
    assert_int_equal(mine.log_size, strlen(mine.log));
    assert_true(mine.log_size > 400000);
    assert_contains(mine.log, "\n0: ");
    assert_contains(mine.log, "20000: (b7) r1 = 4660");
    assert_contains(mine.log, "\nprocessed 20002 insns");
    assert_int_equal(kb_object_load(object, NULL, &mine), -EALREADY);
    assert_null(mine.log); /* the old record is replaced as a whole */
    kb_object_close(&object);
    kb_error_clear(&mine);
}

static void test_log_on_request(void **state) {
    struct kb_load_opts opts = {.log_level = 2};

    (void)state;
    need_bpf();
    struct kb_object *object = open_text(counting, &err);
    struct kb_program *program = find_program(object, "count_raw");
    assert_null(kb_program_log(program));
    assert_int_equal(kb_object_load(object, &opts, &err), 0);
    assert_contains(kb_program_log(program), "call bpf_map_lookup_elem#1");
    assert_contains(kb_program_log(program), "processed ");
    kb_program_close(&program);
    kb_object_close(&object);
}

static void test_bad_map(void **state) {
    (void)state;
    need_bpf();
    struct kb_object *object = open_text(bad_map, &err);
    assert_int_equal(kb_object_load(object, NULL, &err), -EINVAL);
    assert_string_equal(err.operation, "create map");
    assert_string_equal(err.subject, "broken");
    kb_object_close(&object);
}

static void test_nothing_printed(void **state) {
    static char text[4096];
    char printed[256] = "";

    (void)state;
    need_bpf();
    write_refused(text, sizeof(text), "quiet", 3);
    struct kb_object *object = open_text(text, &err);
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int rc = kb_object_load(object, NULL, &err);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    size_t size = fread(printed, 1, sizeof(printed) - 1, file);
    fclose(file);
    assert_int_equal(rc, -EACCES);
    if (size)
        fail_msg("stderr got: %s", printed);
    kb_object_close(&object);
}

struct job {
    const char *name;
    char text[4096];
    int rounds_done;
    const char *wrong;
};

static void *refuse_often(void *argument) {
    struct job *job = argument;
    struct kb_error mine = {0};

    for (int i = 0; i < 20 && !job->wrong; i++) {
        ebpf_ctx *ctx = ebpf_ctx_new(0);
        ebpf_object *assembled;
        ebpf_bytes elf;
        struct kb_object *object;
        if (ebpf_assemble(ctx, "t.s", 3, job->text, strlen(job->text), EBPF_DIALECT_LLVM,
                          EBPF_LITTLE, &assembled) != 0 ||
            ebpf_object_write(ctx, assembled, &elf) != 0 ||
            kb_object_open(elf.data, elf.size, NULL, &object, &mine) != 0) {
            job->wrong = "not opened";
        } else {
            if (kb_object_load(object, NULL, &mine) != -EACCES)
                job->wrong = "not refused";
            else if (strcmp(mine.subject, job->name) != 0 || !mine.log ||
                     !strstr(mine.log, job->name + 1))
                job->wrong = "another thread's record";
            kb_object_close(&object);
        }
        ebpf_ctx_free(ctx);
        job->rounds_done++;
    }
    kb_error_clear(&mine);
    return NULL;
}

/* The log quotes r2's value, which is the thread's own. */
static void test_threads(void **state) {
    static struct job jobs[2] = {{.name = "t1111"}, {.name = "t2222"}};
    pthread_t threads[2];

    (void)state;
    need_bpf();
    for (int i = 0; i < 2; i++) {
        snprintf(jobs[i].text, sizeof(jobs[i].text), refused_start, jobs[i].name, jobs[i].name);
        size_t used = strlen(jobs[i].text);
        used += (size_t)snprintf(jobs[i].text + used, sizeof(jobs[i].text) - used, "  r2 = %s\n",
                                 jobs[i].name + 1);
        snprintf(jobs[i].text + used, sizeof(jobs[i].text) - used, refused_end, jobs[i].name,
                 jobs[i].name);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, refuse_often, &jobs[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        if (jobs[i].wrong)
            fail_msg("%s: %s", jobs[i].name, jobs[i].wrong);
        assert_int_equal(jobs[i].rounds_done, 20);
    }
}

/* Privileges -----------------------------------------------------------------------------------*/

static void unprivileged_child(void) {
    EXPECT(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    EXPECT(kb_probe(BPF_PROG_TYPE_RAW_TRACEPOINT, &err) == -EPERM);
    EXPECT(err.text && strstr(err.text, "lacks CAP_BPF and CAP_PERFMON"));
    EXPECT(err.text && !strstr(err.text, "ulimit"));
    EXPECT(kb_probe(BPF_PROG_TYPE_XDP, &err) == -EPERM);
    EXPECT(err.text && strstr(err.text, "CAP_BPF and CAP_NET_ADMIN"));
    struct kb_object *object = open_text(counting, &err);
    EXPECT(kb_object_load(object, NULL, &err) == -EPERM);
    EXPECT(err.text && strstr(err.text, "lacks CAP_BPF and CAP_PERFMON"));
    kb_object_close(&object);
}

static void test_unprivileged(void **state) {
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: needs root, to stop being it\n");
        skip();
    }
    in_child(unprivileged_child);
}

static void user_namespace_child(void) {
    if (unshare(CLONE_NEWUSER) != 0)
        _exit(NO_USER_NAMESPACE); /* some machines forbid it: nothing to explain then */
    EXPECT(kb_probe(BPF_PROG_TYPE_RAW_TRACEPOINT, &err) == -EPERM);
    EXPECT(err.text && strstr(err.text, "initial user namespace"));
}

static void test_user_namespace(void **state) {
    (void)state;
    need_bpf();
    in_child(user_namespace_child);
}

/* A limit of 0 that cannot be raised matters before Linux 5.11 only, and then the error says so. */
static void memlock_child(void) {
    struct rlimit none = {0, 0};
    EXPECT(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
    struct kb_object *object = open_text(counting, &err);
    int rc = kb_object_load(object, NULL, &err);
    EXPECT(rc == 0 || (linux_before(5, 11) && rc == -EPERM && strstr(err.text, "locked memory")));
    kb_object_close(&object);
}

static void test_memlock(void **state) {
    (void)state;
    need_bpf();
    in_child(memlock_child);
}

static void test_probe(void **state) {
    (void)state;
    need_bpf();
    assert_int_equal(kb_probe(9999, &err), -EINVAL);
    assert_contains(err.text, "does not know");
}

/* Maps -----------------------------------------------------------------------------------------*/

static void test_map_operations(void **state) {
    struct kb_map_info info;
    uint32_t key = 7, next;
    uint64_t value = 70, got = 0;

    (void)state;
    need_bpf();
    struct kb_object *object = load_text(counting);
    struct kb_map *map = find_map(object, "counts");
    assert_int_equal(kb_map_get_info(map, &info, &err), 0);
    assert_string_equal(info.name, "counts");
    assert_int_equal(info.max_entries, 4096);
    assert_int_not_equal(info.btf_id, 0);
    assert_int_equal(kb_map_update(map, &key, 4, &value, 8, BPF_NOEXIST, &err), 0);
    assert_int_equal(kb_map_update(map, &key, 4, &value, 8, BPF_NOEXIST, &err), -EEXIST);
    assert_string_equal(err.operation, "map update");
    assert_string_equal(err.subject, "counts");
    assert_int_equal(kb_map_lookup(map, &key, 4, &got, 8, 0, &err), 0);
    assert_int_equal(got, 70);
    assert_int_equal(kb_map_next_key(map, NULL, 0, &next, 4, &err), 0);
    assert_int_equal(next, 7);
    assert_int_equal(kb_map_next_key(map, &next, 4, &next, 4, &err), -ENOENT);
    assert_int_equal(kb_map_delete(map, &key, 4, &err), 0);
    assert_int_equal(kb_map_delete(map, &key, 4, &err), -ENOENT);
    key = 8;
    assert_int_equal(kb_map_update(map, &key, 4, &value, 8, BPF_EXIST, &err), -ENOENT);
    /* all 64 bits of flags reach the kernel */
    assert_int_equal(kb_map_update(map, &key, 4, &value, 8, 1ULL << 63, &err), -EINVAL);
    kb_map_close(&map);
    map = find_map(object, "slots");
    key = 4;
    assert_int_equal(kb_map_update(map, &key, 4, &value, 8, 0, &err), -E2BIG);
    assert_contains(err.text, "max_entries");
    key = 0;
    assert_int_equal(kb_map_delete(map, &key, 4, &err), -EINVAL);
    assert_int_equal(kb_map_freeze(map, &err), 0);
    assert_int_equal(kb_map_update(map, &key, 4, &value, 8, 0, &err), -EPERM);
    assert_contains(err.text, "frozen");
    kb_map_close(&map);
    kb_object_close(&object);
}

/* Wrong sizes never reach the kernel, which would read or write past the buffers. */
static void test_map_sizes(void **state) {
    unsigned char buffer[64] = {0};

    (void)state;
    need_bpf();
    struct kb_object *object = load_text(counting);
    struct kb_map *map = find_map(object, "percpu");
    size_t size = kb_map_value_size_user(map);
    assert_int_equal(size, 8 * (size_t)kb_possible_cpus());
    assert_int_equal(kb_map_lookup(map, buffer, 4, buffer, 4, 0, &err), -ERANGE);
    assert_contains(err.text, "the value has 4 bytes");
    assert_int_equal(kb_map_lookup(map, buffer, 8, buffer, size, 0, &err), -ERANGE);
    assert_int_equal(kb_map_update(map, buffer, 4, buffer, size - 1, 0, &err), -ERANGE);
    assert_int_equal(kb_map_delete(map, buffer, 0, &err), -ERANGE);
    assert_int_equal(kb_map_next_key(map, NULL, 0, buffer, 5, &err), -ERANGE);
    assert_int_equal(kb_map_next_key(map, buffer, 3, buffer, 4, &err), -ERANGE);
    struct kb_batch batch = {buffer, 3, true, buffer, 64, buffer, 64, 1, 0};
    assert_int_equal(kb_map_lookup_batch(map, &batch, &err), -ERANGE);
    batch.cursor_size = 4;
    batch.count = UINT32_MAX;
    assert_int_equal(kb_map_lookup_batch(map, &batch, &err), -ERANGE);
    batch.count = 0;
    assert_int_equal(kb_map_lookup_batch(map, &batch, &err), -ERANGE);
    kb_map_close(&map);
    kb_object_close(&object);
}

static void test_batch(void **state) {
    enum { ENTRIES = 1000, ROOM = 64 };
    static bool seen[ENTRIES];
    uint32_t keys[ROOM], cursor = 0, total = 0, rounds = 0;
    uint64_t values[ROOM];
    struct kb_batch batch = {&cursor, 4, true, keys, sizeof(keys), values, sizeof(values), ROOM, 0};
    int rc;

    (void)state;
    need_bpf();
    struct kb_object *object = load_text(counting);
    struct kb_map *map = find_map(object, "counts");
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint64_t value = 3 * i;
        assert_int_equal(kb_map_update(map, &i, 4, &value, 8, 0, &err), 0);
    }
    do {
        batch.count = ROOM;
        rc = kb_map_lookup_batch(map, &batch, &err);
        if (rc != 0 && rc != -ENOENT)
            fail_msg("%s", err.text);
        batch.first = false;
        for (uint32_t i = 0; i < batch.count; i++) {
            assert_true(keys[i] < ENTRIES && !seen[keys[i]]);
            assert_int_equal(values[i], 3 * keys[i]);
            seen[keys[i]] = true;
        }
        total += batch.count;
    } while (rc == 0 && ++rounds < ENTRIES);
    assert_int_equal(rc, -ENOENT);
    assert_int_equal(total, ENTRIES);
    kb_map_close(&map);
    kb_object_close(&object);
}

/* The kernel writes a four-byte cursor even where keys are one byte long. */
static void test_batch_of_tiny_keys(void **state) {
    unsigned char guarded[12], keys[16], values[48];
    struct kb_batch batch = {guarded + 4,    4,  true, keys, sizeof(keys), values,
                             sizeof(values), 16, 0};

    (void)state;
    need_bpf();
    memset(guarded, 0xee, sizeof(guarded));
    struct kb_object *object = load_text(counting);
    struct kb_map *map = find_map(object, "tiny");
    assert_int_equal(kb_map_update(map, "k", 1, "abc", 3, 0, &err), 0);
    assert_int_equal(kb_map_lookup_batch(map, &batch, &err), -ENOENT);
    assert_int_equal(batch.count, 1);
    assert_int_equal(keys[0], 'k');
    assert_memory_equal(values, "abc", 3);
    for (size_t i = 0; i < 4; i++)
        assert_true(guarded[i] == 0xee && guarded[8 + i] == 0xee);
    kb_map_close(&map);
    kb_object_close(&object);
}

/* Lifetimes ------------------------------------------------------------------------------------*/

static void test_any_order(void **state) {
    struct kb_link *link;
    uint32_t self = (uint32_t)getpid();
    uint64_t count = 0;

    (void)state;
    need_bpf();
    struct kb_object *object = load_text(counting);
    struct kb_map *map = find_map(object, "counts");
    struct kb_program *program = find_program(object, "count_raw");
    assert_int_equal(kb_program_attach(program, NULL, &link, &err), 0);
    kb_object_close(&object);
    assert_true(kb_program_fd(program) >= 0);
    kb_program_close(&program);
    call_getppid(5); /* the link keeps the program alive in the kernel */
    assert_int_equal(kb_map_lookup(map, &self, 4, &count, 8, 0, &err), 0);
    assert_int_equal(count, 5);
    kb_map_close(&map);
    kb_link_close(&link);
}

static void test_no_target(void **state) {
    struct kb_link *link;

    (void)state;
    need_bpf();
    struct kb_object *object = load_text(fentry);
    struct kb_program *program = find_program(object, "filter");
    assert_int_equal(kb_program_attach(program, NULL, &link, &err), -EOPNOTSUPP);
    assert_contains(err.text, "section 'socket'");
    struct kb_attach_opts opts = {.kind = (enum kb_target_kind)99};
    assert_int_equal(kb_program_attach(program, &opts, &link, &err), -EINVAL);
    kb_program_close(&program);
    kb_object_close(&object);
}

/* A hook that was chosen at load; the link lives without program and object. */
static void test_iterator_link(void **state) {
    static const char iterator[] = ".section iter/task,\"ax\",@progbits\n"
                                   ".globl visit\n"
                                   "visit: r0 = 0\n"
                                   "  exit\n" LICENSE;
    struct kb_link *link;
    struct kb_link_info info;

    (void)state;
    need_bpf();
    struct kb_object *object = load_text(iterator);
    struct kb_program *program = find_program(object, "visit");
    if (kb_program_attach(program, NULL, &link, &err) != 0)
        fail_msg("%s", err.text);
    kb_program_close(&program);
    kb_object_close(&object);
    assert_int_equal(kb_link_get_info(link, &info, &err), 0);
    assert_int_equal(info.type, BPF_LINK_TYPE_ITER);
    assert_true(exists(KB_ID_LINK, info.id));
    kb_link_close(&link);
    assert_gone(KB_ID_LINK, info.id);
}

static void test_no_leak(void **state) {
    enum { ROUNDS = 30, KINDS = 8 };
    static char text[4096];
    uint32_t programs[ROUNDS][2], maps[ROUNDS][4], links[ROUNDS];

    (void)state;
    need_bpf();
    write_refused(text, sizeof(text), "never", 3);
    kb_object_close(&(struct kb_object *){load_text(counting)}); /* what libbpf caches once */
    int files = open_files();
    for (int round = 0; round < ROUNDS; round++) {
        struct kb_object *object = load_text(counting);
        struct kb_program *program = find_program(object, "count_raw");
        struct kb_map *map = find_map(object, "counts");
        struct kb_program_info info;
        struct kb_map_info map_info;
        struct kb_link_info link_info;
        struct kb_link *link;
        for (size_t i = 0; i < 2; i++) {
            kb_object_program_info(object, i, &info);
            programs[round][i] = info.id;
        }
        for (size_t i = 0; i < 4; i++) {
            kb_object_map_info(object, i, &map_info);
            maps[round][i] = map_info.id;
        }
        assert_int_equal(kb_program_attach(program, NULL, &link, &err), 0);
        assert_int_equal(kb_link_get_info(link, &link_info, &err), 0);
        links[round] = link_info.id;
        assert_true(exists(KB_ID_PROGRAM, programs[round][0]));
        assert_true(exists(KB_ID_MAP, maps[round][0]));
        kb_map_close(&map);
        kb_link_close(&link);
        kb_program_close(&program);
        kb_object_close(&object);
        object = open_text(text, &err);
        assert_int_equal(kb_object_load(object, NULL, &err), -EACCES);
        kb_object_close(&object);
    }
    assert_int_equal(open_files(), files);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2; i++)
            assert_gone(KB_ID_PROGRAM, programs[round][i]);
        for (int i = 0; i < 4; i++)
            assert_gone(KB_ID_MAP, maps[round][i]);
        assert_gone(KB_ID_LINK, links[round]);
    }
}

/* Running out of descriptors anywhere in open, load and attach is an error as any other. */
static void few_files_child(void) {
    struct rlimit limit;
    int files = open_files(), failures = 0, successes = 0;

    for (int room = 0; room < 24; room++) {
        struct kb_object *object = NULL;
        struct kb_program *program = NULL;
        struct kb_map *map = NULL;
        struct kb_link *link = NULL;
        ebpf_ctx *ctx = ebpf_ctx_new(0);
        ebpf_object *assembled;
        ebpf_bytes elf;

        EXPECT(ebpf_assemble(ctx, "t.s", 3, counting, strlen(counting), EBPF_DIALECT_LLVM,
                             EBPF_LITTLE, &assembled) == 0);
        EXPECT(ebpf_object_write(ctx, assembled, &elf) == 0);
        EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        rlim_t usual = limit.rlim_cur;
        limit.rlim_cur = 3 + (rlim_t)room;
        EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        kb_error_clear(&err);
        int rc = kb_object_open(elf.data, elf.size, NULL, &object, &err);
        rc = rc ? rc : kb_object_load(object, NULL, &err);
        rc = rc ? rc : kb_object_map(object, 0, &map, &err);
        rc = rc ? rc : kb_object_program(object, 0, &program, &err);
        rc = rc ? rc : kb_program_attach(program, NULL, &link, &err);
        EXPECT(rc == 0 || (err.errnum == -rc && err.text));
        *(rc ? &failures : &successes) += 1;
        limit.rlim_cur = usual;
        EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        kb_link_close(&link);
        kb_program_close(&program);
        kb_map_close(&map);
        kb_object_close(&object);
        ebpf_ctx_free(ctx);
    }
    EXPECT(failures >= 5);
    EXPECT(successes >= 5);
    EXPECT(open_files() == files);
}

static void test_few_files(void **state) {
    (void)state;
    need_bpf();
    in_child(few_files_child);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(test_##name, clear_error)
    const struct CMUnitTest tests[] = {
        TEST(errno_names),     TEST(open_garbage),
        TEST(contents),        TEST(before_load),
        TEST(close_twice),     TEST(versions),
        TEST(counts),          TEST(explicit_target),
        TEST(tracepoint),      TEST(verifier_log),
        TEST(log_on_request),  TEST(bad_map),
        TEST(nothing_printed), TEST(threads),
        TEST(unprivileged),    TEST(user_namespace),
        TEST(memlock),         TEST(probe),
        TEST(map_operations),  TEST(map_sizes),
        TEST(batch),           TEST(batch_of_tiny_keys),
        TEST(any_order),       TEST(no_target),
        TEST(iterator_link),   TEST(no_leak),
        TEST(few_files),
    };

    return cmocka_run_group_tests_name("kernel-backend", tests, NULL, NULL);
}
