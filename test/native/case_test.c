/* case_test.c - the case corpus: every test/cases/<folder>/<name>.case is a test.
 *
 * A case is text in parts. A part starts with a line "-- name"; what stands before the first one is
 * a comment. Parts:
 *   -- input.s    assembly                  -- args    --dialect ubpf|llvm, --endian big|little,
 *                                             C: -W…, -g0, -ferror-limit=N; --compile where only
 *                                             diagnostics of that are expected
 *   -- input.c    or C                      -- file NAME  what an #include finds, one part each;
 *                                             with parts about code it is compiled
 *   -- btf NAME   types as raw_btf.h reads them; the first stands for vmlinux.h, the others on it
 *   -- tokens     expected: the C preprocessed; without it, the C is checked
 *   -- btf        expected: the BTF of all functions and variables of the C, as bpftool lists it
 *   -- input.ir   or a unit of the compiler (asm-core/ir/print.c), through --pass NAME,NAME of args
 *   -- ir         expected: what the passes leave; without it, code is made of it, for the parts
 *                 below
 *   -- raw        expected: the bytes of every code section
 *   -- dis        expected: the disassembly, without .BTF and .BTF.ext
 *   -- diag       expected: the diagnostics; the input must be wrong exactly when this is here,
 *                 unless a run faults
 *   -- info       expected: the object as JSON
 *   -- target.s   assembly of an object whose BTF is relocated against
 *   -- core       expected: what became of the CO-RE relocations, which failed when there is --
 * diag
 *   -- input.log  or a log of the kernel's verifier; program.c or program.s is what it is of, for
 *                 `npm run check:peers -- explain`
 *   -- explain    expected: why the program was refused
 *   -- run        lines "prog=NAME mem=HEX", all optional; expected behind each, "=> r0" and the
 *                 memory after it when it was given, or "=> fault"
 * BLESS=1 writes what came out into the expected parts that a case has.
 *
 * Whatever a case expects, of every input that assembles is checked: its ELF is read and written
 * again to the same bytes, and its disassembly, in either dialect, assembles to the same code. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btf_dump.h"
#include "btf_gen.h"
#include "ebpf_cc.h"
#include "ebpf_verify.h"
#include "ebpf_vm.h"
#include "gen.h"
#include "guard.h"
#include "pass.h"
#include "raw_btf.h"

#ifndef CASES
#error "CASES must name the folder of the corpus"
#endif

enum { PARTS_MOST = 16, CASES_MOST = 4096, PATH_MOST = 512 };

typedef struct part {
    eb_str name, text;
} part;

typedef struct test_case {
    char path[PATH_MOST];
    char *text;
    size_t size;
    part parts[PARTS_MOST];
    unsigned count;
    ebpf_ctx *ctx; /* of the request at hand */
    int dialect, endian;
    char warnings[256]; /* lines */
    uint32_t error_limit;
    bool changed;  /* a part got another text: BLESS */
    bool compiles; /* args: --compile */
    bool bare;     /* args: -g0 */
} test_case;

static bool code_seen[EB_DIAG_COUNT];

static bool blessing(void) {
    const char *bless = getenv("BLESS");
    return bless && *bless && strcmp(bless, "0") != 0;
}

/* ---- files and parts ---- */

static void read_case(test_case *c) {
    FILE *file = fopen(c->path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    c->size = (size_t)size;
    c->text = malloc(c->size + 1);
    assert_non_null(c->text);
    assert_int_equal(fread(c->text, 1, c->size, file), c->size);
    c->text[c->size] = 0;
    fclose(file);
}

static void split_case(test_case *c) {
    char *end = c->text + c->size, *line = c->text;
    while (line < end) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        char *next = stop ? stop + 1 : end;
        if (memcmp(line, "-- ", next - line < 3 ? (size_t)(next - line) : 3) == 0) {
            assert_true(c->count < PARTS_MOST);
            part *p = &c->parts[c->count++];
            p->name = (eb_str){line + 3, (size_t)((stop ? stop : end) - line - 3)};
            p->text = (eb_str){next, 0};
        } else if (c->count) {
            c->parts[c->count - 1].text.len = (size_t)(next - c->parts[c->count - 1].text.at);
        }
        line = next;
    }
}

