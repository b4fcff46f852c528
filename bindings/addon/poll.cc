// poll.cc: NativePoller: calls a function of JavaScript once after a file descriptor became
// readable or writable, through the event loop that runs anyway. One-shot: who wants to hear again
// arms it again, so a reader that is slow or gone is not called in vain, and level-triggered: what
// is ready when it is armed counts. It polls a duplicate, since libuv takes a descriptor once only.
//
// libuv's functions are the process's own. Where the process is not Node they may be missing: they
// are weak, and openPoller() then says so (the caller looks at its streams by a timer instead).
#include "addon.h"
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#pragma weak uv_poll_init
#pragma weak uv_poll_start
#pragma weak uv_poll_stop
#pragma weak uv_close
#pragma weak uv_handle_size
#pragma weak uv_ref
#pragma weak uv_unref

namespace addon {

struct Poller {
    napi_env env;
    Data *data;
    napi_ref callback; // strong only while armed: else nothing but the caller keeps it
    napi_async_context context;
    uv_poll_t *uv;
    int fd;
    bool armed;
};

static uv_handle_t *handle_of(Poller *poller) {
    return reinterpret_cast<uv_handle_t *>(poller->uv);
}

static void disarm(Poller *poller) {
    uint32_t count;

    if (!poller->armed)
        return;
    poller->armed = false;
    uv_poll_stop(poller->uv);
    napi_reference_unref(poller->env, poller->callback, &count);
}

static void on_closed(uv_handle_t *handle) {
    auto *poller = static_cast<Poller *>(handle->data);
    Data *data = poller->data;

    close(poller->fd);
    free(poller->uv);
    free(poller);
    data->closing--;
    finish_ending(data);
    release(data);
}

void close_poller(void *native) {
    auto *poller = static_cast<Poller *>(native);

    if (!poller)
        return;
    disarm(poller);
    napi_delete_reference(poller->env, poller->callback);
    if (poller->context)
        napi_async_destroy(poller->env, poller->context);
    uv_close(handle_of(poller), on_closed);
}

static void on_ready(uv_poll_t *uv, int, int) {
    auto *poller = static_cast<Poller *>(uv->data);
    napi_env env = poller->env;
    napi_handle_scope scope;
    napi_value callback = nullptr, self, result;

    if (napi_open_handle_scope(env, &scope) != napi_ok)
        return;
    napi_get_reference_value(env, poller->callback, &callback);
    napi_async_context context = poller->context;
    disarm(poller);
    // The callback may close the poller: nothing of it is used from here on.
    if (callback && napi_get_global(env, &self) == napi_ok &&
        napi_make_callback(env, context, self, callback, 0, nullptr, &result) ==
            napi_pending_exception) {
        napi_value exception;
        if (napi_get_and_clear_last_exception(env, &exception) == napi_ok)
            napi_fatal_exception(env, exception);
    }
    napi_close_handle_scope(env, scope);
}

static napi_value fail(const Call &call, int errnum) {
    static char reason[] = "the event loop cannot watch this file descriptor";
    static char remedy[] = "look for records from time to time, by drain()";
    char text[192];
    kb_error err = {};

    err.errnum = errnum;
    err.operation = "open poller";
    err.reason = reason;
    err.remedy = remedy;
    err.text = text;
    snprintf(text, sizeof(text), "%s: %s (%s); %s", err.operation, reason, kb_errno_name(errnum),
             remedy);
    return throw_kernel(call, err);
}

// Gives libuv a handle on a duplicate of `fd`; 0 or -errno.
static int start(napi_env env, Poller *poller, int fd) {
    uv_loop_s *loop;

    if (napi_get_uv_event_loop(env, &loop) != napi_ok)
        return -ENOSYS;
    poller->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (poller->fd < 0)
        return -errno;
    poller->uv = static_cast<uv_poll_t *>(calloc(1, uv_handle_size(UV_POLL)));
    int rc = poller->uv ? uv_poll_init(loop, poller->uv, poller->fd) : -ENOMEM;
    if (rc != 0) {
        close(poller->fd);
        free(poller->uv);
        return rc;
    }
    poller->uv->data = poller;
    return 0;
}

napi_value open_poller(Call &call) {
    uint32_t fd;
    napi_valuetype type = napi_undefined;
    napi_value name;

    if (!read_u32(call, 0, "fd", &fd))
        return nullptr;
    if (call.argc < 2 || napi_typeof(call.env, call.argv[1], &type) != napi_ok ||
        type != napi_function)
        return throw_type(call.env, "callback must be a function");
    if (!uv_poll_init || !uv_poll_start || !uv_poll_stop || !uv_close || !uv_handle_size ||
        !uv_ref || !uv_unref)
        return fail(call, ENOSYS);
    auto *poller = static_cast<Poller *>(calloc(1, sizeof(Poller)));
    if (!poller)
        return fail(call, ENOMEM);
    poller->env = call.env;
    poller->data = call.data;
    int rc = start(call.env, poller, static_cast<int>(fd));
    if (rc != 0) {
        free(poller);
        return fail(call, -rc);
    }
    call.data->references++;
    call.data->closing++;
    napi_create_reference(call.env, call.argv[1], 0, &poller->callback);
    name = text(call.env, "bpf:poller");
    if (napi_async_init(call.env, nullptr, name, &poller->context) != napi_ok)
        poller->context = nullptr;
    napi_value object = wrap(call, Kind::poller, poller, nullptr);
    // The handle keeps its callback, whoever else forgets it; nothing but being armed keeps both.
    if (object)
        napi_set_named_property(call.env, object, "callback", call.argv[1]);
    return object;
}

static napi_value arm(Call &call) {
    bool writable;
    uint32_t count;

    if (!read_bool(call, 0, "writable", &writable))
        return nullptr;
    auto *poller = open_native<Poller>(call, "arm poller");
    if (!poller)
        return nullptr;
    if (!poller->armed) {
        int rc = uv_poll_start(poller->uv, writable ? UV_WRITABLE : UV_READABLE, on_ready);
        if (rc != 0)
            return fail(call, -rc);
        poller->armed = true;
        napi_reference_ref(call.env, poller->callback, &count);
    }
    return undefined(call.env);
}

// Whether an armed poller keeps the process running.
static napi_value keep_alive(Call &call) {
    bool alive;

    if (!read_bool(call, 0, "alive", &alive))
        return nullptr;
    auto *poller = open_native<Poller>(call, "keep poller alive");
    if (!poller)
        return nullptr;
    if (alive)
        uv_ref(handle_of(poller));
    else
        uv_unref(handle_of(poller));
    return undefined(call.env);
}

static napi_value stop(Call &call) {
    auto *poller = open_native<Poller>(call, "disarm poller");

    if (!poller)
        return nullptr;
    disarm(poller);
    return undefined(call.env);
}

bool define_poller_class(napi_env env, Data *data) {
    const napi_property_descriptor rows[] = {
        getter_row<Kind::poller, closed_getter<Kind::poller>>("closed"),
        method_row<Kind::poller, arm>("arm"),
        method_row<Kind::poller, stop>("disarm"),
        method_row<Kind::poller, keep_alive>("keepAlive"),
        method_row<Kind::poller, close_method<Kind::poller>>("close"),
    };

    return define_class(env, data, Kind::poller, "NativePoller", rows,
                        sizeof(rows) / sizeof(rows[0]));
}

} // namespace addon
