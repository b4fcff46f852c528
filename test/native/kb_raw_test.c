/* kb_raw_test.c - what kernel-backend does without an object: programs of bare instructions, and
 * what is attached where. Everything happens in a network namespace of its own. What needs bpf(2)
 * skips, with the reason, where the process may not use it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ebpf.h"
#include "kb.h"

/* Of enum bpf_attach_type, newer than the headers. */
enum { TCX_INGRESS = 46, TCX_EGRESS, NETKIT_PRIMARY = 54, NETKIT_PEER };

static struct kb_error err;
static bool usable, apart;

static int set_up(void **state) {
    (void)state;
    usable = kb_probe(BPF_PROG_TYPE_XDP, &err) == 0;
    apart = unshare(CLONE_NEWNET) == 0;
    return 0;
}

static int clear_error(void **state) {
    (void)state;
    kb_error_clear(&err);
    return 0;
}

static void need_bpf(bool namespace) {
    if (usable && (apart || !namespace))
        return;
    print_message("skipped: %s\n", usable ? "no network namespace to be had" : "bpf(2) is refused");
    skip();
}

static void assert_contains(const char *text, const char *part) {
    assert_non_null(text);
    if (!strstr(text, part))
        fail_msg("'%s' does not say '%s'", text, part);
}

static bool kernel_before(int major, int minor) {
    struct kb_versions versions;
    int is_major = 0, is_minor = 0;

    kb_get_versions(&versions);
    assert_int_equal(sscanf(versions.kernel, "%d.%d", &is_major, &is_minor), 2);
    return is_major < major || (is_major == major && is_minor < minor);
}

static void must(int rc) {
    if (rc != 0)
        fail_msg("%d: %s\n%s", rc, err.text ? err.text : "", err.log ? err.log : "");
}

/* Instructions ---------------------------------------------------------------------------------*/

#define INSN(c, dst, src, o, i)                                                                    \
    { .code = (c), .dst_reg = (dst), .src_reg = (src), .off = (o), .imm = (i) }
#define MOV(dst, value)   INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value)
#define MOVR(dst, src)    INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define ADD(dst, value)   INSN(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, value)
#define LOAD(dst, src)    INSN(BPF_LDX | BPF_MEM | BPF_DW, dst, src, 0, 0)
#define ZERO_AT(dst, at)  INSN(BPF_ST | BPF_MEM | BPF_W, dst, 0, at, 0)
#define STORE(dst, src)   INSN(BPF_STX | BPF_MEM | BPF_DW, dst, src, 0, 0)
#define CALL(helper)      INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define SKIP_IF_0(dst, n) INSN(BPF_JMP | BPF_JEQ | BPF_K, dst, 0, n, 0)
#define EXIT              INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define WIDE(dst, src, value)                                                                      \
    INSN(BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, value), INSN(0, 0, 0, 0, 0)
#define COUNT(insns) (sizeof(insns) / sizeof((insns)[0]))

static const struct bpf_insn two[] = {MOV(0, 2), EXIT};

/* Adds one to slot 0 of the map that the first instruction names, and returns the sum. */
#define COUNTING(source, map)                                                                      \
    {                                                                                              \
        WIDE(1, source, map), ZERO_AT(10, -4), MOVR(2, 10), ADD(2, -4),                            \
            CALL(BPF_FUNC_map_lookup_elem), SKIP_IF_0(0, 4), LOAD(1, 0), ADD(1, 1), STORE(0, 1),   \
            MOVR(0, 1), EXIT                                                                       \
    }

static struct kb_program_def simple(uint32_t type, uint32_t attach_type) {
    return (struct kb_program_def){.name = "two",
                                   .type = type,
                                   .attach_type = attach_type,
                                   .license = "GPL",
                                   .insns = two,
                                   .insn_count = COUNT(two)};
}

static struct kb_program *load_simple(uint32_t type, uint32_t attach_type) {
    struct kb_program_def def = simple(type, attach_type);
    struct kb_program *program;

    must(kb_program_load(&def, &program, &err));
    return program;
}

static uint32_t id_of(const struct kb_program *program) {
    struct kb_program_info info;

    must(kb_program_get_info(program, &info, &err));
    return info.id;
}

