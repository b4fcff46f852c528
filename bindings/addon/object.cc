// object.cc: NativeObject, NativeProgram and NativeLink.
#include "addon.h"

namespace addon {

napi_value open_object(Call &call) {
    napi_value options;
    Text name;
    Bytes bytes;
    kb_object *object;
    Error err;

    if (!read_options(call, 1, &options) || !read_text(call.env, options, "name", false, &name) ||
        !read_bytes(call, 0, "bytes", &bytes))
        return nullptr;
    kb_open_opts opts = {};
    opts.name = name.chars;
    if (kb_object_open(bytes.data, bytes.size, &opts, &object, &err) != 0)
        return throw_kernel(call, err);
    return wrap(call, Kind::object, object, name.chars ? name.chars : "bpf");
}

// NativeObject ------------------------------------------------------------------------------------

static napi_value load(Call &call) {
    napi_value options, level = nullptr;
    uint64_t log_level;
    Error err;

    if (!read_options(call, 0, &options) || !read_property(call.env, options, "logLevel", &level) ||
        !read_u64(call.env, level, "logLevel", &log_level))
        return nullptr;
    if (log_level > 7)
        return throw_range(call.env, "logLevel must be 0 to 7");
    auto *object = open_native<kb_object>(call, "load object");
    if (!object)
        return nullptr;
    kb_load_opts opts = {};
    opts.log_level = static_cast<uint32_t>(log_level);
    if (kb_object_load(object, &opts, &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

static napi_value describe_program(napi_env env, const kb_program_info &info) {
    Fields fields(env);

    fields.set("name", info.name);
    fields.set("section", info.section);
    fields.set("type", info.type);
    fields.set("expectedAttachType", info.expected_attach_type);
    fields.set("instructionCount", static_cast<double>(info.insn_count));
    fields.set("id", info.id);
    fields.set("fd", info.fd);
    return fields.object;
}

static napi_value programs(Call &call) {
    auto *object = open_native<kb_object>(call, "list programs");
    napi_value list;

    if (!object || napi_create_array(call.env, &list) != napi_ok)
        return nullptr;
    for (size_t i = 0; i < kb_object_program_count(object); i++) {
        kb_program_info info;
        kb_object_program_info(object, i, &info);
        napi_set_element(call.env, list, static_cast<uint32_t>(i),
                         describe_program(call.env, info));
    }
    return list;
}

static napi_value maps(Call &call) {
    auto *object = open_native<kb_object>(call, "list maps");
    napi_value list;

    if (!object || napi_create_array(call.env, &list) != napi_ok)
        return nullptr;
    for (size_t i = 0; i < kb_object_map_count(object); i++) {
        kb_map_info info;
        kb_object_map_info(object, i, &info);
        napi_set_element(call.env, list, static_cast<uint32_t>(i), describe_map(call.env, info));
    }
    return list;
}

static napi_value program(Call &call) {
    size_t index;
    kb_program *handle;
    kb_program_info info;
    Error err;

    if (!read_index(call, 0, &index))
        return nullptr;
    auto *object = open_native<kb_object>(call, "open program");
    if (!object)
        return nullptr;
    if (index >= kb_object_program_count(object))
        return throw_range(call.env, "index is beyond the object's programs");
    if (kb_object_program(object, index, &handle, &err) != 0)
        return throw_kernel(call, err);
    kb_program_get_info(handle, &info);
    return wrap(call, Kind::program, handle, info.name);
}

static napi_value map(Call &call) {
    size_t index;
    kb_map *handle;
    kb_map_info info;
    Error err;

    if (!read_index(call, 0, &index))
        return nullptr;
    auto *object = open_native<kb_object>(call, "open map");
    if (!object)
        return nullptr;
    if (kb_object_map_info(object, index, &info) != 0)
        return throw_range(call.env, "index is beyond the object's maps");
    if (kb_object_map(object, index, &handle, &err) != 0)
        return throw_kernel(call, err);
    return wrap(call, Kind::map, handle, info.name);
}

// NativeProgram -----------------------------------------------------------------------------------

static napi_value program_fd(Call &call) {
    auto *handle = open_native<kb_program>(call, "program fd");

    return handle ? number(call.env, kb_program_fd(handle)) : nullptr;
}

static napi_value program_info(Call &call) {
    auto *handle = open_native<kb_program>(call, "program info");
    kb_program_info info;

    if (!handle)
        return nullptr;
    kb_program_get_info(handle, &info);
    return describe_program(call.env, info);
}

static napi_value program_log(Call &call) {
    auto *handle = open_native<kb_program>(call, "program log");

    if (!handle)
        return nullptr;
    const char *log = kb_program_log(handle);
    return log ? text(call.env, log) : undefined(call.env);
}

// The strings of a target, which kb_attach_opts points to.
struct Target {
    kb_attach_opts opts = {};
    Text kind, category, name;
};

static bool read_target(const Call &call, Target *target) {
    napi_env env = call.env;
    napi_value object, cookie;

    if (!read_options(call, 0, &object))
        return false;
    if (!object)
        return true;
    if (!read_text(env, object, "kind", true, &target->kind) ||
        !read_property(env, object, "cookie", &cookie) ||
        !read_u64(env, cookie, "cookie", &target->opts.cookie))
        return false;
    if (strcmp(target->kind.chars, "section") == 0) {
        target->opts.kind = KB_TARGET_SECTION;
        return true;
    }
    if (strcmp(target->kind.chars, "raw_tracepoint") == 0) {
        target->opts.kind = KB_TARGET_RAW_TRACEPOINT;
        if (!read_text(env, object, "name", true, &target->name))
            return false;
        target->opts.target.raw_tracepoint.name = target->name.chars;
        return true;
    }
    if (strcmp(target->kind.chars, "tracepoint") == 0) {
        target->opts.kind = KB_TARGET_TRACEPOINT;
        if (!read_text(env, object, "category", true, &target->category) ||
            !read_text(env, object, "name", true, &target->name))
            return false;
        target->opts.target.tracepoint.category = target->category.chars;
        target->opts.target.tracepoint.name = target->name.chars;
        return true;
    }
    throw_range(env, "kind must be 'section', 'raw_tracepoint' or 'tracepoint'");
    return false;
}

static napi_value attach(Call &call) {
    Target target;
    kb_link *link;
    Error err;

    if (!read_target(call, &target))
        return nullptr;
    auto *handle = open_native<kb_program>(call, "attach");
    if (!handle)
        return nullptr;
    if (kb_program_attach(handle, &target.opts, &link, &err) != 0)
        return throw_kernel(call, err);
    return wrap(call, Kind::link, link, call.handle->name);
}

// NativeLink --------------------------------------------------------------------------------------

static napi_value link_fd(Call &call) {
    auto *link = open_native<kb_link>(call, "link fd");

    return link ? number(call.env, kb_link_fd(link)) : nullptr;
}

static napi_value link_info(Call &call) {
    auto *link = open_native<kb_link>(call, "link info");
    kb_link_info info;
    Error err;

    if (!link)
        return nullptr;
    if (kb_link_get_info(link, &info, &err) != 0)
        return throw_kernel(call, err);
    Fields fields(call.env);
    fields.set("id", info.id);
    fields.set("type", info.type);
    fields.set("programId", info.program_id);
    return fields.object;
}

template <Kind kind, size_t count>
static bool define(napi_env env, Data *data, const char *name,
                   const napi_property_descriptor (&rows)[count]) {
    return define_class(env, data, kind, name, rows, count);
}

bool define_object_classes(napi_env env, Data *data) {
    const napi_property_descriptor object_rows[] = {
        getter_row<Kind::object, closed_getter<Kind::object>>("closed"),
        method_row<Kind::object, load>("load"),
        method_row<Kind::object, programs>("programs"),
        method_row<Kind::object, maps>("maps"),
        method_row<Kind::object, program>("program"),
        method_row<Kind::object, map>("map"),
        method_row<Kind::object, close_method<Kind::object>>("close"),
    };
    const napi_property_descriptor program_rows[] = {
        getter_row<Kind::program, closed_getter<Kind::program>>("closed"),
        getter_row<Kind::program, program_fd>("fd"),
        method_row<Kind::program, program_info>("info"),
        method_row<Kind::program, program_log>("log"),
        method_row<Kind::program, attach>("attach"),
        method_row<Kind::program, close_method<Kind::program>>("close"),
    };
    const napi_property_descriptor link_rows[] = {
        getter_row<Kind::link, closed_getter<Kind::link>>("closed"),
        getter_row<Kind::link, link_fd>("fd"),
        method_row<Kind::link, link_info>("info"),
        method_row<Kind::link, close_method<Kind::link>>("close"),
    };

    return define<Kind::object>(env, data, "NativeObject", object_rows) &&
           define<Kind::program>(env, data, "NativeProgram", program_rows) &&
           define<Kind::link>(env, data, "NativeLink", link_rows);
}

} // namespace addon
