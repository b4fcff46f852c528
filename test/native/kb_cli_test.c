/* kb_cli_test.c - the command kb from outside: an object is loaded, attached, triggered and read
 * back by command lines alone. Objects are assembled here; everything happens in a mount and a
 * network namespace of their own, with a BPF file system of their own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ebpf.h"
#include "kb.h"

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)
#define LICENSE    ".section license\n.asciz \"GPL\"\n"

/* Counts calls of getppid in slot 0. */
static const char counting[] = ".map slots, type=array, key=u32, value=u64, max_entries=2\n"
                               ".section raw_tp/sys_enter,\"ax\",@progbits\n"
                               ".globl count\n"
                               "count:\n"
                               "  r2 = *(u64 *)(r1 + 8)\n"
                               "  if r2 != " TEXT(SYS_getppid) " goto done\n"
                                                               "  *(u32 *)(r10 - 4) = 0\n"
                                                               "  r2 = r10\n"
                                                               "  r2 += -4\n"
                                                               "  r1 = slots ll\n"
                                                               "  call 1\n"
                                                               "  if r0 == 0 goto done\n"
                                                               "  r1 = 1\n"
                                                               "  lock *(u64 *)(r0 + 0) += r1\n"
                                                               "done:\n"
                                                               "  r0 = 0\n"
                                                               "  exit\n"
                                                               ".size count, .-count\n" LICENSE;

static const char passing[] = ".section xdp,\"ax\",@progbits\n"
                              ".globl pass\n"
                              "pass:\n"
                              "  r0 = 2\n"
                              "  exit\n"
                              ".size pass, .-pass\n" LICENSE;

static const char wild[] = ".section xdp,\"ax\",@progbits\n"
                           ".globl wild\n"
                           "wild:\n"
                           "  r1 = 4660\n"
                           "  r0 = *(u32 *)(r1 + 0)\n"
                           "  exit\n"
                           ".size wild, .-wild\n" LICENSE;

static char folder[] = "/tmp/kb_cli_test.XXXXXX";
static bool usable;

/* What the last command said. */
static char out[1 << 16], said[1 << 16];

static void write_object(const char *name, const char *text) {
    char path[256];
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    ebpf_object *object;
    ebpf_bytes elf;

    assert_int_equal(
        ebpf_assemble(ctx, "t.s", 3, text, strlen(text), EBPF_DIALECT_LLVM, EBPF_LITTLE, &object),
        0);
    assert_int_equal(ebpf_object_write(ctx, object, &elf), 0);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(elf.data, 1, elf.size, file), elf.size);
    fclose(file);
    ebpf_ctx_free(ctx);
}

static int set_up(void **state) {
    char path[256];

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    write_object("counting.o", counting);
    write_object("passing.o", passing);
    write_object("wild.o", wild);
    snprintf(path, sizeof(path), "%s/bpf", folder);
    mkdir(path, 0700);
    usable = kb_probe(BPF_PROG_TYPE_XDP, NULL) == 0 && unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 &&
             mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
             mount("bpf", path, "bpf", 0, NULL) == 0;
    return 0;
}

static int tear_down(void **state) {
    char command[256];

    (void)state;
    snprintf(command, sizeof(command), "umount %s/bpf 2>/dev/null; rm -r %s", folder, folder);
    return system(command);
}

static void need_bpf(void) {
    if (usable)
        return;
    print_message("skipped: bpf(2), or namespaces, are refused\n");
    skip();
}

static void read_all(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "re");
    size_t used = file ? fread(text, 1, size - 1, file) : 0;

    text[used] = 0;
    if (file)
        fclose(file);
}

/* Runs kb in the folder; its exit status. */
static int __attribute__((format(printf, 1, 2))) kb(const char *format, ...) {
    char words[1024], command[2048], path[256];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    snprintf(command, sizeof(command), "cd %s && %s %s >out 2>err", folder, KB, words);
    int status = system(command);
    snprintf(path, sizeof(path), "%s/out", folder);
    read_all(path, out, sizeof(out));
    snprintf(path, sizeof(path), "%s/err", folder);
    read_all(path, said, sizeof(said));
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void must(int status) {
    if (status != 0)
        fail_msg("status %d: %s", status, said);
}

static void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' does not say '%s'", text, part);
}

