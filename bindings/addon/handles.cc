// handles.cc: kb's handles inside JavaScript objects. A handle is closed by close(), by the garbage
// collector's finalizer, or when its environment ends (worker threads are killed in the middle of
// anything), whichever comes first; the other two then find nothing to do.
#include "addon.h"

namespace addon {

// What makes an object ours: methods are called on anything by Function.prototype.call.
static const napi_type_tag tags[kind_count] = {
    {0x62a1f5a3c0d94e11u, 0x9c3b7d20e5f84a61u}, {0x62a1f5a3c0d94e12u, 0x9c3b7d20e5f84a62u},
    {0x62a1f5a3c0d94e13u, 0x9c3b7d20e5f84a63u}, {0x62a1f5a3c0d94e14u, 0x9c3b7d20e5f84a64u},
    {0x62a1f5a3c0d94e15u, 0x9c3b7d20e5f84a65u}, {0x62a1f5a3c0d94e16u, 0x9c3b7d20e5f84a66u},
    {0x62a1f5a3c0d94e17u, 0x9c3b7d20e5f84a67u},
};

static size_t index_of(Kind kind) {
    return static_cast<size_t>(kind);
}

static void close_native(Kind kind, void *native) {
    switch (kind) {
    case Kind::object: {
        auto *object = static_cast<kb_object *>(native);
        kb_object_close(&object);
        break;
    }
    case Kind::program: {
        auto *program = static_cast<kb_program *>(native);
        kb_program_close(&program);
        break;
    }
    case Kind::link: {
        auto *link = static_cast<kb_link *>(native);
        kb_link_close(&link);
        break;
    }
    case Kind::map: {
        auto *map = static_cast<kb_map *>(native);
        kb_map_close(&map);
        break;
    }
    case Kind::stream: {
        auto *stream = static_cast<kb_stream *>(native);
        kb_stream_close(&stream);
        break;
    }
    case Kind::sender: {
        auto *sender = static_cast<kb_sender *>(native);
        kb_sender_close(&sender);
        break;
    }
    case Kind::poller:
        close_poller(native);
        break;
    }
}

void close_handle(Handle *handle) {
    void *native = handle->native;

    handle->native = nullptr;
    close_native(handle->kind, native);
}

void close_all(Data *data) {
    for (Handle *handle = data->handles; handle; handle = handle->next)
        close_handle(handle);
}

void release(Data *data) {
    if (--data->references == 0)
        free(data);
}

static void free_handle(Handle *handle) {
    close_handle(handle);
    (handle->previous ? handle->previous->next : handle->data->handles) = handle->next;
    if (handle->next)
        handle->next->previous = handle->previous;
    release(handle->data);
    free(handle->name);
    free(handle);
}

static void finalize(napi_env, void *handle, void *) {
    free_handle(static_cast<Handle *>(handle));
}

static Handle *new_handle(Data *data, Kind kind, void *native, const char *name) {
    auto *handle = static_cast<Handle *>(calloc(1, sizeof(Handle)));

    if (!handle)
        return nullptr;
    handle->data = data;
    handle->kind = kind;
    handle->native = native;
    handle->name = name ? strdup(name) : nullptr;
    handle->next = data->handles;
    if (handle->next)
        handle->next->previous = handle;
    data->handles = handle;
    data->references++;
    return handle;
}

// Runs inside napi_new_instance of wrap(); JavaScript reaches it too, through .constructor.
static napi_value construct(napi_env env, napi_callback_info info) {
    napi_value self;
    void *pointer;

    if (napi_get_cb_info(env, info, nullptr, nullptr, &self, &pointer) != napi_ok)
        return nullptr;
    auto *data = static_cast<Data *>(pointer);
    Handle *handle = data->pending;
    if (!handle)
        return throw_type(env, "handles cannot be constructed; call openObject()");
    data->pending = nullptr;
    if (napi_type_tag_object(env, self, &tags[index_of(handle->kind)]) != napi_ok ||
        napi_wrap(env, self, handle, finalize, nullptr, nullptr) != napi_ok) {
        free_handle(handle);
        napi_throw_error(env, nullptr, "cannot wrap a kernel handle");
        return nullptr;
    }
    return self;
}

napi_value wrap(const Call &call, Kind kind, void *native, const char *name) {
    napi_value type, object = nullptr;
    Handle *handle = new_handle(call.data, kind, native, name);

    if (!handle) {
        close_native(kind, native);
        napi_throw_error(call.env, "ENOMEM", "out of memory");
        return nullptr;
    }
    call.data->pending = handle;
    if (napi_get_reference_value(call.env, call.data->classes[index_of(kind)], &type) == napi_ok)
        napi_new_instance(call.env, type, 0, nullptr, &object);
    // The constructor takes the handle from here; what it did not take is nobody's.
    if (call.data->pending) {
        call.data->pending = nullptr;
        free_handle(handle);
    }
    return object;
}

bool define_class(napi_env env, Data *data, Kind kind, const char *name,
                  const napi_property_descriptor *methods, size_t count) {
    napi_value type;

    return napi_define_class(env, name, NAPI_AUTO_LENGTH, construct, data, count, methods, &type) ==
               napi_ok &&
           napi_create_reference(env, type, 1, &data->classes[index_of(kind)]) == napi_ok;
}

static bool read_call(napi_env env, napi_callback_info info, Call *call, napi_value *self) {
    void *data = nullptr;

    call->env = env;
    call->handle = nullptr;
    call->argc = sizeof(call->argv) / sizeof(call->argv[0]);
    if (napi_get_cb_info(env, info, &call->argc, call->argv, self, nullptr) != napi_ok ||
        napi_get_instance_data(env, &data) != napi_ok || !data)
        return false;
    call->data = static_cast<Data *>(data);
    call->self = *self;
    return true;
}

bool begin(napi_env env, napi_callback_info info, Call *call) {
    napi_value self;

    return read_call(env, info, call, &self);
}

// The handle of this kind inside a value, or null.
static Handle *handle_of(napi_env env, napi_value value, Kind kind) {
    napi_valuetype type;
    bool ours = false;
    void *handle = nullptr;

    if (napi_typeof(env, value, &type) == napi_ok && type == napi_object)
        napi_check_object_type_tag(env, value, &tags[index_of(kind)], &ours);
    if (!ours || napi_unwrap(env, value, &handle) != napi_ok)
        return nullptr;
    return static_cast<Handle *>(handle);
}

bool read_handle(const Call &call, size_t index, const char *name, Kind kind, Handle **out) {
    *out = index < call.argc ? handle_of(call.env, call.argv[index], kind) : nullptr;
    if (!*out) {
        throw_type(call.env, "an argument is no handle of the right kind");
        return false;
    }
    if (!(*out)->native) {
        Call closed = call;
        closed.handle = *out;
        throw_closed(closed, name);
        return false;
    }
    return true;
}

bool begin_method(napi_env env, napi_callback_info info, Kind kind, Call *call) {
    napi_value self;

    if (!read_call(env, info, call, &self))
        return false;
    call->handle = handle_of(env, self, kind);
    if (!call->handle)
        throw_type(env, "this method is called on an object that is not its handle");
    return call->handle != nullptr;
}

} // namespace addon
