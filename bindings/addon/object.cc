// object.cc: NativeObject: ELF bytes that are opened, changed, loaded and taken apart.
#include "addon.h"

namespace addon {

napi_value open_object(Call &call) {
    napi_value options;
    Text name, pin_root, kconfig, btf_path, token_path;
    Bytes bytes;
    kb_object *object;
    kb_open_opts opts = {};
    Error err;

    if (!read_options(call, 1, &options) || !read_text(call.env, options, "name", false, &name) ||
        !read_text(call.env, options, "pinRoot", false, &pin_root) ||
        !read_text(call.env, options, "kconfig", false, &kconfig) ||
        !read_text(call.env, options, "btfPath", false, &btf_path) ||
        !read_text(call.env, options, "tokenPath", false, &token_path) ||
        !read_bool_of(call.env, options, "relaxedMaps", &opts.relaxed_maps) ||
        !read_bytes(call, 0, "bytes", &bytes))
        return nullptr;
    opts.name = name.chars;
    opts.pin_root = pin_root.chars;
    opts.kconfig = kconfig.chars;
    opts.btf_path = btf_path.chars;
    opts.token_path = token_path.chars;
    if (kb_object_open(bytes.data, bytes.size, &opts, &object, &err) != 0)
        return throw_kernel(call, err);
    return wrap(call, Kind::object, object, name.chars ? name.chars : "bpf");
}

// NativeObject ------------------------------------------------------------------------------------

bool read_load_opts(const Call &call, kb_load_opts *opts) {
    napi_value options, level = nullptr;
    uint64_t log_level;

    if (!read_options(call, 0, &options) || !read_property(call.env, options, "logLevel", &level) ||
        !read_u64(call.env, level, "logLevel", &log_level))
        return false;
    if (log_level > 7) {
        throw_range(call.env, "logLevel must be 0 to 7");
        return false;
    }
    opts->log_level = static_cast<uint32_t>(log_level);
    return true;
}

static napi_value load(Call &call) {
    kb_load_opts opts = {};
    Error err;

    if (!read_load_opts(call, &opts))
        return nullptr;
    auto *object = open_native<kb_object>(call, "load object");
    if (!object)
        return nullptr;
    if (kb_object_load(object, &opts, &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

// Changes before the load
// --------------------------------------------------------------------------

static bool read_choice(napi_env env, napi_value object, const char *key, kb_choice *out) {
    napi_value value;
    bool yes = false;

    if (!read_property(env, object, key, &value))
        return false;
    if (is_absent(env, value))
        return true;
    if (!read_bool_of(env, object, key, &yes))
        return false;
    *out = yes ? KB_YES : KB_NO;
    return true;
}

static bool read_fd(napi_env env, napi_value object, const char *key, int *out) {
    uint32_t fd = 0;

    if (!read_u32_of(env, object, key, &fd, nullptr))
        return false;
    *out = static_cast<int>(fd);
    return true;
}

static napi_value change_program(Call &call) {
    napi_env env = call.env;
    size_t index;
    napi_value options;
    Text target;
    kb_program_changes changes = {};
    Error err;

    if (!read_index(call, 0, &index) || !read_options(call, 1, &options) ||
        !read_u32_of(env, options, "type", &changes.type, &changes.has_type) ||
        !read_u32_of(env, options, "attachType", &changes.attach_type, &changes.has_attach_type) ||
        !read_u32_of(env, options, "flags", &changes.flags, &changes.has_flags) ||
        !read_u32_of(env, options, "logLevel", &changes.log_level, &changes.has_log_level) ||
        !read_text(env, options, "targetName", false, &target) ||
        !read_fd(env, options, "targetFd", &changes.target_fd) ||
        !read_choice(env, options, "autoload", &changes.autoload) ||
        !read_choice(env, options, "autoattach", &changes.autoattach))
        return nullptr;
    changes.target_name = target.chars;
    auto *object = open_native<kb_object>(call, "change program");
    if (!object)
        return nullptr;
    if (kb_object_change_program(object, index, &changes, &err) != 0)
        return throw_kernel(call, err);
    return undefined(env);
}

static napi_value change_map(Call &call) {
    static const struct {
        const char *key;
        uint32_t kb_map_changes::*field;
        uint32_t bit;
    } rows[] = {
        {"type", &kb_map_changes::type, KB_SET_TYPE},
        {"keySize", &kb_map_changes::key_size, KB_SET_KEY_SIZE},
        {"valueSize", &kb_map_changes::value_size, KB_SET_VALUE_SIZE},
        {"maxEntries", &kb_map_changes::max_entries, KB_SET_MAX_ENTRIES},
        {"flags", &kb_map_changes::flags, KB_SET_FLAGS},
        {"numaNode", &kb_map_changes::numa_node, KB_SET_NUMA_NODE},
        {"ifindex", &kb_map_changes::ifindex, KB_SET_IFINDEX},
    };
    napi_env env = call.env;
    size_t index;
    napi_value options, extra;
    Text pin_path;
    kb_map_changes changes = {};
    Error err;

    if (!read_index(call, 0, &index) || !read_options(call, 1, &options))
        return nullptr;
    for (const auto &row : rows) {
        bool given = false;
        if (!read_u32_of(env, options, row.key, &(changes.*row.field), &given))
            return nullptr;
        changes.set |= given ? row.bit : 0;
    }
    if (!read_property(env, options, "extra", &extra) ||
        !read_u64(env, extra, "extra", &changes.extra) ||
        !read_fd(env, options, "innerFd", &changes.inner_fd) ||
        !read_fd(env, options, "reuseFd", &changes.reuse_fd) ||
        !read_text(env, options, "pinPath", false, &pin_path) ||
        !read_choice(env, options, "autocreate", &changes.autocreate) ||
        !read_choice(env, options, "autoattach", &changes.autoattach))
        return nullptr;
    changes.set |= is_absent(env, extra) ? 0u : static_cast<uint32_t>(KB_SET_EXTRA);
    changes.pin_path = pin_path.chars;
    auto *object = open_native<kb_object>(call, "change map");
    if (!object)
        return nullptr;
    if (kb_object_change_map(object, index, &changes, &err) != 0)
        return throw_kernel(call, err);
    return undefined(env);
}

static napi_value set_initial(Call &call) {
    size_t index;
    uint32_t offset;
    Bytes bytes;
    Error err;

    if (!read_index(call, 0, &index) || !read_u32(call, 1, "offset", &offset) ||
        !read_bytes(call, 2, "bytes", &bytes))
        return nullptr;
    auto *object = open_native<kb_object>(call, "set initial value");
    if (!object)
        return nullptr;
    if (kb_object_set_initial(object, index, offset, bytes.data, bytes.size, &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

// Contents ----------------------------------------------------------------------------------------

napi_value describe_program(napi_env env, const kb_program_info &info) {
    Fields fields(env);

    fields.set("name", info.name);
    fields.set("section", info.section);
    fields.set("type", info.type);
    fields.set("expectedAttachType", info.expected_attach_type);
    fields.set("instructionCount", static_cast<double>(info.insn_count));
    fields.set("id", info.id);
    fields.set("fd", info.fd);
    fields.set("autoload", boolean(env, info.autoload));
    fields.set("autoattach", boolean(env, info.autoattach));
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
    kb_object_program_info(object, index, &info); // the name; the rest may fail
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
        method_row<Kind::object, change_program>("changeProgram"),
        method_row<Kind::object, change_map>("changeMap"),
        method_row<Kind::object, set_initial>("setInitial"),
        method_row<Kind::object, load>("load"),
        method_row<Kind::object, load_async>("loadAsync"),
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
