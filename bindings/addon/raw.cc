// raw.cc: programs of bare instructions, from a JavaScript object to kb_program_def, and what
// programs print into their streams.
#include "addon.h"
#include <stddef.h>
#include <stdint.h>

namespace addon {

template <typename Field> struct Row {
    const char *key;
    Field kb_program_def::*field;
};

static constexpr Row<const char *> text_rows[] = {
    {"name", &kb_program_def::name},
    {"license", &kb_program_def::license},
    {"targetName", &kb_program_def::target_name},
};
static constexpr size_t text_count = sizeof(text_rows) / sizeof(text_rows[0]);

static constexpr Row<uint32_t> u32_rows[] = {
    {"type", &kb_program_def::type},
    {"attachType", &kb_program_def::attach_type},
    {"flags", &kb_program_def::flags},
    {"ifindex", &kb_program_def::ifindex},
    {"logLevel", &kb_program_def::log_level},
    {"kernelVersion", &kb_program_def::kernel_version},
    {"targetBtfId", &kb_program_def::target_btf_id},
};

static constexpr Row<int> fd_rows[] = {
    {"targetBtfFd", &kb_program_def::target_btf_fd},
    {"targetFd", &kb_program_def::target_fd},
};

static bool read_numbers(napi_env env, napi_value options, kb_program_def *def) {
    for (const auto &row : u32_rows)
        if (!read_u32_of(env, options, row.key, &(def->*row.field), nullptr))
            return false;
    for (const auto &row : fd_rows) {
        uint32_t fd = 0;
        if (!read_u32_of(env, options, row.key, &fd, nullptr))
            return false;
        def->*row.field = static_cast<int>(fd);
    }
    return true;
}

// Descriptors by their places, an Int32Array; the kernel reads those that instructions name.
static bool read_fds(napi_env env, napi_value options, kb_program_def *def) {
    napi_value value;
    napi_typedarray_type type;
    size_t count;
    void *data;

    if (!read_property(env, options, "fds", &value))
        return false;
    if (is_absent(env, value))
        return true;
    if (napi_get_typedarray_info(env, value, &type, &count, &data, nullptr, nullptr) != napi_ok ||
        type != napi_int32_array || count == 0) {
        throw_type(env, "fds must be an Int32Array that is not empty");
        return false;
    }
    def->fds = static_cast<const int *>(data);
    return true;
}

static bool read_buffers(napi_env env, napi_value options, kb_program_def *def) {
    Bytes insns, btf, functions, lines;

    if (!read_bytes_of(env, options, "instructions", &insns) ||
        !read_bytes_of(env, options, "btf", &btf) ||
        !read_bytes_of(env, options, "functions", &functions) ||
        !read_bytes_of(env, options, "lines", &lines) || !read_fds(env, options, def))
        return false;
    if (insns.size % 8 || functions.size % 8 || lines.size % 16 || functions.size > UINT32_MAX ||
        lines.size > UINT32_MAX) {
        throw_range(env, "instructions and functions take 8 bytes each, lines 16");
        return false;
    }
    def->insns = insns.data;
    def->insn_count = insns.size / 8;
    def->btf = btf.data;
    def->btf_size = btf.size;
    def->functions = functions.data;
    def->function_count = static_cast<uint32_t>(functions.size / 8);
    def->function_size = 8;
    def->lines = lines.data;
    def->line_count = static_cast<uint32_t>(lines.size / 16);
    def->line_size = 16;
    return true;
}

napi_value load_program(Call &call) {
    kb_program_def def = {};
    Text texts[text_count];
    napi_value options;
    kb_program *program;
    Error err;

    if (!read_options(call, 0, &options))
        return nullptr;
    if (!options)
        return throw_type(call.env, "a program has a type and instructions");
    for (size_t i = 0; i < text_count; i++) {
        if (!read_text(call.env, options, text_rows[i].key, false, &texts[i]))
            return nullptr;
        def.*text_rows[i].field = texts[i].chars;
    }
    // Buffers last: getters may run JavaScript that detaches them.
    if (!read_numbers(call.env, options, &def) || !read_buffers(call.env, options, &def))
        return nullptr;
    if (kb_program_load(&def, &program, &err) != 0)
        return throw_kernel(call, err);
    return wrap(call, Kind::program, program, def.name);
}

napi_value read_output(Call &call) {
    static constexpr size_t room = 64 * 1024;
    uint32_t stream;
    Error err;

    if (!read_u32(call, 0, "stream", &stream))
        return nullptr;
    auto *handle = open_native<kb_program>(call, "read program output");
    if (!handle)
        return nullptr;
    void *memory = malloc(room);
    if (!memory) {
        napi_throw_error(call.env, "ENOMEM", "out of memory");
        return nullptr;
    }
    ptrdiff_t size = kb_program_read_output(handle, stream, memory, room, &err);
    napi_value out =
        size < 0 ? throw_kernel(call, err) : bytes(call.env, memory, static_cast<size_t>(size));
    free(memory);
    return out;
}

} // namespace addon