static void test_run(void **state) {
    static const uint8_t packet[64];
    struct kb_run run = {.data = packet, .data_size = sizeof(packet)};
    struct kb_program_info info;

    (void)state;
    need_bpf(false);
    struct kb_program *program = load_simple(BPF_PROG_TYPE_XDP, BPF_XDP);
    must(kb_program_run(program, &run, &err));
    assert_int_equal(run.return_value, 2);
    must(kb_program_get_info(program, &info, &err));
    assert_string_equal(info.name, "two");
    assert_string_equal(info.section, "");
    assert_int_equal(info.type, BPF_PROG_TYPE_XDP);
    assert_int_equal(info.expected_attach_type, BPF_XDP);
    assert_int_equal(info.insn_count, 2);
    assert_true(info.id > 0 && info.fd >= 0);
    assert_null(kb_program_log(program));
    kb_program_close(&program);
}

static void count_with(struct kb_program_def *def, const struct kb_map *map) {
    static const uint8_t packet[64];
    struct kb_run run = {.data = packet, .data_size = sizeof(packet), .repeat = 3};
    struct kb_program *program;
    uint32_t key = 0;
    uint64_t before, after;

    must(kb_map_lookup(map, &key, 4, &before, 8, 0, &err));
    must(kb_program_load(def, &program, &err));
    must(kb_program_run(program, &run, &err));
    must(kb_map_lookup(map, &key, 4, &after, 8, 0, &err));
    assert_int_equal(after, before + 3);
    assert_int_equal(run.return_value, after);
    kb_program_close(&program);
}

static void test_maps(void **state) {
    const struct kb_map_def slots = {.name = "slots",
                                     .type = BPF_MAP_TYPE_ARRAY,
                                     .key_size = 4,
                                     .value_size = 8,
                                     .max_entries = 1};
    struct kb_map *map;

    (void)state;
    need_bpf(false);
    must(kb_map_create(&slots, &map, &err));
    const struct bpf_insn by_fd[] = COUNTING(BPF_PSEUDO_MAP_FD, kb_map_fd(map));
    const struct bpf_insn by_place[] = COUNTING(BPF_PSEUDO_MAP_IDX, 1);
    const int fds[] = {-1, kb_map_fd(map)};
    struct kb_program_def def = simple(BPF_PROG_TYPE_SOCKET_FILTER, 0);
    def.insns = by_fd;
    def.insn_count = COUNT(by_fd);
    count_with(&def, map);
    def.insns = by_place;
    def.fds = fds;
    if (!kernel_before(5, 14))
        count_with(&def, map);
    kb_map_close(&map);
}

static void test_refused(void **state) {
    static const struct bpf_insn wild[] = {MOV(1, 4660), LOAD(0, 1), EXIT};
    enum { LONG = 30000 };
    struct kb_program_def def = simple(BPF_PROG_TYPE_SOCKET_FILTER, 0);
    struct bpf_insn *many = calloc(LONG + COUNT(wild), sizeof(*many));
    struct kb_program *program;

    (void)state;
    need_bpf(false);
    assert_non_null(many);
    def.insns = wild;
    def.insn_count = COUNT(wild);
    assert_int_equal(kb_program_load(&def, &program, &err), -EACCES);
    assert_null(program);
    assert_string_equal(err.operation, "load program");
    assert_string_equal(err.subject, "two");
    assert_contains(err.text, "R1 invalid mem access");
    assert_contains(err.log, "0: (b7) r");
    /* A log that is longer than the first buffers for it. */
    for (int i = 0; i < LONG; i++)
        many[i] = (struct bpf_insn)MOV(2, i);
    memcpy(many + LONG, wild, sizeof(wild));
    def.insns = many;
    def.insn_count = LONG + COUNT(wild);
    assert_int_equal(kb_program_load(&def, &program, &err), -EACCES);
    assert_true(err.log_size > 400000);
    assert_contains(err.log, "0: (b7) r");
    assert_contains(err.log, "R1 invalid mem access");
    free(many);
}

static void test_wrong(void **state) {
    struct kb_program_def def = simple(BPF_PROG_TYPE_SOCKET_FILTER, 0);
    struct kb_program *program;

    (void)state;
    def.insn_count = 0;
    assert_int_equal(kb_program_load(&def, &program, &err), -EINVAL);
    assert_contains(err.text, "no instructions");
    def.insn_count = SIZE_MAX / 8;
    assert_int_equal(kb_program_load(&def, &program, &err), -E2BIG);
    def = simple(BPF_PROG_TYPE_SOCKET_FILTER, 0);
    def.function_count = 1;
    assert_int_equal(kb_program_load(&def, &program, &err), -EINVAL);
    assert_contains(err.text, "told by BTF");
    need_bpf(false);
    def = simple(BPF_PROG_TYPE_SOCKET_FILTER, 0);
    def.btf = "no BTF";
    def.btf_size = 6;
    assert_true(kb_program_load(&def, &program, &err) < 0);
    assert_contains(err.text, "does not accept its BTF");
    def = simple(10000, 0);
    assert_int_equal(kb_program_load(&def, &program, &err), -EINVAL);
    assert_contains(err.text, "knows this type");
}

