/* types.c - what the assembler adds for BPF: types, maps, and the BTF that describes both and the
 * functions. The directives:
 *
 *   .struct stat                            a type for keys and values, laid out as C does it
 *   .field  count, u64
 *   .field  comm, char, 16                  an array of 16
 *   .ends
 *   .map    counts, type=hash, key=u32, value=stat, max_entries=10240
 *
 * .map makes the BTF-defined entry of .maps that libbpf reads: a variable whose struct type encodes
 * numbers as pointers to arrays of that length and types as pointers to the type. Other keys:
 * key_size, value_size (instead of types), map_flags, pinning=none|by_name, numa_node, map_extra.
 */
#include "asm.h"
#include "btf_ext.h"
#include "kinds.h"
#include "sort.h"

static const struct {
    const char *name, *ctype;
    uint32_t size, encoding;
} basic_types[] = {
    {"u8", "unsigned char", 1, 0},           {"u16", "unsigned short", 2, 0},
    {"u32", "unsigned int", 4, 0},           {"u64", "unsigned long long", 8, 0},
    {"s8", "signed char", 1, EB_BTF_SIGNED}, {"s16", "short", 2, EB_BTF_SIGNED},
    {"s32", "int", 4, EB_BTF_SIGNED},        {"s64", "long long", 8, EB_BTF_SIGNED},
    {"char", "char", 1, EB_BTF_SIGNED},      {"bool", "_Bool", 1, EB_BTF_BOOL},
};

static eb_btf *btf_of(eb_asm *as) {
    if (!as->btf)
        as->btf = eb_btf_new(&as->ctx->arena, as->obj->big);
    return as->btf;
}

/* ---- types ---- */

static eb_type *add_type(eb_asm *as, eb_str name, eb_loc loc) {
    bool is_new;
    *eb_map_enter(&as->type_names, name, &is_new) = as->types.len;
    eb_type *type = EB_PUSH(&as->ctx->arena, &as->types);
    type->name = name;
    type->loc = loc;
    return type;
}

/* A basic type enters when it is first named: u32 is a typedef of unsigned int. */
static eb_type *add_basic(eb_asm *as, eb_str name) {
    for (unsigned i = 0; i < sizeof basic_types / sizeof *basic_types; i++) {
        if (!eb_str_is(name, basic_types[i].name))
            continue;
        eb_btf *btf = btf_of(as);
        eb_str ctype = eb_str_from(basic_types[i].ctype);
        eb_type *type = add_type(as, name, 0);
        type->size = type->align = basic_types[i].size;
        type->btf = eb_btf_find(btf, EB_BTF_INT, ctype);
        if (!type->btf)
            type->btf = eb_btf_add_int(btf, ctype, type->size, basic_types[i].encoding);
        if (!eb_str_eq(name, ctype))
            type->btf = eb_btf_add_ref(btf, EB_BTF_TYPEDEF, name, type->btf);
        return type;
    }
    return NULL;
}

static eb_type *find_type(eb_asm *as, eb_str name) {
    uint32_t *number = eb_map_find(&as->type_names, name);
    return number ? &as->types.at[*number] : add_basic(as, name);
}

/* The index of a type by the name at hand, or -1 after a diagnostic. */
static int64_t take_type(eb_asm *as) {
    const eb_token *token = eb_asm_peek(as);
    if (token->kind != EB_TOKEN_WORD) {
        eb_asm_expected(as, "a type");
        return -1;
    }
    eb_type *type = find_type(as, token->text);
    if (!type) {
        eb_map known = {.arena = &as->ctx->arena};
        bool is_new;
        for (unsigned i = 0; i < sizeof basic_types / sizeof *basic_types; i++)
            eb_map_enter(&known, eb_str_from(basic_types[i].name), &is_new);
        for (uint32_t i = 0; i < as->types.len; i++)
            eb_map_enter(&known, as->types.at[i].name, &is_new);
        eb_str near = eb_nearest(&known, token->text);
        eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_UNKNOWN_TYPE, token->lo, token->hi,
                                    (int)token->text.len, token->text.at);
        eb_diag_note(as->ctx, diag, 0, 0,
                     near.len ? "did you mean '%.*s'?"
                              : "types are u8 to u64, s8 to s64, char, bool and those of .struct",
                     (int)near.len, near.at);
        return -1;
    }
    as->at++;
    return type - as->types.at;
}

