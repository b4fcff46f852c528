/* selftests_test.c - the kernel's selftests say what programs of theirs return: run those in the
 * VM.
 *
 * A program that must load and has a result is marked so by declaration tags in the object's BTF
 * (test_expect_success, test_retval=). As the selftests' loader does it, each runs by itself on a
 * packet of 64 zeroes; the host's helpers find nothing. Exceptions stand in a table, with their
 * cause. The objects are those that scripts/lib/corpus.mjs makes; without them the test skips. */
#include "unit.h"

#include <dirent.h>

#include "btf.h"
#include "ebpf_vm.h"

#define CORPUS CASES "/../../build/corpus/selftests"

enum { BUDGET = 100000000, FEWEST = 400, ALL = 700, HOST_CALLS = 100 };

static const struct {
    const char *object, *program, *cause;
} exceptions[] = {
    {"iters_testmod_seq.o", "testmod_seq_getter_good", "functions of a test module"},
    {"refcounted_kptr.o", "", "trees and lists of the kernel's"},
    {"tailcall_bpf2bpf_hierarchy2.o", "tailcall_bpf2bpf_hierarchy_2", "more than 8 frames in all"},
    {"tailcall_bpf2bpf_hierarchy3.o", "tailcall_bpf2bpf_hierarchy_3", "more than 8 frames in all"},
    {"verifier_arena.o", "basic_alloc3", "reads the kernel's struct of a map"},
    {"verifier_arena_large.o", "", "an arena of 4 GiB"},
    {"verifier_array_access.o", "a_read_only_array_1_1", "the loader fills the map"},
    {"verifier_array_access.o", "a_read_only_array_2_1", "the loader fills the map"},
    {"verifier_map_ptr.o", "ptr_read_ops_field_accepted", "reads the kernel's struct of a map"},
    {"verifier_netfilter_ctx.o", "with_valid_ctx_access_test6", "follows the kernel's pointers"},
    {"verifier_typedef.o", "resolve_typedef", "follows the kernel's pointers"},
    {"verifier_unpriv.o", "pass_pointer_to_tail_call", "the loader fills the map"},
    {"verifier_value_ptr_arith.o", "alu_with_different_scalars_1", "the loader fills the map"},
    {"verifier_value_ptr_arith.o", "value_ptr_known_scalar_5", "the loader fills the map"},
    {"verifier_value_ptr_arith.o", "value_ptr_known_scalar_6", "the loader fills the map"},
    {"verifier_value_ptr_arith.o", "unknown_scalar_value_ptr_2", "the loader fills the map"},
    {"verifier_value_ptr_arith.o", "unknown_scalar_value_ptr_3", "the loader fills the map"},
    {"verifier_value_ptr_arith.o", "value_ptr_unknown_scalar_2_1", "the loader fills the map"},
};