/* The number behind a key of JSON. */
static unsigned number_of(const char *key) {
    char quoted[64];

    snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    const char *at = strstr(out, quoted);
    if (!at)
        fail_msg("'%s' has no %s", out, key);
    return (unsigned)strtoul(at + strlen(quoted), NULL, 10);
}

/* The kernel frees what the last holder left a little later. */
static void until_gone(const char *what, unsigned id) {
    for (int i = 0; i < 200 && kb("%s show %u --json", what, id) == 0; i++)
        usleep(20000);
    assert_int_equal(kb("%s show %u --json", what, id), 1);
}

static void test_help(void **state) {
    (void)state;
    assert_int_equal(kb("--help"), 0);
    assert_contains(out, "usage: kb VERB");
    assert_contains(out, "attach ");
    assert_int_equal(kb("attach --help"), 0);
    assert_contains(out, "--pin FOLDER");
    assert_int_equal(kb("--version"), 0);
    assert_contains(out, "libbpf 1.");
    assert_int_equal(kb(" "), 2);
}

static void test_wrong_words(void **state) {
    static const char *const lines[][2] = {
        {"nonsense", "there is no verb nonsense"},
        {"load", "Name one file"},
        {"load --nonsense x", "no option --nonsense"},
        {"prog list --pin x", "prog has no option --pin"},
        {"load x --pin", "--pin needs an argument"},
        {"attach x --for never", "'never' is wrong"},
        {"attach x --to nowhere:lo", "'nowhere:lo' is no place"},
        {"attach x --to tcx:lo:sideways", "no whole place"},
        {"query xdp", "no whole place"},
        {"prog show", "which program?"},
        {"prog show twelve", "neither an id nor a path"},
        {"prog fly 1", "not 'fly'"},
        {"map fly 1", "not 'fly'"},
        {"link fly 1", "not 'fly'"},
        {"pin thing 1 x", "not 'thing'"},
        {"features nonsense", "there is no kind 'nonsense'"},
        {"1 2 3 4 5 6 7 8 9 10", "there is no verb 1"},
        {"map 2 3 4 5 6 7 8 9 10", "too many words"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (kb("%s", lines[i][0]) != 2)
            fail_msg("kb %s: %s", lines[i][0], said);
        assert_contains(said, lines[i][1]);
        assert_string_equal(out, "");
    }
}

static void test_no_object(void **state) {
    (void)state;
    assert_int_equal(kb("load none.o"), 1);
    assert_contains(said, "none.o: No such file");
    assert_int_equal(kb("load out"), 1);
    assert_contains(said, "no 64-bit ELF file");
}

static void test_load(void **state) {
    (void)state;
    need_bpf();
    must(kb("load counting.o"));
    assert_contains(out, "type raw_tracepoint  name count");
    assert_contains(out, "type array  name slots");
    must(kb("load counting.o --json --log 2"));
    assert_contains(out, "\"name\":\"count\"");
    assert_contains(out, "\"links\":[],\"log\":\"");
    assert_contains(out, "processed ");
    unsigned id = number_of("id");
    until_gone("prog", id); /* it went with the command */
    assert_int_equal(kb("load counting.o --only none"), 1);
    assert_contains(said, "no program of such a name");
}

/* Loads, attaches, triggers, reads back, and takes it all away. */
static void test_attach(void **state) {
    enum { CALLS = 7 };
    char expected[128];

    (void)state;
    need_bpf();
    must(kb("attach counting.o --pin bpf/mine --json"));
    unsigned program = number_of("id");
    must(kb("map set ./bpf/mine/maps/slots 00000000 0000000000000000"));
    for (int i = 0; i < CALLS; i++)
        syscall(SYS_getppid);
    must(kb("link show ./bpf/mine/links/count --json"));
    unsigned link = number_of("id");
    assert_int_equal(number_of("program"), program);
    assert_contains(out, "\"type\":\"raw_tracepoint\"");
    assert_contains(out, "\"name\":\"sys_enter\"");
    must(kb("link"));
    snprintf(expected, sizeof(expected), "id %u  type raw_tracepoint  program %u", link, program);
    assert_contains(out, expected);
    must(kb("unpin ./bpf/mine/links/count"));
    must(kb("map get ./bpf/mine/maps/slots 0x00000000 --json"));
    const char *value = strstr(out, "\"value\":\"");
    assert_non_null(value);
    unsigned count = (unsigned)strtoul((char[]){value[9], value[10], 0}, NULL, 16);
    /* Other processes call getppid, too. */
    assert_true(count >= CALLS);
    must(kb("map dump ./bpf/mine/maps/slots --json"));
    assert_contains(out, "[{\"key\":\"00000000\",\"value\":\"");
    assert_contains(out, ",{\"key\":\"01000000\",\"value\":\"0000000000000000\"}]\n");
    must(kb("prog show ./bpf/mine/programs/count --json"));
    assert_int_equal(number_of("id"), program);
    must(kb("prog show %u", program));
    must(kb("unpin ./bpf/mine/programs/count ./bpf/mine/maps/slots"));
    until_gone("link", link);
    assert_contains(said, "no link of this id");
}

static void test_attach_for(void **state) {
    (void)state;
    need_bpf();
    must(kb("attach counting.o --for 0.05 --json"));
    unsigned program = number_of("id");
    assert_contains(out, "\"type\":\"raw_tracepoint\",\"program\":");
    until_gone("prog", program);
    assert_string_equal(out, "");
    assert_contains(said, "{\"error\":{\"code\":\"ENOENT\",\"errno\":2,");
    assert_int_equal(kb("attach passing.o"), 1);
    assert_contains(said, "no section says where");
}

static void test_place(void **state) {
    (void)state;
    need_bpf();
    must(kb("attach passing.o --to xdp:lo --pin bpf/xdp --json"));
    unsigned program = number_of("id");
    must(kb("query xdp:lo --json"));
    assert_int_equal(number_of("program"), program);
    assert_contains(out, "\"hook\":\"xdp\"");
    must(kb("link detach ./bpf/xdp/links/pass"));
    must(kb("query xdp:lo"));
    assert_string_equal(out, "");
    must(kb("query netns"));
    assert_int_equal(kb("query xdp:none"), 1);
    assert_contains(said, "no interface 'none'");
    must(kb("unpin ./bpf/xdp/links/pass ./bpf/xdp/programs/pass"));
}

static void test_code(void **state) {
    char path[256];
    uint8_t code[4096];

    (void)state;
    need_bpf();
    must(kb("load passing.o --pin bpf/code"));
    must(kb("prog dump ./bpf/code/programs/pass --out code.bin"));
    snprintf(path, sizeof(path), "%s/code.bin", folder);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t size = fread(code, 1, sizeof(code), file);
    fclose(file);
    assert_true(size >= 16 && size % 8 == 0);
    assert_int_equal(code[size - 8], 0x95); /* exit */
    must(kb("prog dump ./bpf/code/programs/pass jited --json"));
    assert_contains(out, "{\"bytes\":\"");
    assert_int_equal(kb("prog dump ./bpf/code/programs/pass source"), 2);
    must(kb("prog run ./bpf/code/programs/pass --data 000102030405060708090a0b0c0d --repeat 3"));
    assert_contains(out, "result 2  nanoseconds ");
    assert_contains(out, "data 000102030405060708090a0b0c0d");
    assert_int_equal(kb("prog run ./bpf/code/programs/pass --data 0g"), 2);
    assert_int_equal(kb("prog output ./bpf/code/programs/pass paper"), 2);
    if (kb("prog output ./bpf/code/programs/pass stderr") == 0)
        assert_string_equal(out, "");
    else
        assert_contains(said, "Linux 6.17 has this");
    assert_int_equal(kb("map show ./bpf/code/programs/pass"), 1);
    assert_contains(said, "is no map");
    must(kb("pin prog ./bpf/code/programs/pass ./bpf/again"));
    must(kb("unpin ./bpf/again ./bpf/code/programs/pass"));
    assert_int_equal(kb("unpin ./bpf/again"), 1);
}

static void test_btf(void **state) {
    char magic[4] = "";
    char path[256];

    (void)state;
    need_bpf();
    must(kb("load counting.o --pin bpf/types --json"));
    unsigned id = number_of("btf");
    must(kb("btf dump %u --out types.btf", id));
    snprintf(path, sizeof(path), "%s/types.btf", folder);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fread(magic, 1, 2, file), 2);
    fclose(file);
    assert_true((unsigned char)magic[0] == 0x9f || (unsigned char)magic[0] == 0xeb);
    must(kb("btf"));
    snprintf(path, sizeof(path), "id %u  bytes ", id);
    assert_contains(out, path);
    assert_int_equal(kb("btf dump"), 2);
    assert_int_equal(kb("btf dump 4294967295"), 1);
    must(kb("unpin ./bpf/types/maps/slots ./bpf/types/programs/count"));
}