static part *find_part(test_case *c, const char *name) {
    for (unsigned i = 0; i < c->count; i++)
        if (eb_str_is(c->parts[i].name, name))
            return &c->parts[i];
    return NULL;
}

/* Compare an expected part with what came out; a part that is not there expects nothing. */
static void expect(test_case *c, const char *name, const void *data, size_t size) {
    part *p = find_part(c, name);
    if (!p || (p->text.len == size && memcmp(p->text.at, data, size) == 0))
        return;
    if (!blessing())
        fail_msg("%s: %s is\n%.*sbut expected was\n%.*s", c->path, name, (int)size,
                 (const char *)data, (int)p->text.len, p->text.at);
    p->text = eb_str_copy(&c->ctx->arena, (eb_str){data, size});
    c->changed = true;
}

static void write_case(const test_case *c) {
    FILE *file = fopen(c->path, "wb");
    assert_non_null(file);
    fwrite(c->text, 1, (size_t)(c->parts[0].name.at - 3 - c->text), file);
    for (unsigned i = 0; i < c->count; i++) {
        const part *p = &c->parts[i];
        fprintf(file, "-- %.*s\n", (int)p->name.len, p->name.at);
        fwrite(p->text.at, 1, p->text.len, file);
        if (p->text.len && p->text.at[p->text.len - 1] != '\n')
            fputc('\n', file);
    }
    fclose(file);
}

/* ---- expectations ---- */

static bool is_code(const eb_section *section) {
    return (section->flags & EB_SHF_EXECINSTR) && section->bytes.len;
}

static void put_code(const ebpf_object *obj, eb_buf *out) {
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        const eb_section *section = &obj->sections.at[i];
        if (!is_code(section))
            continue;
        eb_buf_fmt(out, "%.*s:\n", (int)section->name.len, section->name.at);
        for (size_t b = 0; b < section->bytes.len; b++)
            eb_buf_fmt(out, "%02x%c", section->bytes.at[b], b % 8 == 7 ? '\n' : ' ');
    }
}

static eb_str without_btf(ebpf_bytes text) {
    const char *at = text.data, *btf = at ? strstr(at, "\t.section\t.BTF,") : NULL;
    return (eb_str){at, btf ? (size_t)(btf - at) : text.size};
}

static ebpf_bytes diagnostics(test_case *c) {
    ebpf_bytes text;
    assert_int_equal(ebpf_diagnostics(c->ctx, EBPF_DIAG_TEXT, &text), EBPF_OK);
    return text;
}

static ebpf_object *assemble(test_case *c, ebpf_ctx *ctx, int dialect, eb_str text, int *status) {
    ebpf_object *obj = NULL;
    *status = ebpf_assemble(ctx, "input.s", 7, text.at, text.len, dialect, c->endian, &obj);
    return obj;
}

/* ---- properties ---- */

static void check_elf(test_case *c, const ebpf_object *obj) {
    ebpf_bytes elf, again;
    ebpf_object *back;
    assert_int_equal(ebpf_object_write(c->ctx, obj, &elf), EBPF_OK);
    if (ebpf_object_read(c->ctx, "back.o", 6, elf.data, elf.size, &back) != EBPF_OK) {
        ebpf_bytes text = diagnostics(c);
        fail_msg("%s: our own ELF is refused:\n%.*s", c->path, (int)text.size,
                 (const char *)text.data);
    }
    assert_int_equal(ebpf_object_write(c->ctx, back, &again), EBPF_OK);
    assert_int_equal(elf.size, again.size);
    assert_memory_equal(elf.data, again.data, elf.size);
}

