// target.cc: where to attach, from a JavaScript object to kb_attach_opts. The object is flat as the
// structure is: a table says which property is which field. What was read is copied, so that later
// getters may do what they like.
#include "addon.h"
#include <stddef.h>

namespace addon {

template <typename Field> struct Row {
    const char *key;
    Field kb_attach_opts::*field;
};

static constexpr Row<const char *> text_rows[] = {
    {"name", &kb_attach_opts::name},           {"category", &kb_attach_opts::category},
    {"path", &kb_attach_opts::path},           {"pattern", &kb_attach_opts::pattern},
    {"interface", &kb_attach_opts::interface},
};
static constexpr size_t text_count = sizeof(text_rows) / sizeof(text_rows[0]);

static constexpr Row<uint32_t> u32_rows[] = {
    {"ifindex", &kb_attach_opts::ifindex}, {"pid", &kb_attach_opts::pid},
    {"tid", &kb_attach_opts::tid},         {"flags", &kb_attach_opts::flags},
    {"order", &kb_attach_opts::order},     {"family", &kb_attach_opts::family},
    {"hook", &kb_attach_opts::hook},       {"handle", &kb_attach_opts::handle},
};

static constexpr Row<uint64_t> u64_rows[] = {
    {"cookie", &kb_attach_opts::cookie},
    {"offset", &kb_attach_opts::offset},
    {"address", &kb_attach_opts::address},
    {"refCtrOffset", &kb_attach_opts::ref_ctr_offset},
};

static constexpr Row<bool> bool_rows[] = {
    {"atReturn", &kb_attach_opts::at_return},
    {"replace", &kb_attach_opts::replace},
    {"legacy", &kb_attach_opts::legacy},
};

static constexpr Row<const uint64_t *> list_rows[] = {
    {"offsets", &kb_attach_opts::offsets},
    {"refCtrOffsets", &kb_attach_opts::ref_ctr_offsets},
    {"cookies", &kb_attach_opts::cookies},
};
static constexpr size_t list_count = sizeof(list_rows) / sizeof(list_rows[0]);

// The options with what they point to.
struct Target {
    kb_attach_opts opts = {};
    Text kind, texts[text_count];
    uint64_t *lists[list_count] = {};
    char **names = nullptr;
    uint32_t name_count = 0;
    Target() = default;
    ~Target() {
        for (uint64_t *list : lists)
            free(list);
        for (uint32_t i = 0; i < name_count; i++)
            free(names[i]);
        free(names);
    }
    Target(const Target &) = delete;
    Target &operator=(const Target &) = delete;
};

static bool read_u64_of(napi_env env, napi_value object, const char *key, uint64_t *out) {
    napi_value value;

    return read_property(env, object, key, &value) && read_u64(env, value, key, out);
}

static bool no_memory(napi_env env) {
    napi_throw_error(env, "ENOMEM", "out of memory");
    return false;
}

// Lists go together: one length for all.
static bool set_count(napi_env env, Target *target, size_t count) {
    if (target->opts.count && target->opts.count != count) {
        throw_range(env, "the lists of a target must have one length");
        return false;
    }
    target->opts.count = count;
    return true;
}

// A BigUint64Array.
static bool read_list(napi_env env, napi_value object, size_t index, Target *target) {
    napi_value value;
    napi_typedarray_type type;
    size_t count;
    void *data;

    if (!read_property(env, object, list_rows[index].key, &value))
        return false;
    if (is_absent(env, value))
        return true;
    if (napi_get_typedarray_info(env, value, &type, &count, &data, nullptr, nullptr) != napi_ok ||
        type != napi_biguint64_array) {
        throw_type(env, "offsets, refCtrOffsets and cookies must be BigUint64Arrays");
        return false;
    }
    auto *copy = static_cast<uint64_t *>(malloc(count * sizeof(uint64_t) + 1));
    if (!copy)
        return no_memory(env);
    if (count)
        memcpy(copy, data, count * sizeof(uint64_t));
    target->lists[index] = copy;
    target->opts.*list_rows[index].field = copy;
    return set_count(env, target, count);
}

static bool read_names(napi_env env, napi_value object, Target *target) {
    napi_value list;
    uint32_t count;
    bool is_array = false;

    if (!read_property(env, object, "names", &list))
        return false;
    if (is_absent(env, list))
        return true;
    if (napi_is_array(env, list, &is_array) != napi_ok || !is_array ||
        napi_get_array_length(env, list, &count) != napi_ok) {
        throw_type(env, "names must be an array of strings");
        return false;
    }
    target->names = static_cast<char **>(calloc(count + 1u, sizeof(char *)));
    if (!target->names)
        return no_memory(env);
    for (uint32_t i = 0; i < count; i++) {
        Text name;
        Call call = {};
        call.env = env;
        call.argc = 1;
        if (napi_get_element(env, list, i, &call.argv[0]) != napi_ok ||
            !read_text_argument(call, 0, "a name", true, &name))
            return false;
        target->names[target->name_count++] = name.chars;
        name.chars = nullptr;
    }
    target->opts.names = target->names;
    return set_count(env, target, count);
}

// An integer that may be negative; kb has one: the priority.
static bool read_priority(napi_env env, napi_value object, int32_t *out) {
    napi_value value;
    double number;

    if (!read_property(env, object, "priority", &value))
        return false;
    if (is_absent(env, value))
        return true;
    if (napi_get_value_double(env, value, &number) != napi_ok) {
        throw_type(env, "priority must be a number");
        return false;
    }
    if (!(number >= -2147483648.0 && number <= 2147483647.0) ||
        number != static_cast<double>(static_cast<int32_t>(number))) {
        throw_range(env, "priority must be a 32-bit integer");
        return false;
    }
    *out = static_cast<int32_t>(number);
    return true;
}

// Numbers whose absence is told apart, or that are no plain field.
static bool read_special(napi_env env, napi_value object, kb_attach_opts *opts) {
    uint32_t fd = 0, direction = 0, mode = 0;

    if (!read_u32_of(env, object, "cpu", &opts->cpu, &opts->one_cpu) ||
        !read_u32_of(env, object, "attachType", &opts->attach_type, &opts->has_attach_type) ||
        !read_u32_of(env, object, "fd", &fd, nullptr) ||
        !read_u32_of(env, object, "direction", &direction, nullptr) ||
        !read_u32_of(env, object, "cgroupMode", &mode, nullptr) ||
        !read_u32_of(env, object, "anchorFlags", &opts->anchor.flags, nullptr) ||
        !read_u32_of(env, object, "anchorRelative", &opts->anchor.relative, nullptr) ||
        !read_u64_of(env, object, "anchorRevision", &opts->anchor.revision) ||
        !read_u32_of(env, object, "eventType", &opts->event.type, nullptr) ||
        !read_u64_of(env, object, "eventConfig", &opts->event.config) ||
        !read_u64_of(env, object, "period", &opts->event.period) ||
        !read_u64_of(env, object, "frequency", &opts->event.frequency) ||
        !read_bool_of(env, object, "inherit", &opts->event.inherit) ||
        !read_priority(env, object, &opts->priority))
        return false;
    opts->fd = static_cast<int>(fd);
    opts->direction = static_cast<kb_direction>(direction & 3);
    opts->cgroup_mode = static_cast<kb_cgroup_mode>(mode & 3);
    return true;
}

static bool read_fields(napi_env env, napi_value object, Target *target) {
    for (size_t i = 0; i < text_count; i++) {
        if (!read_text(env, object, text_rows[i].key, false, &target->texts[i]))
            return false;
        target->opts.*text_rows[i].field = target->texts[i].chars;
    }
    for (const auto &row : u32_rows)
        if (!read_u32_of(env, object, row.key, &(target->opts.*row.field), nullptr))
            return false;
    for (const auto &row : u64_rows)
        if (!read_u64_of(env, object, row.key, &(target->opts.*row.field)))
            return false;
    for (const auto &row : bool_rows)
        if (!read_bool_of(env, object, row.key, &(target->opts.*row.field)))
            return false;
    for (size_t i = 0; i < list_count; i++)
        if (!read_list(env, object, i, target))
            return false;
    return read_names(env, object, target) && read_special(env, object, &target->opts);
}

static bool read_target(const Call &call, Target *target) {
    napi_value object;

    if (!read_options(call, 0, &object))
        return false;
    if (!object)
        return true;
    if (!read_text(call.env, object, "kind", true, &target->kind))
        return false;
    target->opts.kind = kb_target_by_name(target->kind.chars);
    if (target->opts.kind == KB_TARGET_COUNT) {
        throw_range(call.env, "kind must be a kind of target, such as 'raw_tracepoint' or 'xdp'");
        return false;
    }
    return read_fields(call.env, object, target);
}

napi_value attach(Call &call) {
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

} // namespace addon
