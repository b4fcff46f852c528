/* verify_test.c - the verifier's log: lines, states, messages, lines of C. What a log as a whole is
 * explained as is in test/cases/verify. */
#include "unit.h"

#include "ebpf_cc.h"
#include "ebpf_verify.h"
#include "log.h"

static ebpf_log *read_log(ebpf_ctx *ctx, const char *text) {
    ebpf_log *log;
    assert_int_equal(ebpf_log_read(ctx, text, strlen(text), &log), EBPF_OK);
    return log;
}

static void assert_bytes(ebpf_bytes got, const char *text) {
    if (got.size != strlen(text) || memcmp(got.data, text, got.size) != 0)
        fail_msg("it is '%.*s', not '%s'", (int)got.size, (const char *)got.data, text);
}

/* ---- lines ---- */

static void test_lines(void **state) {
    static const char text[] = "func#0 @0\n"
                               "0: R1=ctx() R10=fp0\r\n"
                               "; x = a @ b; @ dir/prog.c:12\n"
                               "0: (79) r2 = *(u64 *)(r1 +0)          ; R1=ctx() R2=scalar()\n"
                               "1: (25) if r2 > 0x4 goto pc+2 4: R2=0 R10=fp0\n"
                               "; no place\n"
                               "\n"
                               "from 1 to 2 (speculative execution): R1=ctx() R10=fp0\n"
                               "from 1 to 9: safe\n"
                               "  0: .1........ (bf) r6 = r1\n"
                               "frame pointer is read only\n"
                               "processed 3 insns (limit 1000000) max_states_per_insn 1 "
                               "total_states 2 peak_states 4 mark_read 5\n";
    static const struct {
        uint32_t kind;
        int32_t insn, from;
        uint32_t source;
        const char *text, *state, *file;
    } rows[] = {
        {EBPF_LOG_OTHER, -1, -1, 0, "func#0 @0", "", ""},
        {EBPF_LOG_STATE, 0, -1, 0, "0: R1=ctx() R10=fp0", "R1=ctx() R10=fp0", ""},
        {EBPF_LOG_SOURCE, -1, -1, 12, "x = a @ b;", "", "dir/prog.c"},
        {EBPF_LOG_INSN, 0, -1, 0, "(79) r2 = *(u64 *)(r1 +0)", "R1=ctx() R2=scalar()", ""},
        {EBPF_LOG_INSN, 1, -1, 0, "(25) if r2 > 0x4 goto pc+2", "4: R2=0 R10=fp0", ""},
        {EBPF_LOG_SOURCE, -1, -1, 0, "no place", "", ""},
        {EBPF_LOG_OTHER, -1, -1, 0, "", "", ""},
        {EBPF_LOG_FROM, 2, 1, 0, "from 1 to 2 (speculative execution): R1=ctx() R10=fp0",
         "R1=ctx() R10=fp0", ""},
        {EBPF_LOG_OTHER, -1, -1, 0, "from 1 to 9: safe", "", ""},
        {EBPF_LOG_OTHER, -1, -1, 0, "  0: .1........ (bf) r6 = r1", "", ""},
        {EBPF_LOG_REASON, -1, -1, 0, "frame pointer is read only", "", ""},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    ebpf_ctx *ctx = unit_open();
    ebpf_log *log = read_log(ctx, text);
    ebpf_log_line line;
    (void)state;
    assert_int_equal(ebpf_log_count(log), ROWS + 1);
    for (uint32_t i = 0; i < ROWS; i++) {
        assert_int_equal(ebpf_log_line_at(log, i, &line), EBPF_OK);
        assert_int_equal(line.kind, rows[i].kind);
        assert_int_equal(line.insn, rows[i].insn);
        assert_int_equal(line.from, rows[i].from);
        assert_int_equal(line.source, rows[i].source);
        assert_bytes(line.text, rows[i].text);
        assert_bytes(line.state, rows[i].state);
        assert_bytes(line.file, rows[i].file);
    }
    assert_int_equal(ebpf_log_line_at(log, ROWS + 1, &line), EBPF_E_ARG);
    assert_int_equal(log->stats.processed, 3);
    assert_int_equal(log->stats.limit, 1000000);
    assert_int_equal(log->stats.mark_read, 5);
    assert_true(log->every_path);
    unit_close(ctx);
}

/* ---- states ---- */

static const ebpf_log_value *values_of(ebpf_ctx *ctx, const char *text, uint32_t count) {
    eb_str line = eb_str_fmt(&ctx->arena, "0: %s\n", text);
    const ebpf_log_value *values;
    uint32_t found;
    ebpf_log *log = read_log(ctx, line.at);
    assert_int_equal(ebpf_log_values(ctx, log, 0, &values, &found), EBPF_OK);
    assert_int_equal(found, count);
    assert_int_equal(ebpf_log_values(ctx, log, 1, &values, &found), EBPF_E_ARG);
    return values;
}

static void test_values(void **state) {
    ebpf_ctx *ctx = unit_open();
    const ebpf_log_value *v;
    (void)state;
    v = values_of(ctx,
                  "R1_w=map_value(id=2,off=8,map=counts,ks=4,vs=16,smin=smin32=0,smax=umax=60,"
                  "var_off=(0x0; 0x3c)) R2=P5 R3_r=-7 R10=fp0 fp-8_w=0000mmmm "
                  "fp-16=iter_num(ref_id=3,state=active,depth=0) refs=3 cb",
                  6);
    assert_int_equal(v[0].index, 1);
    assert_int_equal(v[0].flags, EBPF_VALUE_WRITTEN);
    assert_bytes(v[0].type, "map_value");
    assert_bytes(v[0].map, "counts");
    assert_int_equal(v[0].id, 2);
    assert_int_equal(v[0].offset, 8);
    assert_int_equal(v[0].key_size, 4);
    assert_int_equal(v[0].value_size, 16);
    assert_int_equal(v[0].smin, 0);
    assert_int_equal(v[0].smax, 60);
    assert_int_equal(v[0].umin, 0);
    assert_int_equal(v[0].umax, 60);
    assert_int_equal(v[0].bits, 0);
    assert_int_equal(v[0].mask, 0x3c);
    assert_int_equal(v[1].flags, EBPF_VALUE_CONST | EBPF_VALUE_PRECISE);
    assert_int_equal(v[1].constant, 5);
    assert_int_equal(v[2].flags, EBPF_VALUE_CONST | EBPF_VALUE_READ);
    assert_int_equal(v[2].constant, -7);
    assert_int_equal(v[2].smin, -7);
    assert_bytes(v[2].type, "scalar");
    assert_bytes(v[3].type, "fp");
    assert_int_equal(v[4].index, -8);
    assert_int_equal(v[4].flags, EBPF_VALUE_STACK | EBPF_VALUE_WRITTEN);
    assert_bytes(v[4].type, "0000mmmm");
    assert_int_equal(v[5].index, -16);
    assert_bytes(v[5].type, "iter_num");
    assert_int_equal(v[5].ref, 3);

    /* before Linux 6.0 and 5.16; other frames; a caller's stack; 64 bits */
    v = values_of(ctx,
                  "frame1: R0=inv(id=0,umax_value=255,var_off=(0x0; 0xff)) R1=invP0 R2=fp[0]-8 "
                  "R3=pkt(off=14,r=34) R4=scalar(smin=-9223372036854775807,umin=1)",
                  5);
    assert_int_equal(v[0].frame, 1);
    assert_bytes(v[0].type, "scalar");
    assert_int_equal(v[0].umax, 255);
    assert_true(v[0].smin == INT64_MIN && v[0].smax == INT64_MAX);
    assert_int_equal(v[1].flags, EBPF_VALUE_CONST | EBPF_VALUE_PRECISE);
    assert_bytes(v[2].type, "fp");
    assert_int_equal(v[2].offset, -8);
    assert_int_equal(v[3].offset, 14);
    assert_int_equal(v[3].range, 34);
    assert_true(v[4].smin == -INT64_MAX && v[4].umin == 1);
    unit_close(ctx);
}

/* ---- messages ---- */

static void assert_cause(const char *message, const char *cause) {
    eb_match m = eb_reason_match(eb_str_from(message));
    const char *found = m.cause >= 0 ? eb_cause_name((eb_cause)m.cause) : "none";
    if (strcmp(found, cause) != 0)
        fail_msg("'%s' is %s, not %s", message, found, cause);
}

static void test_messages(void **state) {
    (void)state;
    assert_cause("R0 !read_ok", "UNINIT_REGISTER");
    assert_cause("R11 is invalid", "BAD_REGISTER");
    assert_cause("R3 invalid mem access 'ptr_or_null_task_struct'", "NULL_POINTER");
    assert_cause("R3 invalid mem access 'scalar'", "SCALAR_POINTER");
    assert_cause("R3 invalid mem access 'something'", "POINTER_ACCESS");
    assert_cause("R3 invalid mem access 'scalar", "none");
    assert_cause("R2 type=sock_or_null expected=sock, tcp_sock", "NULL_ARGUMENT");
    assert_cause("R2 type=scalar expected=ctx", "CONTEXT_ARGUMENT");
    assert_cause("R2 type=scalar expected=fp, map_value", "ARGUMENT_TYPE");
    assert_cause("invalid read from stack R3 off -16+0 size 8", "STACK_UNINIT");
    assert_cause("invalid indirect read from stack R3 off -16+0 size 8", "STACK_UNINIT");
    assert_cause("invalid write to stack R3 off=-513 size=8", "STACK_BOUNDS");
    assert_cause("At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]",
                 "RETURN_RANGE");
    assert_cause("At program exit the register R0 has value (0x2; 0x0) should have been in "
                 "(0x0; 0x1)",
                 "RETURN_RANGE");
    assert_cause("verifier bug: something new (1)", "KERNEL_BUG");
    assert_cause("", "none");
    assert_cause("nothing that any kernel says", "none");
    assert_cause("func#0 @0", "none");
}

/* A pattern, with something in place of what it has holes for. */
static void fill_pattern(const char *pattern, char *out) {
    for (; *pattern; pattern++) {
        if (*pattern != '%') {
            *out++ = *pattern;
            continue;
        }
        bool number = strchr("dira", *++pattern) != NULL;
        *out++ = number ? '1' : 'q';
    }
    *out = 0;
}

/* Every pattern is found by a message made of it, or by a row that has as much text of its own. */
static void test_every_pattern(void **state) {
    static const struct {
        int cause;
        const char *pattern;
    } rows[] = {
#define SAYS(id, pattern)  {EB_CAUSE_##id, pattern},
#define MAYBE(id, pattern) {EB_CAUSE_##id, pattern},
#define NOISE(pattern)     {-1, pattern},
#include "reason.def"
    };
    char message[512];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned literal = 0;
        for (const char *at = rows[i].pattern; *at; at++)
            literal += *at == '%' ? (unsigned)(at++, 0) : 1;
        fill_pattern(rows[i].pattern, message);
        eb_match m = eb_reason_match(eb_str_from(message));
        if (m.cause != rows[i].cause && m.literal <= literal)
            fail_msg("'%s' is taken for %s", message,
                     m.cause < 0 ? "noise" : eb_cause_name((eb_cause)m.cause));
    }
}