static const eb_section *section_called(const ebpf_object *obj, eb_str name) {
    uint32_t found = eb_object_find_section(obj, name);
    return found ? &obj->sections.at[found] : NULL;
}

static void compare_code(const test_case *c, const ebpf_object *a, const ebpf_object *b) {
    for (uint32_t i = 1; i < a->sections.len; i++) {
        const eb_section *x = &a->sections.at[i], *y = section_called(b, x->name);
        if (!is_code(x))
            continue;
        if (!y || y->bytes.len != x->bytes.len || memcmp(x->bytes.at, y->bytes.at, x->bytes.len) ||
            x->relocs.len != y->relocs.len)
            fail_msg("%s: %.*s is not the same after disassembling and assembling", c->path,
                     (int)x->name.len, x->name.at);
        for (uint32_t r = 0; r < x->relocs.len; r++) {
            assert_int_equal(x->relocs.at[r].offset, y->relocs.at[r].offset);
            assert_int_equal(x->relocs.at[r].type, y->relocs.at[r].type);
        }
    }
}

static void check_dis(test_case *c, const ebpf_object *obj, int dialect) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    ebpf_bytes text;
    int status;
    assert_int_equal(ebpf_disassemble(c->ctx, obj, dialect, EBPF_DIS_RAW, &text), EBPF_OK);
    ebpf_object *back = assemble(c, ctx, dialect, (eb_str){text.data, text.size}, &status);
    if (!back) {
        ebpf_bytes said;
        ebpf_diagnostics(ctx, EBPF_DIAG_TEXT, &said);
        fail_msg("%s: its disassembly does not assemble:\n%.*s\n%.*s", c->path, (int)said.size,
                 (const char *)said.data, (int)text.size, (const char *)text.data);
    }
    compare_code(c, obj, back);
    ebpf_ctx_free(ctx);
}

/* ---- running ---- */

typedef struct run {
    char prog[64];
    uint8_t mem[4096];
    uint32_t size;
    bool with_memory;
} run;

static void parse_run(const test_case *c, eb_str line, run *r) {
    const char *at = line.at, *end = line.at + line.len;
    while (at < end) {
        while (at < end && *at == ' ')
            at++;
        const char *word = at;
        while (at < end && *at != ' ')
            at++;
        eb_str w = {word, (size_t)(at - word)};
        if (eb_str_starts(w, "prog=") && w.len - 5 < sizeof r->prog) {
            memcpy(r->prog, w.at + 5, w.len - 5);
        } else if (eb_str_starts(w, "mem=")) {
            r->with_memory = true;
            for (size_t i = 4; i + 1 < w.len && r->size < sizeof r->mem; i += 2) {
                char digits[3] = {w.at[i], w.at[i + 1], 0};
                r->mem[r->size++] = (uint8_t)strtoul(digits, NULL, 16);
            }
        } else if (w.len) {
            fail_msg("%s: run line: what is '%.*s'?", c->path, (int)w.len, w.at);
        }
    }
}

static void put_run(test_case *c, const ebpf_object *obj, eb_str line, eb_buf *out) {
    run r = {0};
    ebpf_vm *vm = NULL;
    parse_run(c, line, &r);
    eb_buf_str(out, line);
    eb_buf_byte(out, '\n');
    if (ebpf_vm_new(c->ctx, obj, 0, &vm) != EBPF_OK) {
        eb_buf_str(out, EB_STR("=> refused\n"));
        return;
    }
    int program = ebpf_vm_program_find(vm, r.prog, (uint32_t)strlen(r.prog));
    assert_true(program >= 0);
    assert_int_equal(
        ebpf_vm_start(vm, (uint32_t)program, r.mem, r.size, r.with_memory ? EBPF_VM_SIZE_IN_R2 : 0),
        EBPF_OK);
    ebpf_vm_state_of(vm)->budget = 1000000;
    int stop = ebpf_vm_run(vm);
    if (stop == EBPF_STOP_EXIT)
        eb_buf_fmt(out, "=> 0x%llx", (unsigned long long)ebpf_vm_state_of(vm)->reg[0]);
    else
        eb_buf_fmt(out, "=> %s", stop == EBPF_STOP_FAULT ? "fault" : "stopped");
    for (uint32_t i = 0; i < r.size; i++)
        eb_buf_fmt(out, "%s%02x", i ? "" : " ", r.mem[i]);
    eb_buf_byte(out, '\n');
}

