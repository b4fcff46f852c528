// load_async.cc: NativeObject.loadAsync(): a load in a thread of libuv's pool, while JavaScript
// goes on. The object belongs to the work until it is done: meanwhile its handle is as a closed one
// is. When the environment ends first, it waits for the work, which then closes the object.
#include "addon.h"
#include <stdint.h>

namespace addon {

struct Work {
    napi_async_work work;
    napi_deferred deferred;
    napi_ref self; // the handle is not collected before
    Data *data;
    Handle *handle;
    kb_object *object;
    kb_load_opts opts;
    int rc;
    kb_error err;
};

static void free_work(Work *work) {
    kb_error_clear(&work->err);
    free(work);
}

static void execute(napi_env, void *pointer) {
    auto *work = static_cast<Work *>(pointer);

    work->rc = kb_object_load(work->object, &work->opts, &work->err);
}

static void settle(napi_env env, const Work *work) {
    Call call = {};
    napi_value error;

    call.env = env;
    call.data = work->data;
    if (work->rc == 0) {
        napi_resolve_deferred(env, work->deferred, undefined(env));
        return;
    }
    throw_kernel(call, work->err);
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok)
        napi_reject_deferred(env, work->deferred, error);
}

static void complete(napi_env env, napi_status status, void *pointer) {
    auto *work = static_cast<Work *>(pointer);
    Data *data = work->data;

    if (data->ended || status != napi_ok) {
        kb_object_close(&work->object);
    } else {
        work->handle->native = work->object;
        settle(env, work);
    }
    napi_delete_reference(env, work->self);
    napi_delete_async_work(env, work->work);
    free_work(work);
    data->closing--;
    finish_ending(data);
    release(data);
}

// Queues it; the object is the work's from then on. Null after throwing.
static napi_value queue(const Call &call, Work *work) {
    napi_env env = call.env;
    napi_value promise, name = text(env, "bpf:load");

    if (napi_create_reference(env, call.self, 1, &work->self) != napi_ok)
        return nullptr;
    if (napi_create_async_work(env, nullptr, name, execute, complete, work, &work->work) !=
        napi_ok) {
        napi_delete_reference(env, work->self);
        return nullptr;
    }
    if (napi_create_promise(env, &work->deferred, &promise) != napi_ok ||
        napi_queue_async_work(env, work->work) != napi_ok) {
        napi_delete_async_work(env, work->work);
        napi_delete_reference(env, work->self);
        return nullptr;
    }
    call.handle->native = nullptr;
    call.data->closing++;
    call.data->references++;
    return promise;
}

napi_value load_async(Call &call) {
    kb_load_opts opts = {};

    if (!read_load_opts(call, &opts))
        return nullptr;
    auto *object = open_native<kb_object>(call, "load object");
    if (!object)
        return nullptr;
    auto *work = static_cast<Work *>(calloc(1, sizeof(Work)));
    if (work) {
        work->data = call.data;
        work->handle = call.handle;
        work->object = object;
        work->opts = opts;
    }
    napi_value promise = work ? queue(call, work) : nullptr;
    if (!promise) {
        if (work)
            free_work(work);
        napi_throw_error(call.env, "ENOMEM", "out of memory");
    }
    return promise;
}

} // namespace addon