/* What an explanation takes from a message, all its messages have. */
static void test_templates(void **state) {
    static const char *const explanations[] = {
#define CAUSE(id, explanation, remedy) explanation " " remedy,
#include "reason.def"
    };
    static const struct {
        eb_cause cause;
        const char *pattern;
    } rows[] = {
#define SAYS(id, pattern)  {EB_CAUSE_##id, pattern},
#define MAYBE(id, pattern) {EB_CAUSE_##id, pattern},
#include "reason.def"
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int holes = 0;
        for (const char *at = rows[i].pattern; *at; at++)
            holes += *at == '%';
        assert_true(holes <= EB_CAPTURES_MOST);
        for (const char *at = explanations[rows[i].cause]; (at = strchr(at, '$')); at++) {
            const char *digit = at + 1 + (strchr("tail", at[1]) != NULL);
            if (!strchr("$srvtail123456789", at[1]))
                fail_msg("%s: what is $%c?", eb_cause_name(rows[i].cause), at[1]);
            if (*digit >= '1' && *digit <= '9' && *digit - '0' > holes)
                fail_msg("%s: '%s' has no $%c", eb_cause_name(rows[i].cause), rows[i].pattern,
                         *digit);
        }
    }
}

/* ---- where values come from ---- */

/* A function that was called in between has registers of its own; what it returns is its r0. */
static void test_trace(void **state) {
    static const char text[] = "0: (bf) r6 = r1\n"
                               "1: (85) call pc+2\n"
                               "4: (b7) r6 = 5\n"
                               "5: (b7) r0 = 7\n"
                               "6: (95) exit\n"
                               "2: (79) r2 = *(u64 *)(r6 +0)\n";
    ebpf_ctx *ctx = unit_open();
    ebpf_log *log = read_log(ctx, text);
    eb_steps caller = {0}, callee = {0};
    (void)state;
    eb_log_trace(log, 5, 6, &caller);
    assert_int_equal(caller.len, 2);
    assert_int_equal(caller.at[0].kind, EB_STEP_MOVE);
    assert_int_equal(caller.at[0].line, 0);
    assert_int_equal(caller.at[1].kind, EB_STEP_ARGUMENT);
    eb_log_trace(log, 5, 0, &callee);
    assert_int_equal(callee.len, 1);
    assert_int_equal(callee.at[0].kind, EB_STEP_CONST);
    assert_int_equal(callee.at[0].line, 3);
    unit_close(ctx);
}