static void check_runs(test_case *c, const ebpf_object *obj) {
    part *p = find_part(c, "run");
    eb_buf out = {.arena = &c->ctx->arena};
    for (size_t at = 0; p && at < p->text.len;) {
        const char *line = p->text.at + at, *stop = memchr(line, '\n', p->text.len - at);
        size_t len = stop ? (size_t)(stop - line) : p->text.len - at;
        if (len < 2 || memcmp(line, "=>", 2) != 0)
            put_run(c, obj, (eb_str){line, len}, &out);
        at += len + 1;
    }
    if (p)
        expect(c, "run", out.at, out.len);
}

/* ---- a case ---- */

/* Where an argument stands, or NULL. */
static const char *arg_of(const part *p, const char *arg) {
    const char *at = strstr(p->text.at, arg);
    return at && at < p->text.at + p->text.len ? at : NULL;
}

static void parse_args(test_case *c) {
    part *p = find_part(c, "args");
    c->error_limit = UINT32_MAX;
    if (!p)
        return;
    c->dialect = arg_of(p, "--dialect ubpf") ? EBPF_DIALECT_UBPF : EBPF_DIALECT_LLVM;
    c->compiles = arg_of(p, "--compile") != NULL;
    c->bare = arg_of(p, "-g0") != NULL;
    c->endian = arg_of(p, "--endian big") ? EBPF_BIG : EBPF_LITTLE;
    size_t length = 0;
    const char *limit = arg_of(p, "-ferror-limit=");
    if (limit)
        c->error_limit = (uint32_t)strtoul(strchr(limit, '=') + 1, NULL, 10);
    for (size_t at = 0; at + 2 < p->text.len; at++) {
        if (p->text.at[at] != '-' || p->text.at[at + 1] != 'W')
            continue;
        for (at += 2; at < p->text.len && !strchr(" \n", p->text.at[at]); at++)
            c->warnings[length++] = p->text.at[at];
        c->warnings[length++] = '\n';
        assert_true(length < sizeof c->warnings - 64);
    }
}

static void check_object(test_case *c, const ebpf_object *obj) {
    eb_buf code = {.arena = &c->ctx->arena};
    ebpf_bytes text;
    put_code(obj, &code);
    expect(c, "raw", code.at, code.len);
    assert_int_equal(ebpf_disassemble(c->ctx, obj, c->dialect, 0, &text), EBPF_OK);
    eb_str shown = without_btf(text);
    expect(c, "dis", shown.at, shown.len);
    if (find_part(c, "info")) {
        assert_int_equal(ebpf_object_info(c->ctx, obj, &text), EBPF_OK);
        eb_buf line = {.arena = &c->ctx->arena};
        eb_buf_put(&line, text.data, text.size);
        eb_buf_byte(&line, '\n');
        expect(c, "info", line.at, line.len);
    }
    check_elf(c, obj);
    check_dis(c, obj, EBPF_DIALECT_LLVM);
    check_dis(c, obj, EBPF_DIALECT_UBPF);
    check_runs(c, obj);
}

/* CO-RE relocations against the BTF of -- target.s; the object is changed, so this comes last. */
static void check_core(test_case *c, ebpf_object *obj) {
    part *input = find_part(c, "target.s");
    ebpf_bytes elf, list;
    int status;
    if (!input)
        return;
    ebpf_object *target = assemble(c, c->ctx, c->dialect, input->text, &status);
    assert_non_null(target);
    assert_int_equal(ebpf_object_write(c->ctx, target, &elf), EBPF_OK);
    ebpf_core_target against = {"target.o", 8, elf.data, elf.size};
    status = ebpf_object_relocate(c->ctx, obj, &against, 1, EBPF_CORE_TEXT, &list);
    assert_int_equal(status, find_part(c, "diag") ? EBPF_E_INPUT : EBPF_OK);
    expect(c, "core", list.data, list.size);
}