void eb_run_struct(eb_asm *as, int unused) {
    (void)unused;
    const eb_token *token = eb_asm_peek(as);
    if (token->kind != EB_TOKEN_WORD) {
        eb_asm_expected(as, "a name for the type");
        return;
    }
    if (as->open_struct) {
        eb_asm_expected(as, ".ends before another .struct");
        return;
    }
    const eb_type *known = find_type(as, token->text);
    if (known) {
        eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_DUPLICATE_TYPE, token->lo, token->hi,
                                    (int)token->text.len, token->text.at);
        eb_diag_note(as->ctx, diag, known->loc, known->loc + 1,
                     known->loc ? "it is declared here first" : "it is a basic type");
    }
    eb_str name = token->text;
    as->at++;
    if (!eb_asm_at_end(as))
        eb_asm_expected(as, "the end of the line");
    add_type(as, name, token->lo)->align = 1;
    as->open_struct = as->types.len;
}

/* Fields wait as (type, count, name) in the members of a record that .ends completes: its member
 * types must be in BTF before it is. */
void eb_run_field(eb_asm *as, int unused) {
    (void)unused;
    enum { SIZE_MOST = 1 << 20 };
    const eb_token *name = eb_asm_peek(as);
    int64_t count = 1;
    bool array = false;
    if (!as->open_struct) {
        eb_asm_expected(as, ".struct before .field");
        return;
    }
    bool named =
        name->kind == EB_TOKEN_WORD || name->kind == EB_TOKEN_REG64 || name->kind == EB_TOKEN_REG32;
    as->at += named;
    if (!named || !eb_asm_accept(as, ',')) {
        eb_asm_expected(as, named ? "',' and a type" : "a field name");
        return;
    }
    int64_t number = take_type(as);
    if (number < 0)
        return;
    const eb_token *counted = eb_asm_peek(as);
    if (eb_asm_accept(as, ',')) {
        array = true;
        counted = eb_asm_peek(as);
        if (!eb_asm_constant(as, &count))
            return;
    }
    if (!eb_asm_at_end(as)) {
        eb_asm_expected(as, "the end of the line");
        return;
    }
    eb_type *owner = &as->types.at[as->open_struct - 1];
    const eb_type *type = &as->types.at[number];
    uint32_t start = (owner->size + type->align - 1) / type->align * type->align;
    if (count < 0 || count > SIZE_MOST || start + (uint64_t)count * type->size > SIZE_MOST) {
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, counted->lo, counted->hi,
                    "a count that keeps the type below 1 MiB");
        return;
    }
    if (type == owner) {
        eb_diag_add(as->ctx, EB_DIAG_UNKNOWN_TYPE, name->lo, name->hi, (int)type->name.len,
                    type->name.at);
        return;
    }
    *EB_PUSH(&as->ctx->arena, &owner->fields) = (eb_type_field){.name = name->text,
                                                                .type = (uint32_t)number,
                                                                .count = (uint32_t)count,
                                                                .array = array,
                                                                .offset = start};
    owner->size = start + (uint32_t)count * type->size;
    if (owner->align < type->align)
        owner->align = type->align;
}

static uint32_t index_type(eb_asm *as) {
    eb_btf *btf = btf_of(as);
    eb_str name = EB_STR("__ARRAY_SIZE_TYPE__"); /* as clang calls it */
    uint32_t found = eb_btf_find(btf, EB_BTF_INT, name);
    return found ? found : eb_btf_add_int(btf, name, 4, 0);
}

