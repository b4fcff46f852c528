/* Any bytes as the BTF that stands for vmlinux.h, or a pair (lib/pair.h) of a kernel's and a
 * module's: a program that mentions what is in there, names, members and enumerators, is checked.
 * BTF that is refused at once is told; a type that is wrong is an error of the program that uses
 * it. The program is written from the bytes by internals that read them unchecked, as the compiler
 * does.
 */
#include "ebpf_cc.h"
#include "fuzz.h"
#include "guard.h"
#include "lib/pair.h"

#include "btf.h"

enum { TYPES_MOST = 48, MEMBERS_MOST = 12 };

typedef struct input {
    part parts[2];
    uint32_t count;
} input;

static bool is_identifier(eb_str name) {
    for (size_t i = 0; i < name.len; i++)
        if (!(name.at[i] == '_' || (name.at[i] >= 'a' && name.at[i] <= 'z') ||
              (name.at[i] >= 'A' && name.at[i] <= 'Z') ||
              (i && name.at[i] >= '0' && name.at[i] <= '9')))
            return false;
    return name.len > 0 && name.len < 64;
}

/* A record is pointed to, measured, made a variable of, and its members are read. */
static void mention_record(const eb_btf *btf, const eb_btf_type *type, uint32_t id, eb_buf *text) {
    const char *tag = type->kind == EB_BTF_UNION ? "union" : "struct";
    int length = (int)type->name.len;
    const char *name = type->name.at;
    eb_buf_fmt(text, "%s %.*s *p%u;\nlong s%u(void) { return sizeof(*p%u); }\n", tag, length, name,
               id, id, id);
    if (id % 2)
        eb_buf_fmt(text, "%s %.*s v%u = {0};\n", tag, length, name, id);
    for (uint32_t i = 0; i < type->count && i < MEMBERS_MOST; i++) {
        eb_btf_member m = eb_btf_member_at(btf, type, i);
        if (!is_identifier(m.name))
            continue;
        eb_buf_fmt(text, "void m%u_%u(%s %.*s *p) { (void)p->%.*s; }\n", id, i, tag, length, name,
                   (int)m.name.len, m.name.at);
    }
}

static void mention(const eb_btf *btf, uint32_t id, eb_buf *text) {
    eb_btf_type type = eb_btf_at(btf, id);
    int length = (int)type.name.len;
    bool named = is_identifier(type.name);
    switch (type.kind) {
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        if (named)
            mention_record(btf, &type, id, text);
        break;
    case EB_BTF_TYPEDEF:
        if (named)
            eb_buf_fmt(text, "%.*s *t%u;\nlong z%u(void) { return sizeof(*t%u); }\n", length,
                       type.name.at, id, id, id);
        break;
    case EB_BTF_FUNC:
        if (named)
            eb_buf_fmt(text, "void f%u(void) { (void)&%.*s; }\n", id, length, type.name.at);
        break;
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        for (uint32_t i = 0; i < type.count && i < MEMBERS_MOST; i++) {
            eb_btf_member m = eb_btf_member_at(btf, &type, i);
            if (is_identifier(m.name))
                eb_buf_fmt(text, "long e%u_%u = %.*s;\n", id, i, (int)m.name.len, m.name.at);
        }
        if (named)
            eb_buf_fmt(text, "enum %.*s n%u;\n", length, type.name.at, id);
        break;
    default:
        break;
    }
}

static int write_program(ebpf_ctx *ctx, const input *in, eb_buf *text) {
    eb_btf *btfs[2] = {NULL, NULL};
    eb_buf_str(text, EB_STR("struct list_head;\n#include \"vmlinux.h\"\n"));
    for (uint32_t n = 0; n < in->count; n++) {
        const part *p = &in->parts[n];
        if (eb_btf_open_unchecked(ctx, EB_STR("fuzz"), p->at, p->size, btfs[0], &btfs[n]))
            return EBPF_E_INPUT;
        uint32_t count = btfs[n]->count - btfs[n]->first;
        for (uint32_t i = 0; i < count && i < TYPES_MOST; i++)
            mention(btfs[n], btfs[n]->first + i, text);
    }
    return EBPF_OK;
}

typedef struct program {
    const input *in;
    eb_buf text;
} program;

static int run_write(ebpf_ctx *ctx, void *args) {
    program *p = args;
    p->text = (eb_buf){.arena = &ctx->arena};
    return write_program(ctx, p->in, &p->text);
}

static int compile(ebpf_ctx *ctx, const program *p) {
    ebpf_core_target btfs[2];
    ebpf_cc_file wanted;
    ebpf_cc *unit;
    for (uint32_t n = 0; n < p->in->count; n++)
        btfs[n] = (ebpf_core_target){"fuzz", 4, p->in->parts[n].at, p->in->parts[n].size};
    int status = ebpf_cc_new(ctx, "fuzz.c", 6, p->text.at, p->text.len, NULL, &unit);
    while (status == EBPF_OK && (status = ebpf_cc_check(unit)) == EBPF_NEED_FILE) {
        REQUIRE(ebpf_cc_request(unit, &wanted) == EBPF_OK);
        status = ebpf_cc_answer_btf(unit, btfs, p->in->count);
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *source = ebpf_ctx_new(FUZZ_MEMORY), *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    input in = {.parts = {{data, size}}, .count = 1};
    program p = {.in = &in};
    if (open_pair(data, size, &in.parts[0], &in.parts[1]))
        in.count = 2;
    if (source && ctx && eb_guard(source, run_write, &p) == EBPF_OK) {
        int status = compile(ctx, &p);
        plant(status == EBPF_E_INPUT && ebpf_error_count(ctx) > 12, data, size);
        require_diagnostics(ctx, status);
    }
    ebpf_ctx_free(source);
    ebpf_ctx_free(ctx);
    return 0;
}

static size_t mutate_types(uint8_t *data, size_t size, size_t most, chance *dice) {
    return is_elf(data, size) ? mutate_elf(data, size, most, dice)
                              : mutate_btf(data, size, most, dice);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    return mutate_pair(data, size, most, &(chance){seed}, mutate_btf, mutate_types);
}