/* ---- lines of C ---- */

static ebpf_object *compiled(ebpf_ctx *ctx, const char *text) {
    ebpf_cc *unit;
    ebpf_object *obj = NULL;
    assert_int_equal(ebpf_cc_new(ctx, "two.c", 5, text, strlen(text), NULL, &unit), EBPF_OK);
    assert_int_equal(ebpf_cc_compile(unit, &obj), EBPF_OK);
    return obj;
}

static uint32_t line_in(ebpf_ctx *ctx, const ebpf_object *obj, int32_t insn) {
    eb_str text = eb_str_fmt(&ctx->arena, "%d: (95) exit\nR0 !read_ok\n", (int)insn);
    ebpf_log *log = read_log(ctx, text.at);
    eb_explanation e;
    assert_int_equal(ebpf_log_object(ctx, log, obj, "first", 5), EBPF_OK);
    eb_log_explain(log, &e);
    return e.placed ? e.place.line : 0;
}

/* libbpf puts the functions behind the program as it comes to them: second, third, not unused. */
static void test_object(void **state) {
    static const char text[] = "#define SEC(n) __attribute__((section(n), used))\n"
                               "#define NOINLINE __attribute__((noinline))\n"
                               "static NOINLINE int third(int x) {\n"
                               "    return x * 7 + *(volatile int *)&x;\n" /* 4 */
                               "}\n"
                               "NOINLINE int unused(int x) {\n"
                               "    return x * 9 + *(volatile int *)&x;\n"
                               "}\n"
                               "static NOINLINE int second(int x) {\n"
                               "    return third(x + 1) + *(volatile int *)&x;\n" /* 10 */
                               "}\n"
                               "SEC(\"socket\") int first(void *ctx) {\n"
                               "    return second((int)(long)ctx) + 1;\n" /* 13 */
                               "}\n"
                               "SEC(\"socket\") int other(void *ctx) {\n"
                               "    return unused(2);\n"
                               "}\n";
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = compiled(ctx, text);
    ebpf_log *log = read_log(ctx, "");
    int32_t sizes[3] = {0};
    static const char *const names[] = {"first", "second", "third"};
    (void)state;
    for (uint32_t i = 0; i < obj->funcs.len; i++)
        for (int n = 0; n < 3; n++)
            if (eb_str_is(obj->funcs.at[i].name, names[n]))
                sizes[n] = (int32_t)(obj->funcs.at[i].size / 8);
    assert_true(sizes[0] > 1 && sizes[1] > 1 && sizes[2] > 1);
    assert_int_equal(line_in(ctx, obj, 0), 13);
    assert_int_equal(line_in(ctx, obj, sizes[0] - 1), 13);
    assert_int_equal(line_in(ctx, obj, sizes[0] + sizes[1] - 1), 10);
    assert_int_equal(line_in(ctx, obj, sizes[0] + sizes[1] + sizes[2] - 1), 4);
    assert_int_equal(line_in(ctx, obj, sizes[0] + sizes[1] + sizes[2]), 0);
    assert_int_equal(ebpf_log_object(ctx, log, obj, "nobody", 6), EBPF_E_ARG);
    assert_int_equal(ebpf_log_object(ctx, log, obj, "", 0), EBPF_E_ARG); /* there are two */
    unit_close(ctx);
}