static const char *exception(const char *object, const char *program) {
    for (unsigned i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (!strcmp(exceptions[i].object, object) && !strcmp(exceptions[i].program, program))
            return exceptions[i].cause;
    return NULL;
}

/* What a tag of function `id` says behind `prefix`, or NULL. */
static const char *tag_of(ebpf_ctx *ctx, const eb_btf *btf, uint32_t id, const char *prefix) {
    for (uint32_t tag = btf->first; tag < btf->count; tag++) {
        if (eb_btf_kind_of(btf, tag) != EB_BTF_DECL_TAG || eb_btf_at(btf, tag).size_or_type != id)
            continue;
        eb_str text = eb_btf_name(btf, tag);
        if (eb_str_starts(text, prefix))
            return eb_str_copy(&ctx->arena, text).at + strlen(prefix);
    }
    return NULL;
}

/* Run the program in a VM of its own; a result that is another one than `want` is told. */
static bool returns(ebpf_ctx *ctx, const ebpf_object *obj, const char *object, const char *name,
                    uint32_t want) {
    static const uint8_t packet[64], memory[512];
    ebpf_vm *vm;
    if (ebpf_vm_new(ctx, obj, 2, &vm))
        fail_msg("%s: %s", object, unit_diagnostics(ctx));
    int program = ebpf_vm_program_find(vm, name, (uint32_t)strlen(name));
    assert_true(program >= 0);
    ebpf_vm_inputs_of(vm)->clock_ns = 1000000007;
    ebpf_vm_inputs_of(vm)->clock_step_ns = 13;
    if (ebpf_vm_start_typed(vm, (uint32_t)program, NULL, 0, packet, sizeof packet) &&
        ebpf_vm_start_typed(vm, (uint32_t)program, memory, sizeof memory, NULL, 0) &&
        ebpf_vm_start_typed(vm, (uint32_t)program, NULL, 0, NULL, 0))
        fail_msg("%s, %s: %s", object, name, unit_diagnostics(ctx));
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    state->budget = BUDGET;
    int stop = ebpf_vm_run(vm);
    for (int i = 0; stop == EBPF_STOP_HELPER && i < HOST_CALLS; i++) {
        state->reg[0] = 0;
        stop = ebpf_vm_run(vm);
    }
    if (stop == EBPF_STOP_EXIT && (uint32_t)state->reg[0] == want)
        return true;
    ebpf_bytes fault;
    ebpf_vm_fault_text(vm, &fault);
    printf("%s, %s: stop %d, r0 %d, wanted %d %s %.*s\n", object, name, stop,
           (int)(uint32_t)state->reg[0], (int)want,
           stop == EBPF_STOP_HELPER ? ebpf_vm_helper_name(vm, state->helper) : "",
           stop == EBPF_STOP_FAULT ? (int)fault.size : 0, (const char *)fault.data);
    return false;
}

typedef struct tally {
    uint32_t same, other, excepted;
} tally;

static void run_object(const char *object, tally *t) {
    char path[512];
    snprintf(path, sizeof path, CORPUS "/%s", object);
    unit_file file = unit_read(path);
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj;
    int status = ebpf_object_read(ctx, object, strlen(object), file.at, file.size, &obj);
    const eb_btf *btf = status == EBPF_OK ? obj->btf : NULL;
    for (uint32_t id = btf ? btf->first : 0; btf && id < btf->count; id++) {
        if (eb_btf_kind_of(btf, id) != EB_BTF_FUNC ||
            !tag_of(ctx, btf, id, "comment:test_expect_success"))
            continue;
        const char *value = tag_of(ctx, btf, id, "comment:test_retval=");
        char *end = NULL;
        long long want = value ? strtoll(value, &end, 0) : 0;
        if (!value || end == value || *end) /* POINTER_VALUE and other words */
            continue;
        const char *name = eb_str_copy(&ctx->arena, eb_btf_name(btf, id)).at;
        ebpf_ctx *own = unit_open(); /* programs leave diagnostics and memory */
        assert_int_equal(ebpf_object_read(own, object, strlen(object), file.at, file.size, &obj),
                         0);
        if (exception(object, name) || exception(object, ""))
            t->excepted++;
        else if (returns(own, obj, object, name, (uint32_t)want))
            t->same++;
        else
            t->other++;
        unit_close(own);
    }
    unit_close(ctx);
    free(file.at);
}

static void test_results(void **state) {
    (void)state;
    DIR *dir = opendir(CORPUS);
    if (!dir)
        UNIT_SKIP("the selftests' objects are not made");
    tally t = {0};
    unsigned objects = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        size_t size = strlen(entry->d_name);
        if (size > 2 && strcmp(entry->d_name + size - 2, ".o") == 0) {
            run_object(entry->d_name, &t);
            objects++;
        }
    }
    closedir(dir);
    printf("%u programs return what the selftests say, %u another result, %u excepted\n", t.same,
           t.other, t.excepted);
    assert_int_equal(t.other, 0);
    /* Behind a run of the corpus' sample, only a part of them is there. */
    assert_true(t.same >= (objects >= ALL ? FEWEST : 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_results)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