static void test_log(void **state) {
    struct kb_program_def def = simple(BPF_PROG_TYPE_SOCKET_FILTER, 0);
    struct kb_program *program;

    (void)state;
    need_bpf(false);
    def.log_level = 2;
    must(kb_program_load(&def, &program, &err));
    assert_contains(kb_program_log(program), "processed 2 insns");
    kb_program_close(&program);
}

/* BTF of `int two(void)`, and where that begins. */
static void test_functions(void **state) {
    static const struct {
        uint16_t magic;
        uint8_t version, flags;
        uint32_t header, type_offset, type_size, string_offset, string_size;
        uint32_t types[4 + 3 + 3];
        char strings[9];
    } btf = {.magic = 0xeb9f,
             .version = 1,
             .header = 24,
             .type_size = 40,
             .string_offset = 40,
             .string_size = 9,
             .types = {1, 1u << 24, 4, 1u << 24 | 32, /* int: signed, 32 bits */
                       0, 13u << 24, 1,               /* a prototype that returns it */
                       5, 12u << 24 | 1, 2},          /* a function of that type, global */
             .strings = "\0int\0two"};
    static const uint32_t functions[] = {0, 3};
    struct kb_program_def def = simple(BPF_PROG_TYPE_SOCKET_FILTER, 0);
    struct kb_program_details details;
    struct kb_program *program;

    (void)state;
    need_bpf(false);
    def.btf = &btf;
    def.btf_size = 24 + 40 + 9;
    def.functions = functions;
    def.function_count = 1;
    def.function_size = sizeof(functions);
    must(kb_program_load(&def, &program, &err));
    must(kb_program_get_details(program, &details, &err));
    assert_int_equal(details.function_count, 1);
    assert_int_equal(details.functions[0].type_id, 3);
    assert_int_not_equal(details.btf_id, 0);
    kb_program_details_clear(&details);
    kb_program_close(&program);
}

static void test_target(void **state) {
    static const struct bpf_insn nothing[] = {MOV(0, 0), EXIT};
    struct kb_attach_opts iterator = {.kind = KB_TARGET_ITER};
    struct kb_program_def def = simple(BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER);
    struct kb_program *program;
    struct kb_link *link;
    char bytes[16];
    int fd;

    (void)state;
    need_bpf(false);
    def.insns = nothing;
    def.target_name = "task";
    must(kb_program_load(&def, &program, &err));
    must(kb_program_attach(program, &iterator, &link, &err));
    must(kb_link_iterate(link, &fd, &err));
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 0);
    close(fd);
    kb_link_close(&link);
    kb_program_close(&program);
    def.target_name = "nothing_is_called_so";
    assert_int_equal(kb_program_load(&def, &program, &err), -ESRCH);
    assert_contains(err.text, "'nothing_is_called_so'");
}

/* What is attached -----------------------------------------------------------------------------*/