static void check_assembly(test_case *c, eb_str input) {
    int status;
    ebpf_object *obj = assemble(c, c->ctx, c->dialect, input, &status);
    if (obj)
        check_object(c, obj);
    if (obj)
        check_core(c, obj);
    ebpf_bytes said = diagnostics(c);
    expect(c, "diag", said.data, said.size);
    if (!obj && !find_part(c, "diag"))
        fail_msg("%s does not assemble:\n%.*s", c->path, (int)said.size, (const char *)said.data);
}

/* ---- C ---- */

/* The parts "btf NAME" as the bytes of BTF, on one another. */
static uint32_t make_btfs(test_case *c, ebpf_core_target *out) {
    const eb_btf *base = NULL;
    uint32_t count = 0;
    for (unsigned i = 0; i < c->count; i++) {
        const part *p = &c->parts[i];
        if (!eb_str_starts(p->name, "btf "))
            continue;
        eb_buf bytes = {.arena = &c->ctx->arena};
        const eb_btf *btf = raw_btf(c->ctx, p->text, base, c->endian == EBPF_BIG, &bytes);
        if (!btf)
            fail_msg("%s: %.*s cannot be read", c->path, (int)p->name.len, p->name.at);
        out[count++] = (ebpf_core_target){p->name.at + 4, p->name.len - 4, bytes.at, bytes.len};
        base = base ? base : btf;
    }
    return count;
}

/* Give the unit the file that it asks for: the part "file NAME", or BTF. */
static int answer(test_case *c, ebpf_cc *unit) {
    ebpf_cc_file wanted;
    char name[128];
    assert_int_equal(ebpf_cc_request(unit, &wanted), EBPF_OK);
    snprintf(name, sizeof name, "file %.*s", (int)wanted.spelling_size, wanted.spelling);
    part *p = find_part(c, name);
    if (!p) {
        ebpf_core_target btfs[PARTS_MOST];
        uint32_t count = strstr(name, "vmlinux.h") ? make_btfs(c, btfs) : 0;
        return count ? ebpf_cc_answer_btf(unit, btfs, count) : ebpf_cc_absent(unit);
    }
    return ebpf_cc_answer(unit, wanted.spelling, wanted.spelling_size, p->text.at, p->text.len, 0);
}

static ebpf_cc *unit_of(test_case *c, const char *name, eb_str input) {
    ebpf_cc_options options = {.endian = (uint32_t)c->endian,
                               .bare = c->bare,
                               .warnings = c->warnings,
                               .warnings_size = strlen(c->warnings),
                               .error_limit = c->error_limit};
    ebpf_cc *unit;
    assert_int_equal(ebpf_cc_new(c->ctx, name, strlen(name), input.at, input.len, &options, &unit),
                     EBPF_OK);
    return unit;
}

static ebpf_bytes preprocess(test_case *c, const char *name, eb_str input, int *status) {
    ebpf_cc *unit = unit_of(c, name, input);
    ebpf_bytes text = {0};
    while ((*status = ebpf_cc_preprocess(unit, &text)) == EBPF_NEED_FILE)
        assert_int_equal(answer(c, unit), EBPF_OK);
    return text;
}

static int check(test_case *c, eb_str input) {
    ebpf_cc *unit = unit_of(c, "input.c", input);
    int status;
    while ((status = ebpf_cc_check(unit)) == EBPF_NEED_FILE)
        assert_int_equal(answer(c, unit), EBPF_OK);
    return status;
}

