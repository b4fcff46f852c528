// errors.cc: kb's error records become JavaScript's KernelError, wrong arguments TypeError and
// RangeError. The class is the one that init() was given.
#include "addon.h"
#include <errno.h>
#include <stdio.h>

namespace addon {

napi_value throw_type(napi_env env, const char *text) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", text);
    return nullptr;
}

napi_value throw_range(napi_env env, const char *text) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", text);
    return nullptr;
}

static napi_value throw_fields(const Call &call, const char *message, const Fields &fields) {
    napi_value type, error;
    napi_value argv[] = {text(call.env, message), fields.object};

    if (!argv[0] || !argv[1])
        return nullptr;
    if (napi_get_reference_value(call.env, call.data->kernel_error, &type) != napi_ok ||
        napi_new_instance(call.env, type, 2, argv, &error) != napi_ok)
        return nullptr; // the constructor's own exception is pending
    napi_throw(call.env, error);
    return nullptr;
}

napi_value throw_kernel(const Call &call, const kb_error &err, int64_t count) {
    Fields fields(call.env);

    fields.set("operation", err.operation);
    fields.set("errno", err.errnum);
    fields.set("code", kb_errno_name(err.errnum));
    fields.set("subject", err.subject);
    fields.set("reason", err.reason);
    fields.set("remedy", err.remedy);
    if (err.log)
        fields.set("log", text(call.env, err.log, err.log_size));
    if (count >= 0)
        fields.set("count", static_cast<double>(count));
    return throw_fields(call, err.text ? err.text : err.operation, fields);
}

napi_value throw_closed(const Call &call, const char *operation) {
    Fields fields(call.env);
    const char *name = call.handle->name;

    fields.set("operation", operation);
    fields.set("errno", EBADF);
    fields.set("code", "ERR_CLOSED");
    fields.set("subject", name);
    char message[256], reason[192];
    snprintf(reason, sizeof(reason), "the handle%s%.128s%s is closed", name ? " '" : "",
             name ? name : "", name ? "'" : "");
    fields.set("reason", reason);
    fields.set("remedy", "use it before close()");
    snprintf(message, sizeof(message), "%s: %s (ERR_CLOSED); use it before close()", operation,
             reason);
    return throw_fields(call, message, fields);
}

} // namespace addon