static void expect_ids(const struct kb_query_result *query, size_t count, const uint32_t *ids) {
    assert_int_equal(query->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(query->attached[i].program_id, ids[i]);
}

static void test_query_tcx(void **state) {
    struct kb_query_opts opts = {.kind = KB_TARGET_TCX, .interface = "lo"};
    struct kb_attach_opts in = {.kind = KB_TARGET_TCX, .interface = "lo", .direction = KB_INGRESS};
    struct kb_attach_opts first = in, out = in;
    struct kb_link *links[3];
    struct kb_query_result query;
    struct kb_link_info info;

    (void)state;
    need_bpf(true);
    struct kb_program *one = load_simple(BPF_PROG_TYPE_SCHED_CLS, TCX_INGRESS);
    struct kb_program *other = load_simple(BPF_PROG_TYPE_SCHED_CLS, TCX_EGRESS);
    out.direction = KB_EGRESS;
    first.anchor.flags = KB_ANCHOR_BEFORE;
    int rc = kb_program_attach(one, &in, &links[0], &err);
    if (rc == -EINVAL && kernel_before(6, 6)) {
        print_message("skipped: this kernel has no tcx (6.6 has)\n");
        skip();
    }
    must(rc);
    must(kb_program_attach(other, &first, &links[1], &err));
    must(kb_program_attach(one, &out, &links[2], &err));
    must(kb_query(&opts, &query, &err));
    expect_ids(&query, 3, (const uint32_t[]){id_of(other), id_of(one), id_of(one)});
    assert_int_equal(query.attached[0].attach_type, TCX_INGRESS);
    assert_int_equal(query.attached[2].attach_type, TCX_EGRESS);
    must(kb_link_get_info(links[1], &info, &err));
    assert_int_equal(query.attached[0].link_id, info.id);
    assert_int_equal(query.revision, 0); /* two hooks were asked */
    kb_query_clear(&query);
    opts.direction = KB_EGRESS;
    must(kb_query(&opts, &query, &err));
    expect_ids(&query, 1, (const uint32_t[]){id_of(one)});
    assert_true(query.revision > 0);
    kb_query_clear(&query);
    for (int i = 0; i < 3; i++)
        kb_link_close(&links[i]);
    must(kb_query(&opts, &query, &err));
    assert_int_equal(query.count, 0);
    kb_query_clear(&query);
    kb_program_close(&one);
    kb_program_close(&other);
}

static void test_query_tc(void **state) {
    struct kb_query_opts opts = {.kind = KB_TARGET_TC, .interface = "lo"};
    struct kb_attach_opts in = {.kind = KB_TARGET_TC,
                                .interface = "lo",
                                .direction = KB_INGRESS,
                                .priority = 7,
                                .handle = 3};
    struct kb_attach_opts out = in;
    struct kb_link *links[2];
    struct kb_query_result query;

    (void)state;
    need_bpf(true);
    struct kb_program *program = load_simple(BPF_PROG_TYPE_SCHED_CLS, 0);
    must(kb_query(&opts, &query, &err));
    assert_int_equal(query.count, 0); /* not even a qdisc */
    must(kb_program_attach(program, &in, &links[0], &err));
    out.direction = KB_EGRESS;
    out.priority = 9;
    must(kb_program_attach(program, &out, &links[1], &err));
    must(kb_query(&opts, &query, &err));
    expect_ids(&query, 2, (const uint32_t[]){id_of(program), id_of(program)});
    assert_int_equal(query.attached[0].direction, KB_INGRESS);
    assert_int_equal(query.attached[0].priority, 7);
    assert_int_equal(query.attached[0].handle, 3);
    assert_int_equal(query.attached[1].direction, KB_EGRESS);
    assert_int_equal(query.attached[1].priority, 9);
    kb_query_clear(&query);
    kb_link_close(&links[0]);
    kb_link_close(&links[1]);
    kb_program_close(&program);
}

static void test_query_xdp(void **state) {
    struct kb_query_opts opts = {.kind = KB_TARGET_XDP, .interface = "lo"};
    struct kb_attach_opts generic = {
        .kind = KB_TARGET_XDP, .interface = "lo", .flags = XDP_FLAGS_SKB_MODE};
    struct kb_link *link;
    struct kb_query_result query;

    (void)state;
    need_bpf(true);
    struct kb_program *program = load_simple(BPF_PROG_TYPE_XDP, BPF_XDP);
    must(kb_query(&opts, &query, &err));
    assert_int_equal(query.count, 0);
    must(kb_program_attach(program, &generic, &link, &err));
    must(kb_query(&opts, &query, &err));
    expect_ids(&query, 1, (const uint32_t[]){id_of(program)});
    assert_int_equal(query.attached[0].flags, XDP_FLAGS_SKB_MODE);
    kb_query_clear(&query);
    kb_link_close(&link);
    kb_program_close(&program);
}

static void test_query_netns(void **state) {
    struct kb_query_opts opts = {.kind = KB_TARGET_NETNS};
    struct kb_attach_opts here = {.kind = KB_TARGET_NETNS};
    struct kb_link *link;
    struct kb_query_result query;

    (void)state;
    need_bpf(true);
    struct kb_program_def def = simple(BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP);
    static const struct bpf_insn pass[] = {MOV(0, 1), EXIT};
    struct kb_program *program;
    def.insns = pass;
    must(kb_program_load(&def, &program, &err));
    must(kb_program_attach(program, &here, &link, &err));
    must(kb_query(&opts, &query, &err));
    expect_ids(&query, 1, (const uint32_t[]){id_of(program)});
    assert_int_equal(query.attached[0].attach_type, BPF_SK_LOOKUP);
    kb_query_clear(&query);
    kb_link_close(&link);
    kb_program_close(&program);
}

/* Where a cgroup2 file system is mounted. */
static bool find_cgroups(char *path, size_t size) {
    char line[512], folder[256], type[32];
    FILE *file = fopen("/proc/mounts", "re");
    bool found = false;

    while (file && !found && fgets(line, sizeof(line), file))
        found = sscanf(line, "%*s %255s %31s", folder, type) == 2 && strcmp(type, "cgroup2") == 0;
    if (file)
        fclose(file);
    if (found)
        snprintf(path, size, "%s/kb_raw_test.%d", folder, (int)getpid());
    return found;
}

static void test_query_cgroup(void **state) {
    char path[400];
    struct kb_query_opts opts = {.kind = KB_TARGET_CGROUP, .path = path};
    struct kb_attach_opts here = {.kind = KB_TARGET_CGROUP, .path = path};
    static const struct bpf_insn allow[] = {MOV(0, 1), EXIT};
    struct kb_program *programs[2];
    struct kb_link *links[2];
    struct kb_query_result query;

    (void)state;
    need_bpf(false);
    if (!find_cgroups(path, sizeof(path)) || mkdir(path, 0755) != 0) {
        print_message("skipped: no cgroup2 to make a group in\n");
        skip();
    }
    const uint32_t types[] = {BPF_PROG_TYPE_CGROUP_SKB, BPF_PROG_TYPE_CGROUP_SOCK};
    const uint32_t attach_types[] = {BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET_SOCK_CREATE};
    for (int i = 0; i < 2; i++) {
        struct kb_program_def def = simple(types[i], attach_types[i]);
        def.insns = allow;
        must(kb_program_load(&def, &programs[i], &err));
        here.cgroup_mode = i ? KB_CGROUP_MULTI : KB_CGROUP_LINK;
        must(kb_program_attach(programs[i], &here, &links[i], &err));
    }
    must(kb_query(&opts, &query, &err));
    expect_ids(&query, 2, (const uint32_t[]){id_of(programs[0]), id_of(programs[1])});
    assert_int_equal(query.attached[0].attach_type, BPF_CGROUP_INET_EGRESS);
    assert_int_equal(query.attached[1].attach_type, BPF_CGROUP_INET_SOCK_CREATE);
    assert_int_equal(query.attached[1].flags & BPF_F_ALLOW_MULTI, BPF_F_ALLOW_MULTI);
    kb_query_clear(&query);
    opts.has_attach_type = true;
    opts.attach_type = BPF_CGROUP_INET_SOCK_CREATE;
    opts.effective = true;
    must(kb_query(&opts, &query, &err));
    assert_true(query.count >= 1); /* parents may have some */
    assert_int_equal(query.attached[0].program_id, id_of(programs[1]));
    kb_query_clear(&query);
    for (int i = 0; i < 2; i++) {
        kb_link_close(&links[i]);
        kb_program_close(&programs[i]);
    }
    rmdir(path);
}

static void test_query_sockmap(void **state) {
    const struct kb_map_def def = {
        .type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4, .max_entries = 1};
    struct kb_attach_opts here = {.kind = KB_TARGET_SOCKMAP, .legacy = true};
    struct kb_query_opts opts = {.kind = KB_TARGET_SOCKMAP};
    struct kb_query_result query;
    struct kb_map *map;
    struct kb_link *link;

    (void)state;
    need_bpf(false);
    if (kernel_before(5, 17)) {
        print_message("skipped: Linux 5.17 lists these\n");
        skip();
    }
    must(kb_map_create(&def, &map, &err));
    struct kb_program *program = load_simple(BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT);
    opts.fd = here.fd = kb_map_fd(map);
    must(kb_program_attach(program, &here, &link, &err));
    must(kb_query(&opts, &query, &err));
    expect_ids(&query, 1, (const uint32_t[]){id_of(program)});
    assert_int_equal(query.attached[0].attach_type, BPF_SK_MSG_VERDICT);
    kb_query_clear(&query);
    kb_link_close(&link);
    kb_program_close(&program);
    kb_map_close(&map);
}

static void test_query_wrong(void **state) {
    struct kb_query_opts opts = {.kind = KB_TARGET_XDP, .interface = "no_such_one"};
    struct kb_query_result query;

    (void)state;
    assert_int_equal(kb_query(&opts, &query, &err), -ENODEV);
    assert_contains(err.text, "'no_such_one'");
    opts = (struct kb_query_opts){.kind = KB_TARGET_TCX};
    assert_int_equal(kb_query(&opts, &query, &err), -EINVAL);
    opts = (struct kb_query_opts){.kind = KB_TARGET_CGROUP, .path = "/no/such/group"};
    assert_int_equal(kb_query(&opts, &query, &err), -ENOENT);
    assert_contains(err.text, "/no/such/group");
    opts = (struct kb_query_opts){.kind = KB_TARGET_KPROBE};
    assert_int_equal(kb_query(&opts, &query, &err), -EINVAL);
    assert_contains(err.text, "not listed by place");
    need_bpf(false);
    opts = (struct kb_query_opts){.kind = KB_TARGET_CGROUP, .path = "/tmp"};
    assert_int_equal(kb_query(&opts, &query, &err), -EBADF);
    assert_contains(err.text, "/tmp");
    kb_query_clear(&query);
}

/* A pair of netkit devices ---------------------------------------------------------------------*/

/* A request of rtnetlink in the making. */
struct request {
    struct nlmsghdr header;
    char rest[512];
};
enum { NETKIT_PEER_INFO = 1 }; /* of enum IFLA_NETKIT_* */

static void *add_bytes(struct request *request, const void *bytes, size_t size) {
    char *end = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);

    if (size)
        memcpy(end, bytes, size);
    request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)size;
    return end;
}

