/* asm_test.c - what the assembler keeps beside bytes: the lines of .loc, and its state between
 * texts that make one object, as a compiler hands its inline assembly over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "assemble.h"
#include "btf_ext.h"

static const eb_section *section_of(const ebpf_object *obj, const char *name) {
    uint32_t index = eb_object_find_section(obj, eb_str_from(name));
    assert_true(index != 0);
    return &obj->sections.at[index];
}

static ebpf_object *assemble(ebpf_ctx *ctx, const char *text) {
    ebpf_object *obj = NULL;
    assert_int_equal(
        eb_assemble(ctx, EB_STR("t.s"), eb_str_from(text), EBPF_DIALECT_LLVM, false, &obj), 0);
    return obj;
}

static void expect_line(const eb_section *section, uint64_t offset, const char *file, uint32_t line,
                        uint32_t column) {
    const eb_line *found = eb_line_of(section, offset);
    assert_non_null(found);
    assert_true(eb_str_is(found->file, file));
    assert_int_equal(found->line, line);
    assert_int_equal(found->column, column);
}

static void test_loc(void **state) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    (void)state;
    ebpf_object *obj =
        assemble(ctx, "\t.file 1 \"/src\" \"prog.c\" md5 0xd18c117906d641bbab6707d6\n"
                      "\t.file 2 \"/src\" \"/usr/include/x.h\"\n"
                      "\t.section xdp,\"ax\"\n"
                      "\t.globl prog\n"
                      "prog:\t.loc 1 10 5 prologue_end\n"
                      "\tr0 = 1\n"
                      "\t.loc 1 11\n"
                      "\t.loc 2 3 7\n" /* of two the last */
                      "\tr0 = 2\n"
                      "\tr0 = 3\n"
                      "\t.loc 1 0\n" /* nowhere */
                      "\tr0 = 4\n"
                      "\t.loc 1 12\n"
                      "\texit\n"
                      "\t.loc 1 13\n"); /* no instruction */
    const eb_section *prog = section_of(obj, "xdp");
    assert_int_equal(prog->lines.len, 3);
    expect_line(prog, 0, "/src/prog.c", 10, 5);
    expect_line(prog, 8, "/usr/include/x.h", 3, 7);
    expect_line(prog, 24, "/usr/include/x.h", 3, 7);
    expect_line(prog, 32, "/src/prog.c", 12, 0);
    ebpf_ctx_free(ctx);
}

static void test_own_lines(void **state) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    (void)state;
    ebpf_object *obj = assemble(ctx, "\t.section xdp,\"ax\"\n"
                                     "\t.globl prog\n"
                                     "prog:\n"
                                     "\texit\n");
    expect_line(section_of(obj, "xdp"), 0, "t.s", 4, 2);
    ebpf_ctx_free(ctx);
}

/* Sections, labels, macros and symbols go on from text to text; an error in one fails the whole. */
static void test_pieces(void **state) {
    static const uint8_t code[] = {0xb7, 0, 0, 0, 5,    0, 0, 0, 0x55, 0, 0xfe, 0xff,
                                   7,    0, 0, 0, 0x95, 0, 0, 0, 0,    0, 0,    0};
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    ebpf_object *obj = NULL;
    (void)state;
    eb_asm *as = eb_asm_new(ctx, EB_STR("whole"), EBPF_DIALECT_LLVM, false);
    eb_asm_text(as, EB_STR("a"),
                EB_STR(".section prog,\"ax\"\nstart:\n.macro set r\n\\r = five\n"
                       ".endm\nfive = 5"));
    eb_asm_text(as, EB_STR("b"), EB_STR("set r0; if r0 != 7 goto start"));
    eb_asm_text(as, EB_STR("c"), EB_STR("exit"));
    assert_int_equal(eb_asm_finish(as, &obj), EBPF_OK);
    const eb_section *prog = section_of(obj, "prog");
    assert_int_equal(prog->bytes.len, sizeof code);
    assert_memory_equal(prog->bytes.at, code, sizeof code);
    as = eb_asm_new(ctx, EB_STR("bad"), EBPF_DIALECT_LLVM, false);
    eb_asm_text(as, EB_STR("a"), EB_STR(".if 1\nr0 = what is this"));
    eb_asm_text(as, EB_STR("b"), EB_STR("exit")); /* the open .if ended with its text */
    assert_int_equal(eb_asm_finish(as, &obj), EBPF_E_INPUT);
    assert_int_equal(ctx->errors, 2);
    ebpf_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loc),
        cmocka_unit_test(test_own_lines),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
