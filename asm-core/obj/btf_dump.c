/* btf_dump.c - BTF type by type, as lines or as JSON; the words of both are bpftool's, so what
 * reads its output reads this. One walk serves both: a field is " size=4" here and "size":4 there.
 * Source: bpftool's btf dump. */
#include "btf_dump.h"

#include "json.h"

typedef struct lister {
    const eb_btf *btf;
    eb_json json;
    bool text;
} lister;

static const char *const kind_names[EB_BTF_KINDS] = {
    "UNKNOWN",
#define BTF(id, number, own, each) [number] = #id,
#include "btf.def"
};

/* ---- fields ---- */

static void put(lister *l, eb_str text) {
    eb_buf_str(&l->json.buf, text);
}

static void put_number(lister *l, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    put(l, (eb_str){digits + at, sizeof digits - at});
}

static void put_key(lister *l, const char *key) {
    if (l->json.buf.at[l->json.buf.len - 1] != '\t') /* the first of an entry without a name */
        put(l, EB_STR(" "));
    put(l, eb_str_from(key));
    put(l, EB_STR("="));
}

static void number(lister *l, const char *key, uint64_t value) {
    if (!l->text) {
        eb_json_key_uint(&l->json, key, value);
        return;
    }
    put_key(l, key);
    put_number(l, value);
}

static void word(lister *l, const char *key, const char *value) {
    if (!l->text) {
        eb_json_key_str(&l->json, key, eb_str_from(value));
        return;
    }
    put_key(l, key);
    put(l, eb_str_from(value));
}

static void put_quoted(lister *l, eb_str name) {
    put(l, EB_STR("'"));
    put(l, name.len ? name : EB_STR("(anon)"));
    put(l, EB_STR("'"));
}

static void open_list(lister *l, const char *key) {
    if (l->text)
        return;
    eb_json_key(&l->json, key);
    eb_json_open(&l->json, '[');
}

static void close_list(lister *l) {
    if (!l->text)
        eb_json_close(&l->json, ']');
}

static void open_entry(lister *l) {
    if (l->text)
        put(l, EB_STR("\n\t"));
    else
        eb_json_open(&l->json, '{');
}

static void entry_name(lister *l, eb_str name) {
    if (l->text)
        put_quoted(l, name);
    else
        eb_json_key_str(&l->json, "name", name.len ? name : EB_STR("(anon)"));
}

static void close_entry(lister *l) {
    if (!l->text)
        eb_json_close(&l->json, '}');
}

/* ---- kinds ---- */

static const char *encoding_of(uint32_t encoding) {
    switch (encoding) {
    case 0:
        return "(none)";
    case EB_BTF_SIGNED:
        return "SIGNED";
    case EB_BTF_CHAR:
        return "CHAR";
    case EB_BTF_BOOL:
        return "BOOL";
    default:
        return "UNKN";
    }
}

static const char *linkage_of(uint32_t linkage) {
    static const char *const names[] = {"static", "global", "extern"};
    return linkage <= EB_BTF_EXTERN ? names[linkage] : "(unknown)";
}

static void put_member(lister *l, const eb_btf_member *m) {
    number(l, "type_id", m->type);
    number(l, "bits_offset", m->offset);
    if (m->bits)
        number(l, "bitfield_size", m->bits);
}

static void put_value(lister *l, const eb_btf_type *type, const eb_btf_member *m) {
    int64_t value = (int64_t)m->value;
    bool negative = type->kind_flag && value < 0;
    uint64_t size = negative ? 0 - m->value : m->value;
    if (!l->text) {
        eb_json_key(&l->json, "val");
        if (negative && size >> 53 == 0)
            eb_json_int(&l->json, value);
        else if (negative)
            eb_json_str(&l->json, eb_str_fmt(l->json.buf.arena, "%lld", (long long)value));
        else
            eb_json_uint(&l->json, m->value);
        return;
    }
    put_key(l, "val");
    if (negative)
        put(l, EB_STR("-"));
    put_number(l, size);
    if (type->kind == EB_BTF_ENUM64)
        put(l, type->kind_flag ? EB_STR("LL") : EB_STR("ULL"));
}

static void put_variable(lister *l, const eb_btf_member *m) {
    number(l, "type_id", m->type);
    number(l, "offset", m->offset);
    number(l, "size", m->size);
    if (!l->text)
        return;
    put(l, EB_STR(" ("));
    put(l, eb_str_from(kind_names[eb_btf_kind_of(l->btf, m->type)]));
    put(l, EB_STR(" "));
    put_quoted(l, eb_btf_name(l->btf, m->type));
    put(l, EB_STR(")"));
}