static struct rtattr *add_attribute(struct request *request, unsigned type, const void *bytes,
                                    size_t size) {
    const struct rtattr head = {.rta_len = (unsigned short)RTA_LENGTH(size),
                                .rta_type = (unsigned short)type};
    struct rtattr *attribute = add_bytes(request, &head, sizeof(head));

    add_bytes(request, bytes, size);
    return attribute;
}

/* The attributes since then are inside of this one. */
static void end_nest(struct request *request, struct rtattr *attribute) {
    const char *end = (const char *)request + NLMSG_ALIGN(request->header.nlmsg_len);

    attribute->rta_len = (unsigned short)(end - (const char *)attribute);
}

/* Asks, and takes the kernel's word: 0 or -errno. */
static int ask(struct request *request) {
    struct {
        struct nlmsghdr header;
        struct nlmsgerr answer;
        char rest[1024];
    } reply = {.answer = {.error = -EIO}};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    request->header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    if (fd < 0 || send(fd, request, request->header.nlmsg_len, 0) < 0 ||
        recv(fd, &reply, sizeof(reply), 0) < 0)
        reply.answer.error = -errno;
    if (fd >= 0)
        close(fd);
    return reply.answer.error;
}

static struct request new_request(uint16_t type, const void *head, size_t size) {
    struct request request = {.header = {.nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = type}};