/* Whether a part is about the code that a compiler makes of C. */
static bool is_about_code(test_case *c) {
    return find_part(c, "raw") || find_part(c, "dis") || find_part(c, "info") ||
           find_part(c, "core") || find_part(c, "run") || c->compiles;
}

static int compile(test_case *c, eb_str input, ebpf_object **obj) {
    ebpf_cc *unit = unit_of(c, "input.c", input);
    int status;
    while ((status = ebpf_cc_compile(unit, obj)) == EBPF_NEED_FILE)
        assert_int_equal(answer(c, unit), EBPF_OK);
    return status;
}

/* Where a variable is: a section each says, or one for all. */
static eb_str section_of(const eb_decl *decl) {
    if (decl->attrs.section.len || decl->storage == EB_STORAGE_EXTERN)
        return decl->attrs.section;
    if (eb_type_quals(decl->type) & EB_CONST)
        return EB_STR(".rodata");
    return decl->has_init ? EB_STR(".data") : EB_STR(".bss");
}

static void gen_variable(eb_btf_gen *g, ebpf_object *obj, const eb_unit *u, const eb_decl *decl) {
    eb_str name = section_of(decl);
    uint32_t size = (uint32_t)eb_type_size(decl->type), offset = 0;
    if (name.len && decl->storage != EB_STORAGE_EXTERN) {
        uint32_t number = eb_object_find_section(obj, name);
        if (!number)
            number = eb_object_add_section(obj, name, EB_SHT_PROGBITS, EB_SHF_ALLOC);
        eb_buf *bytes = &obj->sections.at[number].bytes;
        eb_buf_align(bytes, eb_type_align(decl->type));
        offset = (uint32_t)bytes->len;
        eb_buf_room(bytes, size);
        obj->sections.at[number].size = bytes->len;
    }
    assert_int_not_equal(eb_btf_gen_var(g, decl, eb_name_text(u, decl->name), name, offset, size),
                         0);
}

static int gen_btf(ebpf_ctx *ctx, void *args) {
    test_case *c = args;
    part *input = find_part(c, "input.c");
    eb_pp_options options = {.cpu = 3, .big = c->endian == EBPF_BIG, .optimize = true};
    eb_pp *pp = eb_pp_new(ctx, EB_STR("input.c"), input->text, &options);
    while (!eb_pp_run(pp)) {
        eb_str spelling = pp->requests.at[pp->wanted - 1].spelling;
        eb_str name = eb_str_fmt(&ctx->arena, "file %.*s", (int)spelling.len, spelling.at);
        part *file = find_part(c, name.at);
        assert_non_null(file);
        eb_pp_found(pp, pp->wanted - 1, spelling, file->text, false);
    }
    eb_unit *u = eb_parse(pp);
    ebpf_object *obj = eb_object_new(ctx, options.big);
    eb_btf_gen *g = eb_btf_gen_new(u, obj);
    for (uint32_t n = 0; n < u->globals.len; n++) {
        if (u->globals.at[n]->kind == EB_DECL_VARIABLE)
            gen_variable(g, obj, u, u->globals.at[n]);
        else
            assert_int_not_equal(eb_btf_gen_func(g, u->globals.at[n]), 0);
    }
    int status = eb_btf_gen_finish(g);
    if (status)
        return status;
    eb_buf text = {.arena = &ctx->arena};
    eb_btf_dump_raw(obj->btf, NULL, 0, &text);
    expect(c, "btf", text.at, text.len);
    return eb_object_index(obj);
}

/* Without white space: what tokens there are does not depend on it once they are apart. */
static eb_str squeezed(test_case *c, ebpf_bytes text) {
    eb_buf out = {.arena = &c->ctx->arena};
    for (size_t i = 0; i < text.size; i++)
        if (!strchr(" \n", ((const char *)text.data)[i]))
            eb_buf_byte(&out, ((const uint8_t *)text.data)[i]);
    return (eb_str){(const char *)out.at, out.len};
}