static void put_members(lister *l, const eb_btf_type *type, const char *key) {
    number(l, "vlen", type->count);
    open_list(l, key);
    for (uint32_t i = 0; i < type->count; i++) {
        eb_btf_member m = eb_btf_member_at(l->btf, type, i);
        open_entry(l);
        if (type->kind != EB_BTF_DATASEC)
            entry_name(l, m.name);
        switch (type->kind) {
        case EB_BTF_ENUM:
        case EB_BTF_ENUM64:
            put_value(l, type, &m);
            break;
        case EB_BTF_FUNC_PROTO:
            number(l, "type_id", m.type);
            break;
        case EB_BTF_DATASEC:
            put_variable(l, &m);
            break;
        default:
            put_member(l, &m);
        }
        close_entry(l);
    }
    close_list(l);
}

static void put_own(lister *l, const eb_btf_type *type) {
    uint32_t value = type->size_or_type, extra = type->extra;
    switch (type->kind) {
    case EB_BTF_INT:
        number(l, "size", value);
        number(l, "bits_offset", extra >> 16 & 0xff);
        number(l, "nr_bits", extra & 0xff);
        word(l, "encoding", encoding_of(extra >> 24 & 15));
        break;
    case EB_BTF_ARRAY:
        number(l, "type_id", value);
        number(l, "index_type_id", type->index_type);
        number(l, "nr_elems", extra);
        break;
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
    case EB_BTF_DATASEC:
        number(l, "size", value);
        put_members(l, type, type->kind == EB_BTF_DATASEC ? "vars" : "members");
        break;
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        word(l, "encoding", type->kind_flag ? "SIGNED" : "UNSIGNED");
        number(l, "size", value);
        put_members(l, type, "values");
        break;
    case EB_BTF_FWD:
        word(l, "fwd_kind", type->kind_flag ? "union" : "struct");
        break;
    case EB_BTF_FUNC:
    case EB_BTF_VAR:
        number(l, "type_id", value);
        if (l->text && type->kind == EB_BTF_VAR)
            put(l, EB_STR(","));
        word(l, "linkage", linkage_of(extra));
        break;
    case EB_BTF_FUNC_PROTO:
        number(l, "ret_type_id", value);
        put_members(l, type, "params");
        break;
    case EB_BTF_FLOAT:
        number(l, "size", value);
        break;
    case EB_BTF_DECL_TAG:
        number(l, "type_id", value);
        if (l->text)
            eb_buf_fmt(&l->json.buf, " component_idx=%d", (int)extra);
        else
            eb_json_key_int(&l->json, "component_idx", (int32_t)extra);
        break;
    default: /* what refers to one type */
        number(l, "type_id", value);
    }
}

static void put_type(lister *l, uint32_t id) {
    eb_btf_type type = eb_btf_at(l->btf, id);
    if (l->text) {
        put(l, EB_STR("["));
        put_number(l, id);
        put(l, EB_STR("] "));
        put(l, eb_str_from(kind_names[type.kind]));
        put(l, EB_STR(" "));
        put_quoted(l, type.name);
        put_own(l, &type);
        put(l, EB_STR("\n"));
        return;
    }
    eb_json_open(&l->json, '{');
    number(l, "id", id);
    word(l, "kind", kind_names[type.kind]);
    entry_name(l, type.name);
    put_own(l, &type);
    if (type.kind == EB_BTF_TYPE_TAG || type.kind == EB_BTF_DECL_TAG)
        eb_json_key_bool(&l->json, "attribute", type.kind_flag);
    eb_json_close(&l->json, '}');
}

static void put_types(lister *l, const uint32_t *roots, uint32_t root_count) {
    for (uint32_t i = 0; i < root_count; i++)
        put_type(l, roots[i]);
    for (uint32_t id = l->btf->first; !root_count && id < l->btf->count; id++)
        put_type(l, id);
}

void eb_btf_dump_raw(const eb_btf *btf, const uint32_t *roots, uint32_t root_count, eb_buf *out) {
    lister l = {.btf = btf, .json = {.buf = *out}, .text = true};
    put_types(&l, roots, root_count);
    *out = l.json.buf;
}

void eb_btf_dump_json(const eb_btf *btf, const uint32_t *roots, uint32_t root_count, eb_buf *out) {
    lister l = {.btf = btf, .json = {.buf = *out}};
    eb_json_open(&l.json, '{');
    eb_json_key(&l.json, "types");
    eb_json_open(&l.json, '[');
    put_types(&l, roots, root_count);
    eb_json_close(&l.json, ']');
    eb_json_close(&l.json, '}');
    *out = l.json.buf;
}