    add_bytes(&request, head, size);
    return request;
}

static int make_netkit(const char *near, const char *far) {
    const struct ifinfomsg any = {.ifi_family = AF_UNSPEC};
    struct request request = new_request(RTM_NEWLINK, &any, sizeof(any));

    request.header.nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
    add_attribute(&request, IFLA_IFNAME, near, strlen(near) + 1);
    struct rtattr *info = add_attribute(&request, IFLA_LINKINFO, NULL, 0);
    add_attribute(&request, IFLA_INFO_KIND, "netkit", 6);
    struct rtattr *data = add_attribute(&request, IFLA_INFO_DATA, NULL, 0);
    struct rtattr *peer = add_attribute(&request, NETKIT_PEER_INFO, NULL, 0);
    add_bytes(&request, &any, sizeof(any));
    add_attribute(&request, IFLA_IFNAME, far, strlen(far) + 1);
    end_nest(&request, peer);
    end_nest(&request, data);
    end_nest(&request, info);
    return ask(&request);
}

static int set_up_link(const char *name) {
    const struct ifinfomsg up = {
        .ifi_index = (int)if_nametoindex(name), .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct request request = new_request(RTM_NEWLINK, &up, sizeof(up));

    return ask(&request);
}

static int give_address(const char *name, uint32_t address) {
    const struct ifaddrmsg to = {
        .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = if_nametoindex(name)};
    const uint32_t bytes = htonl(address);
    struct request request = new_request(RTM_NEWADDR, &to, sizeof(to));

    request.header.nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
    add_attribute(&request, IFA_LOCAL, &bytes, sizeof(bytes));
    add_attribute(&request, IFA_ADDRESS, &bytes, sizeof(bytes));
    return ask(&request);
}

static void send_to(uint32_t address) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(address);
    assert_true(fd >= 0);
    sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof(to));
    close(fd);
}