void eb_run_ends(eb_asm *as, int unused) {
    (void)unused;
    if (!as->open_struct || !eb_asm_at_end(as)) {
        eb_asm_expected(as, as->open_struct ? "the end of the line" : ".struct before .ends");
        return;
    }
    eb_type *type = &as->types.at[as->open_struct - 1];
    eb_btf *btf = btf_of(as);
    as->open_struct = 0;
    type->size = (type->size + type->align - 1) / type->align * type->align;
    for (uint32_t i = 0; i < type->fields.len; i++) {
        eb_type_field *field = &type->fields.at[i];
        field->btf = as->types.at[field->type].btf;
        if (field->array)
            field->btf = eb_btf_add_array(btf, field->btf, index_type(as), field->count);
    }
    type->btf = eb_btf_add_record(btf, EB_BTF_STRUCT, type->name, type->size);
    for (uint32_t i = 0; i < type->fields.len; i++)
        eb_btf_add_member(btf, type->fields.at[i].name, type->fields.at[i].btf,
                          type->fields.at[i].offset * 8);
}

/* ---- maps ---- */

typedef enum map_key { KEY_NUMBER, KEY_TYPE, KEY_MAP_TYPE, KEY_PINNING } map_key;

static const struct {
    const char *name;
    map_key kind;
} map_keys[] = {
    {"type", KEY_MAP_TYPE},    {"key", KEY_TYPE},          {"value", KEY_TYPE},
    {"key_size", KEY_NUMBER},  {"value_size", KEY_NUMBER}, {"max_entries", KEY_NUMBER},
    {"map_flags", KEY_NUMBER}, {"numa_node", KEY_NUMBER},  {"map_extra", KEY_NUMBER},
    {"pinning", KEY_PINNING},
};
enum { MAP_KEYS = sizeof map_keys / sizeof *map_keys };

typedef struct map_decl {
    bool given[MAP_KEYS];
    uint32_t value[MAP_KEYS]; /* a number, or a BTF type */
} map_decl;

static int find_key(eb_str name) {
    for (int i = 0; i < MAP_KEYS; i++)
        if (eb_str_is(name, map_keys[i].name))
            return i;
    return -1;
}

static bool take_map_type(eb_asm *as, uint32_t *value) {
    const eb_token *token = eb_asm_peek(as);
    *value = eb_map_type_find(token->text);
    if (*value) {
        as->at++;
        return true;
    }
    const char *near = eb_map_type_near(token->text);
    eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_UNKNOWN_MAP_TYPE, token->lo, token->hi,
                                (int)token->text.len, token->text.at);
    if (near)
        eb_diag_note(as->ctx, diag, 0, 0, "did you mean '%s'?", near);
    return false;
}

static bool take_number(eb_asm *as, uint32_t *value) {
    const eb_token *token = eb_asm_peek(as);
    int64_t number;
    if (!eb_asm_constant(as, &number))
        return false;
    if (number < 0 || number > UINT32_MAX) {
        eb_str text = eb_str_fmt(&as->ctx->arena, "%lld", (long long)number);
        eb_diag_add(as->ctx, EB_DIAG_NUMBER_RANGE, token->lo, as->tokens.at[as->at - 1].hi,
                    (int)text.len, text.at, 32u);
        return false;
    }
    *value = (uint32_t)number;
    return true;
}

static bool take_pinning(eb_asm *as, uint32_t *value) {
    const eb_token *token = eb_asm_peek(as);
    *value = eb_str_is(token->text, "by_name");
    if (!*value && !eb_str_is(token->text, "none")) {
        eb_asm_expected(as, "none or by_name");
        return false;
    }
    as->at++;
    return true;
}

static bool take_map_value(eb_asm *as, map_key kind, uint32_t *value) {
    if (kind == KEY_MAP_TYPE)
        return take_map_type(as, value);
    if (kind == KEY_PINNING)
        return take_pinning(as, value);
    if (kind == KEY_NUMBER)
        return take_number(as, value);
    int64_t type = take_type(as);
    if (type >= 0)
        *value = as->types.at[type].btf;
    return type >= 0;
}

