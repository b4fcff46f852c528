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

napi_value describe_program(napi_env env, const kb_program_info &info) {
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

static napi_value attach_map(Call &call) {
    size_t index;
    kb_link *link;
    kb_map_info info;
    Error err;

    if (!read_index(call, 0, &index))
        return nullptr;
    auto *object = open_native<kb_object>(call, "attach map");
    if (!object)
        return nullptr;
    if (kb_object_map_info(object, index, &info) != 0)
        return throw_range(call.env, "index is beyond the object's maps");
    if (kb_object_attach_map(object, index, &link, &err) != 0)
        return throw_kernel(call, err);
    return wrap(call, Kind::link, link, info.name);
}

bool define_object_class(napi_env env, Data *data) {
    const napi_property_descriptor object_rows[] = {
        getter_row<Kind::object, closed_getter<Kind::object>>("closed"),
        method_row<Kind::object, load>("load"),
        method_row<Kind::object, programs>("programs"),
        method_row<Kind::object, maps>("maps"),
        method_row<Kind::object, program>("program"),
        method_row<Kind::object, map>("map"),
        method_row<Kind::object, attach_map>("attachMap"),
        method_row<Kind::object, close_method<Kind::object>>("close"),
    };

    return define_rows<Kind::object>(env, data, "NativeObject", object_rows);
}

} // namespace addon
