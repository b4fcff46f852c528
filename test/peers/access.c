/*
 * access.c: context.def and helper.def against the running kernel, for scripts/peers/access.mjs.
 * For each kind of program that sections can name it loads one program per helper (licences GPL and
 * another), and one per offset, size and direction in the context, and compares the verdicts with
 * access.h. Prints lines:
 *   types N asked, M this kernel does not load
 *   helper|licence|context KIND AGREED LOOSE: with how many answers both agree, and how many calls
 *       or accesses the kernel refuses of which the tables know nothing
 *   wrong KIND WHAT: what the tables refuse and the kernel takes
 *   loose KIND WHAT: the opposite
 * Usage: access [STEP], to ask for every STEPth offset and helper only.
 */
#define _GNU_SOURCE
#include "access.h"
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct kind {
    const char *section;
    uint32_t prog, attach, flags, result;
};

enum { SLEEPABLE = EB_SEC_SLEEPABLE, FRAGS = EB_SEC_FRAGS, TARGET = EB_SEC_TARGET };
enum { USDT = EB_SEC_USDT, OPTIONAL = EB_SEC_OPTIONAL, MAY_SLEEP = 1 << 4, BYTES = 320 };

static const struct kind kinds[] = {
#define SEC(name, prog, attach, flags)                                                             \
    {name, EB_PROG_##prog, EB_ATTACH_##attach, (flags)&SLEEPABLE ? MAY_SLEEP : 0, 0},
#include "prog.def"
    {"struct_ops", EB_PROG_STRUCT_OPS, EB_ATTACH_NONE, 0, 0},
};

static char log_text[1 << 16];
static struct btf *kernel;

/* Types that are attached to something of the kernel's BTF when they are loaded. */
static int target_of(const struct kind *kind) {
    if (kind->prog == EB_PROG_STRUCT_OPS)
        return btf__find_by_name_kind(kernel, "tcp_congestion_ops", BTF_KIND_STRUCT);
    if (kind->prog == EB_PROG_LSM)
        return btf__find_by_name_kind(kernel, "bpf_lsm_file_open", BTF_KIND_FUNC);
    if (kind->prog != EB_PROG_TRACING)
        return 0;
    if (kind->attach == EB_ATTACH_TRACE_RAW_TP)
        return btf__find_by_name_kind(kernel, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
    if (kind->attach == EB_ATTACH_TRACE_ITER)
        return btf__find_by_name_kind(kernel, "bpf_iter_task", BTF_KIND_FUNC);
    return btf__find_by_name_kind(kernel, "bpf_fentry_test1", BTF_KIND_FUNC);
}

/* 0, or -errno with the verifier's words in log_text. */
static int load(const struct kind *kind, struct bpf_insn insn, const char *license) {
    const struct bpf_insn insns[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2},
        insn,
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = (int)kind->result},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr;
    int target = target_of(kind);

    if (target < 0)
        return -ENOENT;
    memset(&attr, 0, sizeof(attr));
    attr.prog_type = kind->prog;
    attr.expected_attach_type = kind->attach;
    attr.prog_flags = kind->flags;
    attr.insns = (uint64_t)(uintptr_t)insns;
    attr.insn_cnt = sizeof(insns) / sizeof(insns[0]);
    attr.license = (uint64_t)(uintptr_t)license;
    attr.log_buf = (uint64_t)(uintptr_t)log_text;
    attr.log_size = sizeof(log_text);
    attr.log_level = 1;
    attr.attach_btf_id = (uint32_t)target;
    log_text[0] = 0;
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* Whether this kernel loads such programs at all; some must return 1. */
static bool loads(struct kind *kind) {
    const struct bpf_insn nothing = {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3};

    for (kind->result = 0; kind->result < 2; kind->result++)
        if (load(kind, nothing, "GPL") == 0)
            return true;
    return false;
}

struct tally {
    const char *what;
    unsigned agreed, loose;
};

static void judge(struct tally *tally, const struct kind *kind, bool ours, bool theirs,
                  const char *format, ...) {
    if (ours == theirs) {
        tally->agreed++;
        return;
    }
    va_list args;
    tally->loose += ours;
    printf("%s %s ", ours ? "loose" : "wrong", kind->section);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

static bool said(const char *const *words) {
    for (; *words; words++)
        if (strstr(log_text, *words))
            return true;
    return false;
}

static void ask_helpers(const struct kind *kind, unsigned step) {
    static const char *const refusals[] = {"invalid func ", "unknown func ", "cannot use helper",
                                           "helper call is not allowed", NULL};
    static const char *const unfree[] = {"GPL", NULL};
    struct tally calls = {"helper", 0, 0}, licences = {"licence", 0, 0};

    for (uint32_t id = 1; eb_helper_name(id); id += step) {
        const struct bpf_insn call = {.code = BPF_JMP | BPF_CALL, .imm = (int)id};
        bool may = load(kind, call, "GPL") == 0 || !said(refusals);
        judge(&calls, kind, eb_may_call(kind->prog, kind->attach, id), may, "bpf_%s",
              eb_helper_name(id));
        if (!may || kind->prog == EB_PROG_STRUCT_OPS) /* which needs the licence by itself */
            continue;
        bool free_for_all = load(kind, call, "Proprietary") == 0 || !said(unfree);
        judge(&licences, kind, !eb_helper_needs_gpl(id), free_for_all, "licence bpf_%s",
              eb_helper_name(id));
    }
    printf("helper %s %u %u\n", kind->section, calls.agreed, calls.loose);
    printf("licence %s %u %u\n", kind->section, licences.agreed, licences.loose);
}

static void ask_context(const struct kind *kind, unsigned step) {
    static const uint8_t codes[] = {[1] = BPF_B, [2] = BPF_H, [4] = BPF_W, [8] = BPF_DW};
    struct tally tally = {"context", 0, 0};
    eb_layout_id layout = eb_layout_of(kind->prog, sizeof(void *) != 8);
    uint32_t group = eb_group_of(kind->prog, kind->attach);

    if (layout == EB_LAYOUT_NONE || layout == EB_LAYOUT_ARGS) /* its types are in BTF */
        return;
    for (uint32_t size = 1; size <= 8; size *= 2)
        for (uint32_t offset = 0; offset < BYTES; offset += step)
            for (int write = 0; write < 2; write++) {
                struct bpf_insn insn = {.code = (uint8_t)(BPF_LDX | BPF_MEM | codes[size]),
                                        .dst_reg = BPF_REG_2,
                                        .src_reg = BPF_REG_1,
                                        .off = (int16_t)offset};
                const eb_ctx_field *field;
                if (write)
                    insn = (struct bpf_insn){.code = (uint8_t)(BPF_STX | BPF_MEM | codes[size]),
                                             .dst_reg = BPF_REG_1,
                                             .src_reg = BPF_REG_2,
                                             .off = (int16_t)offset};
                bool may = load(kind, insn, "GPL") == 0;
                bool ours = !eb_access_refused(layout, group, offset, size, write != 0, &field);
                judge(&tally, kind, ours, may, "%s of %u at %u", write ? "write" : "read", size,
                      offset);
            }
    printf("context %s %u %u\n", kind->section, tally.agreed, tally.loose);
}

/* Sections that make the same programs are asked once. */
static bool seen(const struct kind *kind) {
    for (const struct kind *before = kinds; before < kind; before++)
        if (before->prog == kind->prog && before->attach == kind->attach &&
            before->flags == kind->flags)
            return true;
    return false;
}

int main(int argc, char **argv) {
    unsigned step = argc > 1 ? (unsigned)atoi(argv[1]) : 1, asked = 0, unknown = 0;

    kernel = btf__load_vmlinux_btf();
    if (!kernel || !step)
        return 2;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct kind kind = kinds[i];
        if (seen(&kinds[i]))
            continue;
        asked++;
        if (!loads(&kind)) {
            unknown++;
            continue;
        }
        ask_helpers(&kind, step);
        ask_context(&kind, step);
    }
    printf("types %u asked, %u this kernel does not load\n", asked, unknown);
    btf__free(kernel);
    return 0;
}
