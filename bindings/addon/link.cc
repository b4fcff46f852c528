// link.cc: NativeLink: an attachment, and the paths of BPF file systems that keep it (and programs
// and maps) when its process has gone.
#include "addon.h"

namespace addon {

static napi_value link_fd(Call &call) {
    auto *link = open_native<kb_link>(call, "link fd");

    return link ? number(call.env, kb_link_fd(link)) : nullptr;
}

static napi_value list_of(napi_env env, const kb_link_field &field) {
    napi_value list = nullptr;

    napi_create_array_with_length(env, field.count, &list);
    for (uint32_t i = 0; i < field.count; i++)
        napi_set_element(env, list, i, bigint(env, field.numbers[i]));
    return list;
}

// 64-bit numbers are bigints; null for a text that there is not.
static napi_value value_of(napi_env env, const kb_link_field &field) {
    switch (field.kind) {
    case KB_FIELD_TEXT:
        return field.text ? text(env, field.text) : nullptr;
    case KB_FIELD_LIST:
        return list_of(env, field);
    case KB_FIELD_U64:
        return bigint(env, field.number);
    case KB_FIELD_S32:
        return number(env, static_cast<double>(static_cast<int64_t>(field.number)));
    case KB_FIELD_U32:
        break;
    }
    return number(env, static_cast<double>(field.number));
}

static napi_value link_info(Call &call) {
    auto *link = open_native<kb_link>(call, "link info");
    kb_link_details details;
    Error err;

    if (!link)
        return nullptr;
    int rc = kb_link_get_details(link, &details, &err);
    if (rc != 0) {
        kb_link_details_clear(&details);
        return throw_kernel(call, err);
    }
    Fields fields(call.env);
    fields.set("id", details.info.id);
    fields.set("type", details.info.type);
    fields.set("typeName", details.type_name);
    fields.set("programId", details.info.program_id);
    for (size_t i = 0; i < details.count; i++)
        fields.set(details.fields[i].name, value_of(call.env, details.fields[i]));
    kb_link_details_clear(&details);
    return fields.object;
}

static napi_value update(Call &call) {
    Handle *program = nullptr, *old = nullptr;
    Error err;

    if (!read_handle(call, 0, "link update", Kind::program, &program) ||
        (call.argc > 1 && !is_absent(call.env, call.argv[1]) &&
         !read_handle(call, 1, "link update", Kind::program, &old)))
        return nullptr;
    auto *link = open_native<kb_link>(call, "link update");
    if (!link)
        return nullptr;
    if (kb_link_update(link, static_cast<kb_program *>(program->native),
                       old ? static_cast<kb_program *>(old->native) : nullptr, &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

static napi_value update_map(Call &call) {
    Handle *map = nullptr;
    Error err;

    if (!read_handle(call, 0, "link update", Kind::map, &map))
        return nullptr;
    auto *link = open_native<kb_link>(call, "link update");
    if (!link)
        return nullptr;
    if (kb_link_update_map(link, static_cast<kb_map *>(map->native), &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

static napi_value detach(Call &call) {
    auto *link = open_native<kb_link>(call, "link detach");
    Error err;

    if (!link)
        return nullptr;
    if (kb_link_detach(link, &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

static napi_value iterate(Call &call) {
    auto *link = open_native<kb_link>(call, "iterate");
    int fd;
    Error err;

    if (!link)
        return nullptr;
    if (kb_link_iterate(link, &fd, &err) != 0)
        return throw_kernel(call, err);
    return number(call.env, fd);
}

static napi_value wrap_link(const Call &call, kb_link *link) {
    return wrap(call, Kind::link, link, nullptr);
}

napi_value open_link(Call &call) {
    uint32_t id;
    kb_link *link;
    Error err;

    if (!read_u32(call, 0, "id", &id))
        return nullptr;
    if (kb_link_open(id, &link, &err) != 0)
        return throw_kernel(call, err);
    return wrap_link(call, link);
}

napi_value link_from_fd(Call &call) {
    uint32_t fd;
    kb_link *link;
    Error err;

    if (!read_u32(call, 0, "fd", &fd))
        return nullptr;
    if (kb_link_open_fd(static_cast<int>(fd), &link, &err) != 0)
        return throw_kernel(call, err);
    return wrap_link(call, link);
}

// Pins --------------------------------------------------------------------------------------------

napi_value pin(Call &call) {
    uint32_t fd;
    Text path;
    Error err;

    if (!read_u32(call, 0, "fd", &fd) || !read_text_argument(call, 1, "path", true, &path))
        return nullptr;
    if (kb_pin(static_cast<int>(fd), path.chars, &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

napi_value unpin(Call &call) {
    Text path;
    Error err;

    if (!read_text_argument(call, 0, "path", true, &path))
        return nullptr;
    if (kb_unpin(path.chars, &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

napi_value open_pinned(Call &call) {
    static const char *const kinds[] = {"other", "program", "map", "link"};
    Text path;
    uint64_t flags;
    kb_pin_kind kind;
    int fd;
    Error err;

    if (!read_text_argument(call, 0, "path", true, &path) || !read_flags(call, 1, &flags))
        return nullptr;
    if (kb_open_pinned(path.chars, static_cast<uint32_t>(flags), &kind, &fd, &err) != 0)
        return throw_kernel(call, err);
    Fields fields(call.env);
    fields.set("kind", kinds[kind]);
    fields.set("fd", fd);
    return fields.object;
}

napi_value mount_bpffs(Call &call) {
    Text path;
    Error err;

    if (!read_text_argument(call, 0, "path", false, &path))
        return nullptr;
    if (kb_mount_bpffs(path.chars, &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

napi_value bpffs_mounted(Call &call) {
    Text path;

    if (!read_text_argument(call, 0, "path", false, &path))
        return nullptr;
    return boolean(call.env, kb_bpffs_mounted(path.chars));
}

// Where closing detaches by a call of its own, the call may fail: then the handle stays open.
static napi_value close(Call &call) {
    auto *link = static_cast<kb_link *>(call.handle->native);
    Error err;

    if (link && kb_link_undo(link, &err) != 0)
        return throw_kernel(call, err);
    close_handle(call.handle);
    return undefined(call.env);
}

bool define_link_class(napi_env env, Data *data) {
    const napi_property_descriptor rows[] = {
        getter_row<Kind::link, closed_getter<Kind::link>>("closed"),
        getter_row<Kind::link, link_fd>("fd"),
        method_row<Kind::link, link_info>("info"),
        method_row<Kind::link, update>("update"),
        method_row<Kind::link, update_map>("updateMap"),
        method_row<Kind::link, detach>("detach"),
        method_row<Kind::link, iterate>("iterate"),
        method_row<Kind::link, close>("close"),
    };

    return define_rows<Kind::link>(env, data, "NativeLink", rows);
}

} // namespace addon
