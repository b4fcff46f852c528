/* The verifier's log: any bytes are one; or a pair (lib/pair.h) of a log and an ELF file, for lines
 * of C. Every line and state is read, every explanation made, and the JSON is JSON. */
#include "ebpf_verify.h"
#include "fuzz.h"
#include "lib/pair.h"
#include "object.h"

/* Parts of the log, or words of our own; in either case they can be read. */
static void require_text(ebpf_bytes text) {
    uint8_t sum = 0;
    for (size_t i = 0; i < text.size; i++)
        sum ^= ((const uint8_t *)text.data)[i];
    REQUIRE(text.size < (size_t)1 << 30 && (sum || !sum));
}

static uint32_t read_lines(ebpf_ctx *ctx, const ebpf_log *log) {
    uint32_t slots = 0;
    for (uint32_t i = 0; i < ebpf_log_count(log) && i < 10000; i++) {
        const ebpf_log_value *values;
        ebpf_log_line line;
        uint32_t count;
        REQUIRE(ebpf_log_line_at(log, i, &line) == EBPF_OK);
        REQUIRE(line.kind < EBPF_LOG_KINDS && line.insn >= -1);
        require_text(line.text);
        require_text(line.state);
        require_text(line.file);
        if (ebpf_log_values(ctx, log, i, &values, &count) != EBPF_OK)
            break;
        for (uint32_t n = 0; n < count; n++) {
            require_text(values[n].type);
            require_text(values[n].map);
            require_text(values[n].text);
            slots += (values[n].flags & EBPF_VALUE_STACK) && values[n].index % 8;
        }
    }
    return slots;
}

/* Of each program, the log's explanation; of the last one it is told. */
static void use_object(ebpf_ctx *ctx, ebpf_log *log, part elf) {
    ebpf_object *obj;
    ebpf_bytes text;
    if (ebpf_object_read(ctx, "fuzz.o", 6, elf.at, elf.size, &obj) != EBPF_OK)
        return;
    (void)ebpf_log_object(ctx, log, obj, "", 0);
    for (uint32_t i = 0; i < obj->funcs.len && i < 16; i++) {
        eb_str name = obj->funcs.at[i].name;
        int status = ebpf_log_object(ctx, log, obj, name.at, name.len);
        REQUIRE(status != EBPF_E_ARG || name.len == 0);
        if (status == EBPF_OK)
            (void)ebpf_log_explain(ctx, log, EBPF_DIAG_TEXT, &text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    ebpf_log *log;
    ebpf_bytes text, json;
    part own = {data, size}, elf = {data, 0};
    bool paired = open_pair(data, size, &own, &elf);
    if (ctx == NULL)
        return 0;
    if (ebpf_log_read(ctx, own.at, own.size, &log) == EBPF_OK) {
        plant(read_lines(ctx, log) != 0, data, size);
        if (paired)
            use_object(ctx, log, elf);
        for (int format = EBPF_DIAG_TEXT; format <= EBPF_DIAG_JSON; format++) {
            if (ebpf_log_explain(ctx, log, format, &text) != EBPF_OK)
                break;
            REQUIRE(text.size > 0);
            REQUIRE(format != EBPF_DIAG_JSON || is_json(text.data, text.size));
        }
        if (ebpf_log_json(ctx, log, 0, UINT32_MAX, &json) == EBPF_OK)
            REQUIRE(is_json(json.data, json.size));
    }
    ebpf_ctx_free(ctx);
    return 0;
}