static void test_netkit(void **state) {
    enum { NEAR = 0x0ac70101, FAR }; /* 10.199.1.1 */
    const struct kb_map_def slots = {
        .type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
    struct kb_attach_opts near = {
        .kind = KB_TARGET_NETKIT, .interface = "nk0", .direction = KB_INGRESS};
    struct kb_attach_opts far = near;
    struct kb_query_opts place = {.kind = KB_TARGET_NETKIT, .interface = "nk0"};
    struct kb_program *program, *other;
    struct kb_link *links[2];
    struct kb_query_result query;
    struct kb_link_details details;
    uint32_t zero = 0;
    uint64_t count;
    struct kb_map *map;

    (void)state;
    need_bpf(true);
    int rc = make_netkit("nk0", "nk1");
    if (rc == -EOPNOTSUPP) {
        print_message("skipped: this kernel has no netkit (6.7, CONFIG_NETKIT)\n");
        skip();
    }
    assert_int_equal(rc, 0);
    assert_int_equal(set_up_link("nk0"), 0);
    assert_int_equal(set_up_link("nk1"), 0);
    assert_int_equal(give_address("nk0", NEAR), 0);
    must(kb_map_create(&slots, &map, &err));
    const struct bpf_insn counting[] = COUNTING(BPF_PSEUDO_MAP_FD, kb_map_fd(map));
    struct kb_program_def def = simple(BPF_PROG_TYPE_SCHED_CLS, NETKIT_PRIMARY);
    def.insns = counting;
    def.insn_count = COUNT(counting);
    must(kb_program_load(&def, &program, &err));
    other = load_simple(BPF_PROG_TYPE_SCHED_CLS, NETKIT_PEER);
    far.direction = KB_EGRESS;
    must(kb_program_attach(program, &near, &links[0], &err));
    must(kb_program_attach(other, &far, &links[1], &err));
    must(kb_query(&place, &query, &err));
    expect_ids(&query, 2, (const uint32_t[]){id_of(program), id_of(other)});
    assert_int_equal(query.attached[0].attach_type, NETKIT_PRIMARY);
    assert_int_equal(query.attached[1].attach_type, NETKIT_PEER);
    kb_query_clear(&query);
    must(kb_link_get_details(links[0], &details, &err));
    assert_string_equal(details.type_name, "netkit");
    kb_link_details_clear(&details);
    send_to(FAR);
    must(kb_map_lookup(map, &zero, 4, &count, 8, 0, &err));
    assert_true(count > 0);
    /* Another program takes its place. */
    def = simple(BPF_PROG_TYPE_SCHED_CLS, NETKIT_PRIMARY);
    struct kb_program *next;
    must(kb_program_load(&def, &next, &err));
    must(kb_link_update(links[0], next, program, &err));
    kb_link_close(&links[0]);
    must(kb_query(&place, &query, &err));
    assert_int_equal(query.count, 1);
    kb_query_clear(&query);
    kb_link_close(&links[1]);
    kb_program_close(&program);
    kb_program_close(&other);
    kb_program_close(&next);
    kb_map_close(&map);
}

/* Tokens ---------------------------------------------------------------------------------------*/

/* Calls of Linux 5.2 and 5.6 that the C library may lack, with their numbers on all machines. */
enum { SYS_FSOPEN = 430, SYS_FSCONFIG, SYS_FSMOUNT, SYS_PIDFD_OPEN = 434, SYS_PIDFD_GETFD = 438 };
enum { FSCONFIG_STRING = 1, FSCONFIG_CREATE = 6 };

static const char token_text[] = ".map slots, type=array, key=u32, value=u64, max_entries=1\n"
                                 ".section xdp,\"ax\",@progbits\n"
                                 ".globl pass\n"
                                 "pass:\n"
                                 "  r1 = slots ll\n"
                                 "  r0 = 2\n"
                                 "  exit\n"
                                 ".size pass, .-pass\n"
                                 ".section license\n.asciz \"GPL\"\n";

/* Loads the object; 0 or -errno. */
static int load_with(const char *token_path) {
    const struct kb_open_opts opts = {.token_path = token_path};
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    struct kb_object *object = NULL;
    ebpf_object *assembled;
    ebpf_bytes elf;

    if (ebpf_assemble(ctx, "t.s", 3, token_text, strlen(token_text), EBPF_DIALECT_LLVM, EBPF_LITTLE,
                      &assembled) != 0 ||
        ebpf_object_write(ctx, assembled, &elf) != 0)
        return -EIO;
    int rc = kb_object_open(elf.data, elf.size, &opts, &object, &err);
    rc = rc ? rc : kb_object_load(object, NULL, &err);
    kb_object_close(&object);
    ebpf_ctx_free(ctx);
    return rc;
}

static bool write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return good;
}

