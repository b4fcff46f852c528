// init.cc: the module: registration, per-environment data, and the functions that belong to no
// handle. What is exported, and the rules that hold everywhere, are in addon.ts; how the files
// share work is in addon.h. C++ converts values and calls kb; decisions are TypeScript's.
#include "addon.h"
#include <errno.h>

namespace addon {

static napi_value set_up(Call &call) {
    napi_value classes, type;
    napi_valuetype kind;

    if (!read_options(call, 0, &classes))
        return nullptr;
    if (!classes)
        return throw_type(call.env, "init() takes { KernelError }");
    if (!read_property(call.env, classes, "KernelError", &type))
        return nullptr;
    if (napi_typeof(call.env, type, &kind) != napi_ok || kind != napi_function)
        return throw_type(call.env, "KernelError must be a class");
    napi_ref old = call.data->kernel_error, reference;
    if (napi_create_reference(call.env, type, 1, &reference) != napi_ok)
        return nullptr;
    call.data->kernel_error = reference;
    if (old)
        napi_delete_reference(call.env, old);
    return undefined(call.env);
}

// Functions that can fail need the error class.
template <napi_value (*body)(Call &)> static napi_value ready(Call &call) {
    if (call.data->kernel_error)
        return body(call);
    napi_throw_error(call.env, nullptr, "call init({ KernelError }) first");
    return nullptr;
}

static napi_value probe(Call &call) {
    uint32_t program_type = 17; // BPF_PROG_TYPE_RAW_TRACEPOINT
    Error err;

    if (call.argc > 0 && !is_absent(call.env, call.argv[0]) &&
        !read_u32(call, 0, "programType", &program_type))
        return nullptr;
    int rc = kb_probe(program_type, &err);
    Fields fields(call.env);
    fields.set("bpf", boolean(call.env, rc == 0));
    if (rc != 0) {
        fields.set("reason", err.text);
        fields.set("errno", err.errnum);
        fields.set("code", kb_errno_name(err.errnum));
    }
    return fields.object;
}

static napi_value version(Call &call) {
    kb_versions versions;
    Fields fields(call.env);

    kb_get_versions(&versions);
    fields.set("libbpf", versions.libbpf);
    fields.set("libelf", versions.libelf);
    fields.set("kernel", versions.kernel);
    return fields.object;
}

static napi_value possible_cpus(Call &call) {
    return number(call.env, kb_possible_cpus());
}

template <kb_id_kind kind> static napi_value next_id(Call &call) {
    uint32_t after, next;
    Error err;

    if (!read_u32(call, 0, "after", &after))
        return nullptr;
    int rc = kb_next_id(kind, after, &next, &err);
    if (rc == -ENOENT)
        return undefined(call.env);
    return rc == 0 ? number(call.env, next) : throw_kernel(call, err);
}

static napi_value detach(Call &call) {
    if (call.argc > 0)
        napi_detach_arraybuffer(call.env, call.argv[0]);
    return undefined(call.env);
}

static napi_value mount_tracefs(Call &call) {
    Error err;

    if (kb_mount_tracefs(&err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

// The environment ends (process or worker thread): nothing may stay in the kernel for its sake.
// Runs before the finalizers of handles and instance data, and the environment waits until libuv
// has let go of its handles, too: their memory and their callbacks are this module's.
static void on_cleanup(napi_async_cleanup_hook_handle, void *pointer) {
    auto *data = static_cast<Data *>(pointer);

    close_all(data);
    data->ended = true;
    finish_ending(data);
}

void finish_ending(Data *data) {
    if (!data->ended || data->closing)
        return;
    data->ended = false;
    napi_remove_async_cleanup_hook(data->ending);
    release(data);
}

static void on_finalize(napi_env, void *data, void *) {
    release(static_cast<Data *>(data));
}

static Data *new_data(napi_env env) {
    auto *data = static_cast<Data *>(calloc(1, sizeof(Data)));

    if (!data)
        return nullptr;
    data->references = 1;
    if (napi_set_instance_data(env, data, on_finalize, nullptr) != napi_ok) {
        free(data);
        return nullptr;
    }
    // Without the hook finalizers still close everything, only later.
    if (napi_add_async_cleanup_hook(env, on_cleanup, data, &data->ending) == napi_ok)
        data->references++;
    return data;
}

static napi_value define_exports(napi_env env, napi_value exports) {
    const napi_property_descriptor rows[] = {
        function_row<set_up>("init"),
        function_row<ready<open_object>>("openObject"),
        function_row<ready<probe>>("probe"),
        function_row<version>("version"),
        function_row<possible_cpus>("possibleCpus"),
        function_row<ready<next_id<KB_ID_PROGRAM>>>("nextProgId"),
        function_row<ready<next_id<KB_ID_MAP>>>("nextMapId"),
        function_row<ready<next_id<KB_ID_LINK>>>("nextLinkId"),
        function_row<ready<next_id<KB_ID_BTF>>>("nextBtfId"),
        function_row<ready<mount_tracefs>>("mountTracefs"),
        function_row<ready<open_poller>>("openPoller"),
        function_row<detach>("detach"),
        function_row<probe_feature>("probeFeature"),
        function_row<feature_names>("featureNames"),
        function_row<number_name>("numberName"),
        function_row<ready<create_map>>("createMap"),
        function_row<ready<open_map_fd>>("openMapFd"),
        function_row<ready<open_map_id>>("openMapId"),
        function_row<ready<open_program>>("openProgram"),
        function_row<ready<program_from_fd>>("programFromFd"),
        function_row<ready<load_program>>("loadProgram"),
        function_row<ready<query>>("query"),
        function_row<ready<open_link>>("openLink"),
        function_row<ready<link_from_fd>>("linkFromFd"),
        function_row<ready<open_pinned>>("openPinned"),
        function_row<ready<pin>>("pin"),
        function_row<ready<unpin>>("unpin"),
        function_row<ready<mount_bpffs>>("mountBpffs"),
        function_row<bpffs_mounted>("bpffsMounted"),
        function_row<ready<enable_stats>>("enableStats"),
        function_row<ready<btf_bytes>>("btfBytes"),
    };
    Data *data = new_data(env);

    if (!data || !define_object_class(env, data) || !define_program_class(env, data) ||
        !define_link_class(env, data) || !define_map_class(env, data) ||
        !define_stream_classes(env, data) || !define_poller_class(env, data) ||
        napi_define_properties(env, exports, sizeof(rows) / sizeof(rows[0]), rows) != napi_ok) {
        napi_throw_error(env, nullptr, "cannot initialise the kernel addon");
        return nullptr;
    }
    return exports;
}

} // namespace addon

NAPI_MODULE_INIT() {
    return addon::define_exports(env, exports);
}
