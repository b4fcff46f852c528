// program.cc: NativeProgram: a program of an object, or one opened by id, descriptor or pin: what
// it is, a run of it by itself, and what the kernel tells about it.
#include "addon.h"
#include <stdint.h>

namespace addon {

static napi_value program_fd(Call &call) {
    auto *handle = open_native<kb_program>(call, "program fd");

    return handle ? number(call.env, kb_program_fd(handle)) : nullptr;
}

static napi_value program_info(Call &call) {
    auto *handle = open_native<kb_program>(call, "program info");
    kb_program_info info;
    Error err;

    if (!handle)
        return nullptr;
    if (kb_program_get_info(handle, &info, &err) != 0)
        return throw_kernel(call, err);
    return describe_program(call.env, info);
}

static napi_value program_log(Call &call) {
    auto *handle = open_native<kb_program>(call, "program log");

    if (!handle)
        return nullptr;
    const char *log = kb_program_log(handle);
    return log ? text(call.env, log) : undefined(call.env);
}

// Run ---------------------------------------------------------------------------------------------

static bool read_run(const Call &call, napi_value options, kb_run *run) {
    napi_env env = call.env;
    Bytes data, data_out, ctx, ctx_out;

    // Numbers first: getters may run JavaScript that detaches the buffers.
    if (!read_u32_of(env, options, "repeat", &run->repeat, nullptr) ||
        !read_u32_of(env, options, "flags", &run->flags, nullptr) ||
        !read_u32_of(env, options, "cpu", &run->cpu, nullptr) ||
        !read_u32_of(env, options, "batchSize", &run->batch_size, nullptr) ||
        !read_bytes_of(env, options, "data", &data) ||
        !read_bytes_of(env, options, "dataOut", &data_out) ||
        !read_bytes_of(env, options, "ctx", &ctx) ||
        !read_bytes_of(env, options, "ctxOut", &ctx_out))
        return false;
    if (data.size > UINT32_MAX || data_out.size > UINT32_MAX || ctx.size > UINT32_MAX ||
        ctx_out.size > UINT32_MAX) {
        throw_range(env, "data and ctx must be smaller than 4 GiB");
        return false;
    }
    run->data = data.data;
    run->data_size = data.size;
    run->data_out = data_out.data;
    run->data_out_size = data_out.size;
    run->ctx = ctx.data;
    run->ctx_size = ctx.size;
    run->ctx_out = ctx_out.data;
    run->ctx_out_size = ctx_out.size;
    return true;
}

static napi_value run(Call &call) {
    napi_value options;
    kb_run run = {};
    Error err;

    if (!read_options(call, 0, &options) || !read_run(call, options, &run))
        return nullptr;
    auto *handle = open_native<kb_program>(call, "run program");
    if (!handle)
        return nullptr;
    if (kb_program_run(handle, &run, &err) != 0)
        return throw_kernel(call, err);
    Fields fields(call.env);
    fields.set("returnValue", run.return_value);
    fields.set("duration", run.duration);
    fields.set("dataSize", static_cast<double>(run.data_out_size));
    fields.set("ctxSize", static_cast<double>(run.ctx_out_size));
    return fields.object;
}

// Details -----------------------------------------------------------------------------------------

struct Details : kb_program_details {
    Details() : kb_program_details{} {}
    ~Details() {
        kb_program_details_clear(this);
    }
    Details(const Details &) = delete;
    Details &operator=(const Details &) = delete;
};

static napi_value list_of(napi_env env, size_t count) {
    napi_value list = nullptr;

    napi_create_array_with_length(env, count, &list);
    return list;
}

static void set_machine_code(napi_env env, Fields *fields, const Details &details) {
    napi_value functions = list_of(env, details.jited_function_count);
    napi_value lines = list_of(env, details.jited_line_count);

    for (uint32_t i = 0; i < details.jited_function_count; i++) {
        Fields function(env);
        function.set("address", bigint(env, details.jited_addresses[i]));
        function.set("size", details.jited_lengths[i]);
        napi_set_element(env, functions, i, function.object);
    }
    for (uint32_t i = 0; i < details.jited_line_count; i++)
        napi_set_element(env, lines, i, bigint(env, details.jited_lines[i]));
    fields->set("jited", bytes(env, details.jited, details.jited_size));
    fields->set("jitedFunctions", functions);
    fields->set("jitedLines", lines);
}

static void set_lists(napi_env env, Fields *fields, const Details &details) {
    napi_value maps = list_of(env, details.map_count);
    napi_value lines = list_of(env, details.line_count);
    napi_value functions = list_of(env, details.function_count);

    for (uint32_t i = 0; i < details.map_count; i++)
        napi_set_element(env, maps, i, number(env, details.map_ids[i]));
    for (uint32_t i = 0; i < details.line_count; i++) {
        Fields line(env);
        line.set("insn", details.lines[i].insn);
        line.set("file", details.lines[i].file);
        line.set("text", details.lines[i].text);
        line.set("line", details.lines[i].line_column >> 10);
        line.set("column", details.lines[i].line_column & 0x3ff);
        napi_set_element(env, lines, i, line.object);
    }
    for (uint32_t i = 0; i < details.function_count; i++) {
        Fields function(env);
        function.set("insn", details.functions[i].insn);
        function.set("typeId", details.functions[i].type_id);
        napi_set_element(env, functions, i, function.object);
    }
    fields->set("mapIds", maps);
    fields->set("lines", lines);
    fields->set("functions", functions);
}

static napi_value details(Call &call) {
    auto *handle = open_native<kb_program>(call, "program info");
    napi_env env = call.env;
    Details details;
    Error err;

    if (!handle)
        return nullptr;
    if (kb_program_get_details(handle, &details, &err) != 0)
        return throw_kernel(call, err);
    Fields fields(env);
    fields.set("name", details.name);
    fields.set("tag", bytes(env, details.tag, sizeof(details.tag)));
    fields.set("id", details.id);
    fields.set("type", details.type);
    fields.set("uid", details.uid);
    fields.set("ifindex", details.ifindex);
    fields.set("gplCompatible", boolean(env, details.gpl_compatible));
    fields.set("loadTime", bigint(env, details.load_time));
    fields.set("btfId", details.btf_id);
    fields.set("attachBtfObjectId", details.attach_btf_object_id);
    fields.set("attachBtfId", details.attach_btf_id);
    fields.set("runTime", bigint(env, details.run_time));
    fields.set("runCount", bigint(env, details.run_count));
    fields.set("recursionMisses", bigint(env, details.recursion_misses));
    fields.set("verifiedInstructions", details.verified_insns);
    fields.set("xlated", bytes(env, details.xlated, details.xlated_size));
    set_machine_code(env, &fields, details);
    set_lists(env, &fields, details);
    return fields.object;
}

// Opening -----------------------------------------------------------------------------------------

static napi_value wrap_program(const Call &call, kb_program *program) {
    kb_program_info info;

    kb_program_get_info(program, &info, nullptr); // the name, which never fails
    return wrap(call, Kind::program, program, info.name);
}

napi_value open_program(Call &call) {
    uint32_t id;
    kb_program *program;
    Error err;

    if (!read_u32(call, 0, "id", &id))
        return nullptr;
    if (kb_program_open(id, &program, &err) != 0)
        return throw_kernel(call, err);
    return wrap_program(call, program);
}

napi_value program_from_fd(Call &call) {
    uint32_t fd;
    kb_program *program;
    Error err;

    if (!read_u32(call, 0, "fd", &fd))
        return nullptr;
    if (kb_program_open_fd(static_cast<int>(fd), &program, &err) != 0)
        return throw_kernel(call, err);
    return wrap_program(call, program);
}

napi_value enable_stats(Call &call) {
    int fd;
    Error err;

    if (kb_enable_stats(&fd, &err) != 0)
        return throw_kernel(call, err);
    return number(call.env, fd);
}

napi_value btf_bytes(Call &call) {
    uint32_t id;
    void *memory;
    size_t size;
    Error err;

    if (!read_u32(call, 0, "id", &id))
        return nullptr;
    if (kb_btf_bytes(id, &memory, &size, &err) != 0)
        return throw_kernel(call, err);
    napi_value out = bytes(call.env, memory, size);
    free(memory);
    return out;
}

bool define_program_class(napi_env env, Data *data) {
    const napi_property_descriptor rows[] = {
        getter_row<Kind::program, closed_getter<Kind::program>>("closed"),
        getter_row<Kind::program, program_fd>("fd"),
        method_row<Kind::program, program_info>("info"),
        method_row<Kind::program, details>("details"),
        method_row<Kind::program, program_log>("log"),
        method_row<Kind::program, run>("run"),
        method_row<Kind::program, attach>("attach"),
        method_row<Kind::program, read_output>("readOutput"),
        method_row<Kind::program, close_method<Kind::program>>("close"),
    };

    return define_rows<Kind::program>(env, data, "NativeProgram", rows);
}

} // namespace addon