/* Says on `out` which descriptor is its file system, waits for a word, and loads. Its status: 0, or
 * where it stopped. */
static int token_child(int out, int in) {
    char path[64];
    uint8_t word;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return 10;
    write_text("/proc/self/setgroups", "deny");
    if (!write_text("/proc/self/uid_map", "0 0 1") || !write_text("/proc/self/gid_map", "0 0 1"))
        return 11;
    int fs = (int)syscall(SYS_FSOPEN, "bpf", 0);
    if (fs < 0 || write(out, &fs, sizeof(fs)) != sizeof(fs) || read(in, &word, 1) != 1)
        return 12;
    if (load_with("") != -EPERM || !err.text || !strstr(err.text, "user namespace"))
        return 13;
    int mounted = (int)syscall(SYS_FSMOUNT, fs, 0, 0);
    if (mounted < 0)
        return 14;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", mounted);
    int rc = load_with(path);
    if (rc)
        fprintf(stderr, "%d: %s\n", rc, err.text);
    return rc ? 15 : 0;
}

/* What the child may do, which only the machine's root can say. */
static bool delegate(pid_t child, int child_fd) {
    static const char *const options[] = {"delegate_cmds", "delegate_maps", "delegate_progs",
                                          "delegate_attachs"};
    int process = (int)syscall(SYS_PIDFD_OPEN, child, 0);
    int fs = process < 0 ? -1 : (int)syscall(SYS_PIDFD_GETFD, process, child_fd, 0);
    bool good = fs >= 0;

    for (size_t i = 0; good && i < sizeof(options) / sizeof(options[0]); i++)
        good = syscall(SYS_FSCONFIG, fs, FSCONFIG_STRING, options[i], "any", 0) == 0;
    good = good && syscall(SYS_FSCONFIG, fs, FSCONFIG_CREATE, NULL, NULL, 0) == 0;
    if (fs >= 0)
        close(fs);
    if (process >= 0)
        close(process);
    return good;
}

static void test_token(void **state) {
    int to_child[2], from_child[2], fs, status;

    (void)state;
    need_bpf(false);
    struct kb_feature feature;
    must(kb_probe_feature(KB_FEATURE_MAP_FLAG, "token_fd", NULL, &feature, &err));
    if (feature.answer != KB_HAS) {
        print_message("skipped: this kernel has no tokens (6.9 has)\n");
        skip();
    }
    assert_int_equal(pipe(to_child) | pipe(from_child), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(token_child(from_child[1], to_child[0]));
    close(from_child[1]);
    close(to_child[0]);
    bool told = read(from_child[0], &fs, sizeof(fs)) == sizeof(fs);
    bool delegated = told && delegate(child, fs);
    if (told)
        assert_int_equal(write(to_child[1], "", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(from_child[0]);
    close(to_child[1]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 10) {
        print_message("skipped: no user namespace to be had\n");
        skip();
    }
    assert_true(delegated);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(test_##name, clear_error)
    const struct CMUnitTest tests[] = {
        TEST(run),           TEST(maps),        TEST(refused),     TEST(wrong),
        TEST(log),           TEST(functions),   TEST(target),      TEST(query_tcx),
        TEST(query_tc),      TEST(query_xdp),   TEST(query_netns), TEST(query_cgroup),
        TEST(query_sockmap), TEST(query_wrong), TEST(token),       TEST(netkit),
    };

    return cmocka_run_group_tests_name("kernel-backend without objects", tests, set_up, NULL);
}