/* ---- whatever comes ---- */

/* A log that ends anywhere is read as far as it goes. */
static void test_cut(void **state) {
    static const char text[] =
        "0: R1=ctx() R10=fp0\n; f(x); @ a.c:3\n0: (bf) r6 = r1 ; R6=ctx()\n"
        "1: (85) call bpf_map_lookup_elem#1 ; R0=map_value_or_null(id=1,map=m,ks=4,vs=8)\n"
        "from 1 to 2: R0=0\n2: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'scalar'\n\n"
        "Verification failed: Memory Safety: Access\n\nReason:\n  why\n\nAt:\n  f @ a.c:3:4\n"
        "  Source context:\n  >>> 3 | f(x);\n         | ^-- error: here\n"
        "  Instruction context:\n  >>> 2 | (79) r1\n\nSuggestion:\n  do\n\nprocessed 3 insns\n";
    ebpf_ctx *ctx = unit_open();
    (void)state;
    for (size_t size = 0; size < sizeof text; size++) {
        char *copy = malloc(size ? size : 1); /* so that a sanitizer sees a read behind it */
        ebpf_log *log;
        ebpf_bytes out;
        assert_non_null(copy);
        memcpy(copy, text, size);
        assert_int_equal(ebpf_log_read(ctx, copy, size, &log), EBPF_OK);
        for (int format = EBPF_DIAG_TEXT; format <= EBPF_DIAG_JSON; format++)
            assert_int_equal(ebpf_log_explain(ctx, log, format, &out), EBPF_OK);
        assert_int_equal(ebpf_log_json(ctx, log, 0, UINT32_MAX, &out), EBPF_OK);
        free(copy);
    }
    unit_close(ctx);
}

static void test_arguments(void **state) {
    ebpf_ctx *ctx = unit_open();
    ebpf_log *log;
    ebpf_bytes out;
    (void)state;
    assert_int_equal(ebpf_log_read(ctx, NULL, 0, &log), EBPF_OK);
    assert_int_equal(ebpf_log_count(log), 0);
    assert_int_equal(ebpf_log_explain(ctx, log, 3, &out), EBPF_E_ARG);
    assert_int_equal(ebpf_log_explain(ctx, log, -1, &out), EBPF_E_ARG);
    log = read_log(ctx, "4294967296: (95) exit\n2097152: (95) exit\n-1: (95) exit\n");
    assert_int_equal(log->insns, 0); /* no program is that long */
    unit_close(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_messages),  cmocka_unit_test(test_every_pattern),
        cmocka_unit_test(test_templates), cmocka_unit_test(test_object),
        cmocka_unit_test(test_trace),     cmocka_unit_test(test_cut),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