static void check_c(test_case *c, eb_str input) {
    int status;
    bool tokens = find_part(c, "tokens");
    ebpf_bytes text = {0};
    ebpf_object *obj = NULL;
    if (tokens)
        text = preprocess(c, "input.c", input, &status);
    else if (is_about_code(c))
        status = compile(c, input, &obj);
    else
        status = check(c, input);
    ebpf_bytes said = diagnostics(c);
    eb_str bytes = {text.data, text.size};
    expect(c, "tokens", bytes.at, bytes.len);
    expect(c, "diag", said.data, said.size);
    if (status != EBPF_OK && !find_part(c, "diag"))
        fail_msg("%s: %.*s", c->path, (int)said.size, (const char *)said.data);
    if (find_part(c, "btf") && eb_guard(c->ctx, gen_btf, c))
        fail_msg("%s: it has no BTF", c->path);
    if (obj && status == EBPF_OK) {
        check_object(c, obj);
        check_core(c, obj);
    }
    if (status != EBPF_OK || !tokens)
        return;
    /* Macros are gone: what came out is read to the same again. */
    eb_str again = squeezed(c, preprocess(c, "output.c", bytes, &status));
    eb_str once = squeezed(c, text);
    if (!eb_str_eq(once, again))
        fail_msg("%s: its tokens are read as\n%.*s", c->path, (int)again.len, again.at);
}

/* ---- IR ---- */

static void check_unit(const test_case *c, const eb_ir_unit *unit, const char *when) {
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        eb_str problem = {0};
        if (unit->symbols.at[n].fn)
            problem = eb_ir_check(unit->symbols.at[n].fn);
        if (problem.len)
            fail_msg("%s: %s: %.*s", c->path, when, (int)problem.len, problem.at);
    }
}

static void run_passes(test_case *c, eb_ir_unit *unit) {
    part *p = find_part(c, "args");
    const char *at = p ? strstr(p->text.at, "--pass ") : NULL;
    if (!at || at >= p->text.at + p->text.len)
        return;
    for (at += 7; *at && *at != '\n' && *at != ' ';) {
        size_t len = strcspn(at, ", \n");
        if (!eb_ir_run(unit, (eb_str){at, len}))
            fail_msg("%s: there is no pass %.*s", c->path, (int)len, at);
        if (unit->broken.len)
            fail_msg("%s: %.*s", c->path, (int)unit->broken.len, unit->broken.at);
        at += len + (at[len] == ',');
    }
}

static eb_str printed(test_case *c, const eb_ir_unit *unit) {
    eb_buf out = {.arena = &c->ctx->arena};
    eb_ir_print(unit, &out);
    return (eb_str){(const char *)out.at, out.len};
}

static eb_ir_unit *read_unit(test_case *c, eb_str text) {
    eb_str error;
    eb_ir_unit *unit = eb_ir_read(c->ctx, text, &error);
    if (!unit)
        fail_msg("%s: %.*s", c->path, (int)error.len, error.at);
    return unit;
}

/* Without an expected IR the unit becomes an object. */
static void check_code(test_case *c, eb_ir_unit *unit) {
    ebpf_object *obj = eb_gen_data(unit);
    eb_gen_code(unit, obj);
    ebpf_bytes said = diagnostics(c);
    expect(c, "diag", said.data, said.size);
    if (c->ctx->errors && !find_part(c, "diag"))
        fail_msg("%s: %.*s", c->path, (int)said.size, (const char *)said.data);
    if (c->ctx->errors || eb_object_index(obj))
        return;
    c->endian = unit->big ? EBPF_BIG : EBPF_LITTLE;
    check_object(c, obj);
}