static void test_entries(void **state) {
    (void)state;
    need_bpf();
    must(kb("load counting.o --pin bpf/entries"));
    must(kb("map set ./bpf/entries/maps/slots 01000000 2a00000000000000"));
    must(kb("map get ./bpf/entries/maps/slots 01000000"));
    assert_string_equal(out, "key 01000000  value 2a00000000000000\n");
    assert_int_equal(kb("map get ./bpf/entries/maps/slots 05000000"), 1);
    assert_contains(said, "has no such key");
    assert_int_equal(kb("map get ./bpf/entries/maps/slots 0500"), 2);
    assert_contains(said, "the key has 4 bytes, not 2");
    assert_int_equal(kb("map get ./bpf/entries/maps/slots"), 2);
    assert_int_equal(kb("map delete ./bpf/entries/maps/slots 01000000"), 1); /* an array */
    must(kb("map show ./bpf/entries/maps/slots --json"));
    unsigned id = number_of("id");
    must(kb("map"));
    char expected[64];
    snprintf(expected, sizeof(expected), "id %u  type array  name slots", id);
    assert_contains(out, expected);
    must(kb("unpin ./bpf/entries/maps/slots ./bpf/entries/programs/count"));
}

static void test_refused(void **state) {
    (void)state;
    need_bpf();
    assert_int_equal(kb("load wild.o"), 1);
    assert_contains(said, "kb: load program 'wild': the kernel's verifier refuses it: R1 invalid");
    assert_contains(said, "\n0: ");
    assert_string_equal(out, "");
    assert_int_equal(kb("load wild.o --json"), 1);
    assert_contains(said, "\"code\":\"EACCES\"");
    assert_contains(said, "\"subject\":\"wild\"");
    assert_contains(said, "\"reason\":\"the kernel's verifier refuses it: R1 invalid");
    assert_contains(said, "\"log\":\"");
}

static void test_features(void **state) {
    (void)state;
    need_bpf();
    must(kb("features map_type hash ringbuf"));
    assert_contains(out, "kind map_type  name hash  answer yes  since 3.19\n");
    must(kb("features helper xdp redirect --json"));
    assert_contains(out, "\"answer\":\"yes\"");
    assert_int_equal(kb("features map_type nonsense"), 1);
    assert_int_equal(kb("features helper xdp"), 2);
    must(kb("features btf_kind"));
    assert_contains(out, "name enum64");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),      cmocka_unit_test(test_wrong_words),
        cmocka_unit_test(test_no_object), cmocka_unit_test(test_load),
        cmocka_unit_test(test_attach),    cmocka_unit_test(test_attach_for),
        cmocka_unit_test(test_place),     cmocka_unit_test(test_code),
        cmocka_unit_test(test_entries),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_features),  cmocka_unit_test(test_btf),
    };

    return cmocka_run_group_tests_name("the command kb", tests, set_up, tear_down);
}