static bool take_setting(eb_asm *as, map_decl *decl) {
    const eb_token *token = eb_asm_peek(as);
    int key = token->kind == EB_TOKEN_WORD ? find_key(token->text) : -1;
    if (key < 0) {
        eb_asm_expected(as, "type, key, value, key_size, value_size, max_entries, map_flags, "
                            "numa_node, map_extra or pinning");
        return false;
    }
    as->at++;
    if (decl->given[key]) {
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi, "each setting once");
        return false;
    }
    if (!eb_asm_accept(as, '=')) {
        eb_asm_expected(as, "'='");
        return false;
    }
    decl->given[key] = true;
    return take_map_value(as, map_keys[key].kind, &decl->value[key]);
}

/* What map_decl lacks or says twice, or NULL. */
static const char *check_map(const map_decl *decl) {
    bool key = decl->given[find_key(EB_STR("key"))];
    bool value = decl->given[find_key(EB_STR("value"))];
    if (!decl->given[find_key(EB_STR("type"))])
        return "it has no type=";
    if (key && decl->given[find_key(EB_STR("key_size"))])
        return "key= and key_size= say the same twice";
    if (value && decl->given[find_key(EB_STR("value_size"))])
        return "value= and value_size= say the same twice";
    return NULL;
}

/* A number as BTF-defined maps write it: a pointer to an array of that many ints. */
static uint32_t number_type(eb_asm *as, uint32_t number) {
    eb_btf *btf = btf_of(as);
    uint32_t type = find_type(as, EB_STR("s32"))->btf; /* a typedef of int */
    uint32_t array = eb_btf_add_array(btf, eb_btf_strip(btf, type), index_type(as), number);
    return eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, array);
}

static uint32_t map_struct(eb_asm *as, const map_decl *decl) {
    eb_btf *btf = btf_of(as);
    uint32_t types[MAP_KEYS], count = 0;
    for (int i = 0; i < MAP_KEYS; i++) {
        if (!decl->given[i])
            continue;
        types[i] = map_keys[i].kind == KEY_TYPE
                       ? eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, decl->value[i])
                       : number_type(as, decl->value[i]);
        count++;
    }
    uint32_t record = eb_btf_add_record(btf, EB_BTF_STRUCT, (eb_str){0}, count * 8);
    uint32_t at = 0;
    for (int i = 0; i < MAP_KEYS; i++)
        if (decl->given[i])
            eb_btf_add_member(btf, eb_str_from(map_keys[i].name), types[i], 64 * at++);
    return record;
}

static bool declare(eb_asm *as, const eb_token *name) {
    bool is_new;
    uint32_t *known = eb_map_enter(&as->map_names, name->text, &is_new);
    if (is_new) {
        *known = name->lo;
        return true;
    }
    eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_DUPLICATE_MAP, name->lo, name->hi,
                                (int)name->text.len, name->text.at);
    eb_diag_note(as->ctx, diag, *known, *known + (eb_loc)name->text.len,
                 "it is declared here first");
    return false;
}

/* The entry in .maps: zero bytes, one pointer per setting, under a global symbol. */
static void place_map(eb_asm *as, const eb_token *name, uint32_t record) {
    uint32_t before = as->section, previous = as->previous;
    uint32_t size = eb_btf_size(as->btf, record);
    eb_asm_select(as, EB_STR(".maps"), EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE, false);
    eb_asm_section(as)->align = 8;
    uint32_t number = eb_asm_label(as, name->text, name->lo, name->hi);
    eb_label *label = &as->labels.at[number];
    if (label->defined || label->alias) {
        eb_asm_defined_twice(as, label, name->lo, name->hi);
    } else {
        *label = (eb_label){.name = name->text,
                            .loc = name->lo,
                            .end = name->hi,
                            .section = as->section,
                            .value = eb_asm_section(as)->size,
                            .bind = EB_STB_GLOBAL,
                            .type = EB_STT_OBJECT,
                            .defined = true,
                            .bound = true,
                            .size = eb_asm_keep(as, &(eb_expr){.value = size})};
        eb_asm_emit(as, size);
        *EB_PUSH(&as->ctx->arena, &as->maps) =
            eb_btf_add_var(as->btf, name->text, record, EB_BTF_GLOBAL);
    }
    as->section = before;
    as->previous = previous;
}

