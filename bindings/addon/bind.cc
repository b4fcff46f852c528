// bind.cc: one operation on one map, as a function without arguments: its system call is prepared,
// key and value have fixed places. What is left per call is one call into C and the system call,
// which is what C itself pays.
//
// The places must be views of SharedArrayBuffers: the memory of an ordinary ArrayBuffer can be
// taken away (transferred to another thread, say) while the function still points to it.
#include "addon.h"
#include <errno.h>

namespace addon {

// Owned by the function; the function keeps map and places alive.
struct Bound {
    Data *data;
    Handle *handle;
    kb_map_call call;
};

static void free_bound(napi_env, void *pointer, void *) {
    auto *bound = static_cast<Bound *>(pointer);

    release(bound->data);
    free(bound);
}

static napi_value refuse(napi_env env, Bound *bound, int rc) {
    Call call = {};
    Error err;

    call.env = env;
    call.data = bound->data;
    call.handle = bound->handle;
    auto *map = open_native<kb_map>(call, "map operation");
    if (!map)
        return nullptr;
    kb_map_run_error(map, &bound->call, rc, &err);
    return throw_kernel(call, err);
}

// True: done; false: no such key.
static napi_value run(napi_env env, napi_callback_info info) {
    void *pointer;

    if (napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &pointer) != napi_ok)
        return nullptr;
    auto *bound = static_cast<Bound *>(pointer);
    if (!bound->handle->native)
        return refuse(env, bound, -EBADF);
    int rc = kb_map_run(&bound->call);
    // Of an update -ENOENT is an error.
    if (rc != 0 && (rc != -ENOENT || bound->call.command == 2 /* BPF_MAP_UPDATE_ELEM */))
        return refuse(env, bound, rc);
    return boolean(env, rc == 0);
}

static bool read_place(const Call &call, size_t index, const char *name, Bytes *out) {
    napi_value buffer;
    napi_typedarray_type type;
    size_t size, offset;
    void *data;
    bool plain = true;

    if (!read_bytes(call, index, name, out))
        return false;
    if (napi_get_typedarray_info(call.env, call.argv[index], &type, &size, &data, &buffer,
                                 &offset) == napi_ok)
        napi_is_arraybuffer(call.env, buffer, &plain);
    if (plain)
        throw_type(call.env, "places of bound operations must be in SharedArrayBuffers");
    return !plain;
}

// Nobody can take them from the function again.
static bool keep(napi_env env, napi_value function, const char *name, napi_value value) {
    const napi_property_descriptor row = {name,    nullptr, nullptr,      nullptr,
                                          nullptr, value,   napi_default, nullptr};

    return napi_define_properties(env, function, 1, &row) == napi_ok;
}

static bool read_operation(const Call &call, kb_map_operation *out) {
    uint32_t number;

    if (!read_u32(call, 0, "operation", &number))
        return false;
    if (number > KB_MAP_TAKE) {
        throw_range(call.env, "there is no such operation");
        return false;
    }
    *out = static_cast<kb_map_operation>(number);
    return true;
}

// bind(operation, key, value, flags)
napi_value bind(Call &call) {
    kb_map_operation operation;
    Bytes key, value;
    uint64_t flags;
    napi_value function = nullptr;
    Error err;

    if (!read_operation(call, &operation) || !read_flags(call, 3, &flags) ||
        !read_place(call, 1, "key", &key) || !read_place(call, 2, "value", &value))
        return nullptr;
    auto *map = open_native<kb_map>(call, "bind");
    if (!map)
        return nullptr;
    auto *bound = static_cast<Bound *>(calloc(1, sizeof(Bound)));
    if (!bound) {
        napi_throw_error(call.env, "ENOMEM", "out of memory");
        return nullptr;
    }
    bound->data = call.data;
    bound->handle = call.handle;
    if (kb_map_prepare(map, operation, key.data, key.size, value.data, value.size, flags,
                       &bound->call, &err) != 0) {
        free(bound);
        return throw_range(call.env, err.text ? err.text : "wrong buffer size");
    }
    bound->data->references++;
    if (napi_create_function(call.env, "bound", NAPI_AUTO_LENGTH, run, bound, &function) !=
            napi_ok ||
        napi_add_finalizer(call.env, function, bound, free_bound, nullptr, nullptr) != napi_ok) {
        free_bound(call.env, bound, nullptr);
        return nullptr;
    }
    if (!keep(call.env, function, "map", call.self) ||
        !keep(call.env, function, "key", call.argv[1]) ||
        !keep(call.env, function, "value", call.argv[2]))
        return nullptr;
    return function;
}

} // namespace addon