/* What is printed reads back to what prints the same. */
static void check_ir(test_case *c, eb_str input) {
    eb_ir_unit *unit = read_unit(c, input);
    check_unit(c, unit, "input");
    eb_str before = printed(c, unit), again = printed(c, read_unit(c, before));
    if (!eb_str_eq(before, again))
        fail_msg("%s: it is read back as\n%.*s", c->path, (int)again.len, again.at);
    run_passes(c, unit);
    eb_str after = printed(c, unit);
    expect(c, "ir", after.at, after.len);
    if (!find_part(c, "ir")) {
        check_code(c, unit);
        return;
    }
    ebpf_bytes said = diagnostics(c);
    expect(c, "diag", said.data, said.size);
    if (said.size && !find_part(c, "diag"))
        fail_msg("%s: %.*s", c->path, (int)said.size, (const char *)said.data);
}

/* ---- logs ---- */

static void check_log(test_case *c, eb_str text) {
    ebpf_log *log;
    ebpf_bytes said;
    assert_int_equal(ebpf_log_read(c->ctx, text.at, text.len, &log), EBPF_OK);
    assert_int_equal(ebpf_log_explain(c->ctx, log, EBPF_DIAG_TEXT, &said), EBPF_OK);
    expect(c, "explain", said.data, said.size);
}

static void check_case(void **state) {
    test_case *c = *state;
    read_case(c);
    split_case(c);
    part *input = find_part(c, "input.s"), *source = find_part(c, "input.c");
    part *ir = find_part(c, "input.ir"), *log = find_part(c, "input.log");
    assert_true(input || source || ir || log);
    parse_args(c);
    c->ctx = ebpf_ctx_new(0);
    if (log)
        check_log(c, log->text);
    else if (ir)
        check_ir(c, ir->text);
    else if (source)
        check_c(c, source->text);
    else
        check_assembly(c, input->text);
    for (uint32_t i = 0; i < c->ctx->diags.len; i++)
        code_seen[c->ctx->diags.at[i].code] = true;
    if (c->changed)
        write_case(c);
    ebpf_ctx_free(c->ctx);
    free(c->text);
}

/* ---- the corpus ---- */

/* Runs last: no diagnostic that text can cause is without a case that shows it. Those about binary
 * inputs are obj_test's. */
static void every_code_has_a_case(void **state) {
    static const char *const names[] = {
#define DIAG(id, severity, message, help) #id,
#include "diag.def"
    };
    (void)state;
    for (unsigned i = 0; i < EB_DIAG_NOT_ELF; i++)
        if (!code_seen[i])
            fail_msg("no case shows the diagnostic %s", names[i]);
}

static test_case *cases[CASES_MOST];
static struct CMUnitTest tests[CASES_MOST + 1];
static unsigned case_count;

static int compare_paths(const void *a, const void *b) {
    return strcmp((*(test_case *const *)a)->path, (*(test_case *const *)b)->path);
}

static void find_cases(const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[PATH_MOST];
        const char *dot = strrchr(entry->d_name, '.');
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= PATH_MOST)
            continue;
        if (dot && strcmp(dot, ".case") == 0 && case_count < CASES_MOST) {
            test_case *c = calloc(1, sizeof *c);
            if (!c)
                abort();
            memcpy(c->path, path, sizeof path);
            cases[case_count++] = c;
        } else if (!dot) {
            find_cases(path);
        }
    }
    if (dir)
        closedir(dir);
}

int main(void) {
    find_cases(CASES);
    qsort(cases, case_count, sizeof *cases, compare_paths);
    for (unsigned i = 0; i < case_count; i++) {
        const char *name = cases[i]->path + strlen(CASES) + 1;
        tests[i] = (struct CMUnitTest){name, check_case, NULL, NULL, cases[i]};
    }
    if (!case_count) {
        fprintf(stderr, "no cases in %s\n", CASES);
        return 1;
    }
    tests[case_count] =
        (struct CMUnitTest){"every code has a case", every_code_has_a_case, NULL, NULL, NULL};
    int failed = _cmocka_run_group_tests("cases", tests, case_count + 1, NULL, NULL);
    for (unsigned i = 0; i < case_count; i++)
        free(cases[i]);
    return failed;
}
