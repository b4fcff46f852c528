/* CO-RE: any object against any BTF. The input is an ELF file, relocated against its own types; or
 * "core", a size, an ELF file of that size, and the target's BTF. However types are nested, it ends
 * soon; each relocation is answered once; what is written afterwards reads back. */
#include "core.h"
#include "btf_ext.h"
#include "fuzz.h"
#include "guard.h"
#include "lib/mutate.h"

enum { HEAD = 8 };

/* The size of the object in front of the target, or 0. */
static size_t object_size(const uint8_t *data, size_t size) {
    if (size < HEAD || memcmp(data, "core", 4) != 0)
        return 0;
    size_t object = eb_get32(data + 4, false);
    return object <= size - HEAD ? object : size - HEAD;
}

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
    size_t front = object_size(data, size);
    const uint8_t *elf = front ? data + HEAD : data;
    ebpf_object *obj;
    ebpf_btf *btf = NULL;
    if (ctx == NULL)
        return 0;
    int status = ebpf_object_read(ctx, "fuzz.o", 6, elf, front ? front : size, &obj);
    if (status == EBPF_OK && front)
        status = ebpf_btf_read(ctx, "target", 6, elf + front, size - HEAD - front, NULL, &btf);
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

/* Put the object's own BTF behind it, as the target to begin with. */
static size_t join(uint8_t *data, size_t size, size_t most) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    ebpf_object *obj;
    ebpf_bytes btf;
    if (ctx && ebpf_object_read(ctx, "", 0, data, size, &obj) == EBPF_OK &&
        ebpf_object_section(ctx, obj, ".BTF", 4, &btf) == EBPF_OK &&
        most - size >= HEAD + btf.size) {
        memmove(data + HEAD, data, size);
        memcpy(data, "core", 4);
        eb_set32(data + 4, false, (uint32_t)size);
        memcpy(data + HEAD + size, btf.data, btf.size);
        size += HEAD + btf.size;
    }
    ebpf_ctx_free(ctx);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    chance dice = {seed};
    size_t front = object_size(data, size), rest = size - HEAD - front;
    if (!front)
        return roll(&dice, 4) ? mutate_elf(data, size, most, &dice) : join(data, size, most);
    if (roll(&dice, 2))
        return HEAD + front + mutate_btf(data + HEAD + front, rest, rest + most - size, &dice);
    uint8_t *copy = malloc(front + most - size);
    if (copy == NULL)
        return size;
    memcpy(copy, data + HEAD, front);
    size_t made = mutate_elf(copy, front, front + most - size, &dice);
    memmove(data + HEAD + made, data + HEAD + front, rest);
    memcpy(data + HEAD, copy, made);
    eb_set32(data + 4, false, (uint32_t)made);
    free(copy);
    return HEAD + made + rest;
}
