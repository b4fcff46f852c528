/* CO-RE: any object against any BTF. The input is an ELF file, relocated against its own types; or
 * a pair (lib/pair.h) of the target's BTF and an ELF file. However types are nested, it ends soon;
 * each relocation is answered once; what is written afterwards reads back. */
#include "core.h"
#include "btf_ext.h"
#include "fuzz.h"
#include "guard.h"
#include "lib/pair.h"

static uint32_t records_of(const ebpf_object *obj) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < obj->sections.len; i++)
        count += obj->sections.at[i].core.len;
    return count;
}

static void look_up(const ebpf_object *obj) {
    for (uint32_t i = 0; i < obj->sections.len; i++) {
        const eb_section *section = &obj->sections.at[i];
        for (uint64_t offset = 0; offset < section->size && offset < 4096; offset += 8) {
            const eb_line *line = eb_line_of(section, offset);
            const eb_core_relo *relo = eb_core_of(section, offset);
            REQUIRE(!line || (line->offset <= offset && eb_line_text(line).len <= line->text.len));
            REQUIRE(!relo || relo->offset == offset);
            REQUIRE(eb_func_type_of(section, offset) == 0 || obj->btf);
        }
    }
}

typedef struct input {
    ebpf_object *obj;
    const eb_btf *target;
    const uint8_t *data;
    size_t size;
} input;

static int run(ebpf_ctx *ctx, void *args) {
    input in = *(const input *)args;
    eb_core_target target = {in.target, EB_STR("target")};
    eb_core_results results = {0}, again = {0};
    eb_buf text = {.arena = &ctx->arena}, json = {.arena = &ctx->arena};
    uint32_t records = records_of(in.obj), failed = 0, unknown = 0, errors = ctx->errors;
    look_up(in.obj);
    int status = eb_core_relocate(in.obj, &target, 1, &results);
    REQUIRE(results.len == records);
    for (uint32_t i = 0; i < results.len; i++) {
        failed += results.at[i].outcome == EB_CORE_FAILED;
        unknown += results.at[i].relo.kind >= EB_CORE_KINDS;
    }
    plant(unknown != 0, in.data, in.size);
    REQUIRE(ctx->errors - errors == failed && (status == EBPF_OK) == (failed == 0));
    eb_core_report_text(in.obj, &results, &target, &text);
    eb_core_report_json(in.obj, &results, &target, &json);
    REQUIRE(is_json((const char *)json.at, json.len));
    REQUIRE(records_of(in.obj) == failed);
    (void)eb_core_relocate(in.obj, &target, 1, &again);
    REQUIRE(again.len == failed);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    part types, elf = {data, size};
    bool paired = open_pair(data, size, &types, &elf);
    ebpf_object *obj;
    ebpf_btf *btf = NULL;
    if (ctx == NULL)
        return 0;
    int status = ebpf_object_read(ctx, "fuzz.o", 6, elf.at, elf.size, &obj);
    if (status == EBPF_OK && paired)
        status = ebpf_btf_read(ctx, "target", 6, types.at, types.size, NULL, &btf);
    else if (status == EBPF_OK)
        btf = obj->btf;
    if (status == EBPF_OK && btf) {
        status = eb_guard(ctx, run, &(input){obj, btf, data, size});
        if (went_well(status))
            require_round_trip(ctx, obj);
    }
    require_diagnostics(ctx, status);
    ebpf_ctx_free(ctx);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    return mutate_pair(data, size, most, &(chance){seed}, mutate_btf, mutate_elf);
}