void eb_run_map(eb_asm *as, int unused) {
    (void)unused;
    map_decl decl = {0};
    const eb_token *name = eb_asm_peek(as);
    if (name->kind != EB_TOKEN_WORD) {
        eb_asm_expected(as, "a name for the map");
        return;
    }
    as->at++;
    while (eb_asm_accept(as, ','))
        if (!take_setting(as, &decl))
            return;
    if (!eb_asm_at_end(as)) {
        eb_asm_expected(as, "',' or the end of the line");
        return;
    }
    const char *wrong = check_map(&decl);
    if (wrong)
        eb_diag_add(as->ctx, EB_DIAG_BAD_MAP, name->lo, name->hi, (int)name->text.len,
                    name->text.at, wrong);
    else if (declare(as, name))
        place_map(as, name, map_struct(as, &decl));
}

/* ---- BTF of the whole ---- */

static void add_maps_section(eb_asm *as) {
    if (!as->maps.len)
        return;
    const eb_section *section =
        &as->obj->sections.at[eb_object_find_section(as->obj, EB_STR(".maps"))];
    eb_btf_add_datasec(as->btf, EB_STR(".maps"), (uint32_t)section->size);
    uint32_t offset = 0;
    for (uint32_t i = 0; i < as->maps.len; i++) {
        uint32_t var = as->maps.at[i], size = eb_btf_size(as->btf, var);
        eb_btf_add_datasec_var(as->btf, var, offset, size);
        offset += size;
    }
}

/* An entry point takes the context; what .text holds is called with whatever the caller has, which
 * the verifier follows by itself for static functions. */
static uint32_t add_func(eb_asm *as, const eb_symbol *symbol, bool entry) {
    eb_btf *btf = btf_of(as);
    uint32_t result = eb_btf_strip(btf, find_type(as, EB_STR("s32"))->btf);
    uint32_t ptr = entry ? eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, 0) : 0;
    uint32_t proto = eb_btf_add_proto(btf, result);
    if (entry)
        eb_btf_add_param(btf, EB_STR("ctx"), ptr);
    return eb_btf_add_func(btf, symbol->name, proto,
                           entry && symbol->bind != EB_STB_LOCAL ? EB_BTF_GLOBAL : EB_BTF_STATIC);
}

static void add_functions(eb_asm *as) {
    for (uint32_t i = 1; i < as->obj->symbols.len; i++) {
        const eb_symbol *symbol = &as->obj->symbols.at[i];
        if (symbol->type != EB_STT_FUNC || !symbol->section ||
            symbol->section >= as->obj->sections.len || symbol->value % EBPF_SLOT)
            continue;
        eb_section *section = &as->obj->sections.at[symbol->section];
        uint32_t type = add_func(as, symbol, !eb_str_is(section->name, ".text"));
        *EB_PUSH(&as->ctx->arena, &section->func_types) =
            (eb_func_type){(uint32_t)symbol->value, type};
    }
}

/* What .loc said: of several at one place the last holds, and line 0 is nowhere. */
static void add_lines(eb_asm *as) {
    for (uint32_t i = 0; i < as->lines.len; i++) {
        const eb_asm_line *from = &as->lines.at[i];
        eb_section *section = &as->obj->sections.at[from->section];
        eb_line line = {.offset = from->offset,
                        .file = as->files.at[from->file],
                        .line = from->line,
                        .column = from->column};
        bool code = section->flags & EB_SHF_EXECINSTR;
        if (!code || !line.line || line.offset % EBPF_SLOT || line.offset >= section->size)
            continue;
        eb_line *last = section->lines.len ? &section->lines.at[section->lines.len - 1] : NULL;
        if (last && last->offset == line.offset)
            *last = line;
        else
            *EB_PUSH(&as->ctx->arena, &section->lines) = line;
    }
}

void eb_asm_write_btf(eb_asm *as) {
    if (as->no_btf || eb_object_find_section(as->obj, EB_STR(".BTF")))
        return; /* the text wants none, or brought its own */
    add_functions(as);
    add_lines(as);
    add_maps_section(as);
    if (!as->btf)
        return;
    eb_btf_store(as->obj, as->btf);
}
