/*
 * feature_program.c: probes of program types, attach types, helpers and flags of programs.
 *
 * A type is known if its smallest program loads, or if the verifier has something to say about it:
 * an unknown type is refused before the verifier is asked. One bare load is not enough for attach
 * types: some are checked when a program is loaded, others when a link is made, and then the kernel
 * complains about the target (which is none) if it knows the type, and about the type if it does
 * not. Source: kernel/bpf/syscall.c, bpf_prog_load_check_attach() and link_create().
 */
#include "feature.h"
#include "uapi.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SLEEPABLE = 1 << 4, LOG = 4096 };

struct load {
    uint32_t type, attach, flags;
    const char *function; /* what of the kernel's BTF it attaches to, NULL: nothing */
    uint32_t kind;
    uint32_t helper; /* to call, 0: none */
    char log[LOG];
};

/* A descriptor or -errno. */
static int try_load(struct load *load) {
    const struct bpf_insn insns[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K},
        load->helper ? (struct bpf_insn){.code = BPF_JMP | BPF_CALL, .imm = (int)load->helper}
                     : (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.prog_type = load->type;
    attr.expected_attach_type = load->attach;
    attr.prog_flags = load->flags;
    attr.insns = (uint64_t)(uintptr_t)insns;
    attr.insn_cnt = sizeof(insns) / sizeof(insns[0]);
    attr.license = (uint64_t)(uintptr_t) "GPL";
    attr.log_buf = (uint64_t)(uintptr_t)load->log;
    attr.log_size = sizeof(load->log);
    attr.log_level = 1;
    load->log[0] = 0;
    if (load->function) {
        struct btf *btf = kb_vmlinux_btf();
        if (!btf)
            return -ESRCH;
        int id = btf__find_by_name_kind(btf, load->function, load->kind);
        btf__free(btf);
        if (id < 0)
            return -ENOENT;
        attr.attach_btf_id = (uint32_t)id;
    }
    return kb_sys(KB_PROG_LOAD, &attr, sizeof(attr));
}

/* What a type's smallest program needs beyond its type. */
static void fill(struct load *load) {
    switch (load->type) { /* one case per type that needs something */
    case KB_PROG_CGROUP_SOCK_ADDR:
        load->attach = KB_ATTACH_CGROUP_INET4_CONNECT;
        break;
    case KB_PROG_CGROUP_SOCKOPT:
        load->attach = KB_ATTACH_CGROUP_GETSOCKOPT;
        break;
    case KB_PROG_SK_LOOKUP:
        load->attach = KB_ATTACH_SK_LOOKUP;
        break;
    case KB_PROG_NETFILTER:
        load->attach = KB_ATTACH_NETFILTER;
        break;
    case KB_PROG_SYSCALL:
        load->flags = SLEEPABLE;
        break;
    case KB_PROG_TRACING: /* a bare load is misleading where fentry alone is refused */
        load->attach = KB_ATTACH_TRACE_RAW_TP;
        load->function = "btf_trace_sched_switch";
        load->kind = BTF_KIND_TYPEDEF;
        break;
    case KB_PROG_LSM:
        load->attach = KB_ATTACH_LSM_MAC;
        load->function = "bpf_lsm_file_open";
        load->kind = BTF_KIND_FUNC;
        break;
    case KB_PROG_STRUCT_OPS:
        load->function = "tcp_congestion_ops";
        load->kind = BTF_KIND_STRUCT;
        break;
    default:
        break;
    }
}

/* The answer to a load. True if the kernel knew type and attach type. */
static bool answer_load(struct load *load, struct kb_feature *feature, const char *what) {
    int rc = try_load(load);

    if (rc >= 0)
        close(rc);
    /* The verifier looked at the program, so all before was in order. */
    bool judged = rc < 0 && load->log[0] && strstr(load->log, "processed 0 insns") == NULL;
    if (rc == -ESRCH)
        kb_say(feature, KB_UNSURE, 0,
               "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF) to attach by");
    else if (rc == -ENOENT)
        kb_say(feature, KB_UNSURE, 0, "this kernel has no %s to try it on", load->function);
    else
        kb_answer(feature, judged ? 0 : rc, kb_program_caps(load->type), what);
    return feature->answer == KB_HAS;
}

void kb_probe_program_type(uint32_t type, struct kb_feature *feature) {
    struct load load = {.type = type};

    fill(&load);
    answer_load(&load, feature, "programs of this type");
}

void kb_probe_program_flag(uint32_t flag, struct kb_feature *feature) {
    struct load load = {.type = KB_PROG_SOCKET_FILTER, .flags = flag};

    if (flag == SLEEPABLE)
        load.type = KB_PROG_SYSCALL;
    if (flag == 1 << 5)
        load.type = KB_PROG_XDP;
    if (flag == 1 << 6) { /* needs a device */
        kb_answer_by_enumerator(feature, "BPF_XDP_DEV_BOUND_ONLY");
        /* A macro, which BTF has not: what came with it. */
        if (feature->answer != KB_HAS)
            kb_probe_kfunc("bpf_xdp_metadata_rx_timestamp", feature);
        return;
    }
    answer_load(&load, feature, "this flag of programs");
}

void kb_probe_helper(uint32_t type, uint32_t helper, struct kb_feature *feature) {
    static const char *const refusals[] = {"invalid func ", "unknown func ", "cannot use helper",
                                           "helper call is not allowed"};
    struct load load = {.type = type, .helper = helper};

    fill(&load);
    int rc = try_load(&load);
    if (rc >= 0)
        close(rc);
    if (rc < 0 && !load.log[0]) {
        kb_answer(feature, rc, kb_program_caps(type), "programs of this type");
        return;
    }
    for (size_t i = 0; rc < 0 && i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (strstr(load.log, refusals[i])) {
            kb_say(feature, KB_HAS_NOT, -rc, "programs of this type cannot call it");
            return;
        }
    /* Other complaints are about the arguments, which are none. */
    kb_say(feature, KB_HAS, 0, "%s", "");
}

/* Attach types ---------------------------------------------------------------------------------*/

/* Program type of an attach type, from the sections that have it; 0 if no section has. */
static uint32_t program_of(uint32_t attach) {
    enum { KB_ATTACH_NONE = 0xffff };
    static const struct {
        uint32_t program, attach;
    } rows[] = {
#define SEC(name, prog, attach, flags) {KB_PROG_##prog, KB_ATTACH_##attach},
#include "prog.def"
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].attach == attach)
            return rows[i].program;
    return 0;
}

/* Makes a link, or attaches, to a target that there is not; -errno. */
static int attach_nowhere(int program, uint32_t attach) {
    static const char nowhere[] = "";
    struct kb_attr_link link;
    union bpf_attr old;

    memset(&old, 0, sizeof(old));
    memset(&link, 0, sizeof(link));
    link.prog_fd = (uint32_t)program;
    link.attach_type = attach;
    switch (attach) { /* one case per way */
    case KB_ATTACH_SK_SKB_STREAM_PARSER:
    case KB_ATTACH_SK_SKB_STREAM_VERDICT:
    case KB_ATTACH_SK_SKB_VERDICT:
    case KB_ATTACH_SK_MSG_VERDICT:
    case KB_ATTACH_LIRC_MODE2:
        old.target_fd = UINT32_MAX;
        old.attach_bpf_fd = (uint32_t)program;
        old.attach_type = attach;
        return kb_sys(KB_PROG_ATTACH, &old, sizeof(old));
    case KB_ATTACH_TRACE_KPROBE_MULTI:
    case KB_ATTACH_TRACE_KPROBE_SESSION:
        link.kprobe_multi.count = 1;
        link.kprobe_multi.addresses = 1; /* not readable: EFAULT */
        break;
    case KB_ATTACH_TRACE_UPROBE_MULTI:
    case KB_ATTACH_TRACE_UPROBE_SESSION:
        link.words[0] = 1;                            /* path: EFAULT */
        link.words[1] = (uint64_t)(uintptr_t)nowhere; /* offsets */
        link.words[4] = 1;                            /* count */
        break;
    case KB_ATTACH_TCX_INGRESS:
    case KB_ATTACH_TCX_EGRESS:
    case KB_ATTACH_NETKIT_PRIMARY:
    case KB_ATTACH_NETKIT_PEER:
        break; /* device 0: ENODEV */
    default:
        link.target_fd = UINT32_MAX;
        break;
    }
    return kb_sys(KB_LINK_CREATE, &link, sizeof(link));
}

static void answer_attach(int rc, uint32_t type, struct kb_feature *feature) {
    switch (-rc) {
    case EBADF: /* what is wrong is the target, so the type is known */
    case ENODEV:
    case EFAULT:
    case EAFNOSUPPORT:
        kb_say(feature, KB_HAS, 0, "%s", "");
        break;
    default:
        if (rc >= 0) /* never: there was no target */
            close(rc);
        kb_answer(feature, rc, kb_program_caps(type), "this attach type");
        break;
    }
}

/* Attach types that are tried on a function of the kernel. */
static bool traced(uint32_t attach, struct load *load) {
    load->kind = BTF_KIND_FUNC;
    switch (attach) {
    case KB_ATTACH_TRACE_RAW_TP:
        load->function = "btf_trace_sched_switch";
        load->kind = BTF_KIND_TYPEDEF;
        return true;
    case KB_ATTACH_TRACE_FENTRY:
    case KB_ATTACH_TRACE_FEXIT:
        load->function = "bpf_fentry_test1";
        return true;
    case KB_ATTACH_MODIFY_RETURN:
        load->function = "bpf_modify_return_test";
        return true;
    case KB_ATTACH_TRACE_ITER:
        load->function = "bpf_iter_task";
        return true;
    case KB_ATTACH_LSM_MAC:
    case KB_ATTACH_LSM_CGROUP:
        load->function = "bpf_lsm_file_open";
        return true;
    default:
        return load->type == KB_PROG_TRACING && (load->function = "bpf_fentry_test1") != NULL;
    }
}

/* Whether the kernel judges the attach type when the program is loaded. */
static bool judged_at_load(uint32_t type) {
    return type == KB_PROG_CGROUP_SOCK || type == KB_PROG_CGROUP_SOCK_ADDR ||
           type == KB_PROG_CGROUP_SKB || type == KB_PROG_CGROUP_SOCKOPT ||
           type == KB_PROG_SK_LOOKUP || type == KB_PROG_SK_REUSEPORT;
}

void kb_probe_attach_type(uint32_t attach, struct kb_feature *feature) {
    struct load load = {.type = program_of(attach), .attach = attach};

    switch (attach) { /* only the kernel's own list tells */
    case KB_ATTACH_XDP_DEVMAP:
        kb_answer_by_enumerator(feature, "BPF_XDP_DEVMAP");
        return;
    case KB_ATTACH_XDP_CPUMAP:
        kb_answer_by_enumerator(feature, "BPF_XDP_CPUMAP");
        return;
    case KB_ATTACH_XDP:
        kb_answer_by_enumerator(feature, "BPF_XDP");
        return;
    case KB_ATTACH_STRUCT_OPS:
        kb_answer_by_enumerator(feature, "BPF_STRUCT_OPS");
        return;
    case KB_ATTACH_PERF_EVENT:
        load.type = KB_PROG_PERF_EVENT;
        break;
    default:
        break;
    }
    if (load.type == 0) {
        kb_say(feature, KB_UNSURE, 0, "no section of programs has this attach type");
        return;
    }
    if (traced(attach, &load) || judged_at_load(load.type)) {
        answer_load(&load, feature, "this attach type");
        return;
    }
    int program = try_load(&load);
    if (program < 0) {
        kb_answer(feature, program, kb_program_caps(load.type), "this attach type");
        return;
    }
    answer_attach(attach_nowhere(program, attach), load.type, feature);
    close(program);
}
