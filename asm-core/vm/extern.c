/* extern.c - what programs ask of the kernel that they are loaded into: values of .kconfig,
 * addresses of .ksyms. In: the object's undefined symbols, the variables of those two sections in
 * its BTF, and lines NAME=VALUE of the host (a kernel's .config reads as such). Out: a read-only
 * region with the configuration, and an address per name. Names without a value are 0 when they are
 * weak; code that needs another one faults when it is reached. Source: libbpf's
 * bpf_object__resolve_externs. */
#include "btf.h"
#include "vm.h"

#include <string.h>

/* ---- the host's lines ---- */

static const char defaults[] = "LINUX_KERNEL_VERSION=0x60c00\n" /* 6.12 */
                               "LINUX_HAS_BPF_COOKIE=y\n"
                               "LINUX_HAS_SYSCALL_WRAPPER=y\n";

/* The text behind "NAME=" in one of the lines; false without. */
static bool line_value(eb_str lines, eb_str name, eb_str *value) {
    if (!lines.len) /* and no pointer */
        return false;
    const char *at = lines.at, *end = lines.at + lines.len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            stop = end;
        eb_str line = {at, (size_t)(stop - at)};
        if (line.len > name.len && line.at[name.len] == '=' &&
            memcmp(line.at, name.at, name.len) == 0) {
            *value = (eb_str){line.at + name.len + 1, line.len - name.len - 1};
            return true;
        }
        at = stop + (stop < end);
    }
    return false;
}

static bool value_of(const ebpf_vm *vm, eb_str name, eb_str *value) {
    return line_value(vm->externs_given, name, value) || line_value(EB_STR(defaults), name, value);
}

static bool number(eb_str text, uint64_t *out) {
    bool minus = text.len && *text.at == '-';
    if (minus)
        text = (eb_str){text.at + 1, text.len - 1};
    unsigned base = 10;
    if (text.len > 2 && text.at[0] == '0' && (text.at[1] == 'x' || text.at[1] == 'X')) {
        text = (eb_str){text.at + 2, text.len - 2};
        base = 16;
    }
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit >= base)
            return false;
        *out = *out * base + digit;
    }
    if (minus)
        *out = 0 - *out;
    return text.len != 0;
}

/* ---- .kconfig ---- */

/* y, m and n as a bool, a tristate or a character; 0 when it is none of them. */
static bool letter(eb_str text, bool as_char, uint64_t *out) {
    static const char letters[] = "nym";
    const char *at = text.len == 1 ? memchr(letters, *text.at, 3) : NULL;
    if (!at)
        return false;
    *out = as_char ? (uint64_t)*at : (uint64_t)(at - letters);
    return true;
}

static bool is_character(const eb_btf_type *type) {
    return type->kind == EB_BTF_INT && type->size_or_type == 1 &&
           !(type->extra >> 24 & EB_BTF_BOOL);
}

/* Write the value as the variable's type has it; false when it has no such form. */
static bool put_value(const ebpf_vm *vm, uint32_t id, eb_str text, uint8_t *at, uint32_t size) {
    const eb_btf *btf = vm->obj->btf;
    eb_btf_type type = eb_btf_at(btf, eb_btf_strip(btf, id));
    uint64_t value;
    if (type.kind == EB_BTF_ARRAY) {
        bool quoted = text.len >= 2 && text.at[0] == '"' && text.at[text.len - 1] == '"';
        if (!quoted)
            return false;
        text = (eb_str){text.at + 1, text.len - 2};
        memcpy(at, text.at, text.len < size ? text.len : size - 1);
        return true;
    }
    if (!letter(text, is_character(&type), &value) && !number(text, &value))
        return false;
    switch (size) {
    case 1:
        *at = (uint8_t)value;
        return true;
    case 2:
        eb_set16(at, vm->big, (uint16_t)value);
        return true;
    case 4:
        eb_set32(at, vm->big, (uint32_t)value);
        return true;
    case 8:
        eb_set64(at, vm->big, value);
        return true;
    default:
        return false;
    }
}

static uint32_t align(uint32_t offset, uint32_t size) {
    uint32_t to = size >= 8 ? 8 : size ? size : 1;
    return (offset + to - 1) / to * to;
}

static bool is_weak(const ebpf_object *obj, eb_str name) {
    for (uint32_t i = 0; i < obj->symbols.len; i++)
        if (eb_str_eq(obj->symbols.at[i].name, name))
            return obj->symbols.at[i].bind == EB_STB_WEAK;
    return false;
}

enum { KCONFIG_MOST = 1 << 20 };

/* Walk .kconfig's variables; with `bytes` put their values there. Returns the size of all. */
static uint32_t walk_config(ebpf_vm *vm, const eb_btf_type *section, uint32_t region,
                            uint8_t *bytes) {
    const eb_btf *btf = vm->obj->btf;
    uint32_t offset = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        eb_btf_member member = eb_btf_member_at(btf, section, i);
        eb_btf_type var = eb_btf_at(btf, member.type);
        uint32_t size = eb_btf_size(btf, var.size_or_type);
        eb_str name = eb_btf_name(btf, member.type), text;
        offset = align(offset, size);
        if (size == 0 || size > KCONFIG_MOST - offset)
            continue;
        bool known = value_of(vm, name, &text);
        if (bytes && (known ? put_value(vm, var.size_or_type, text, bytes + offset, size)
                            : is_weak(vm->obj, name)))
            *EB_PUSH(&vm->ctx->arena, &vm->externs) =
                (eb_vm_extern){name, eb_vm_address(region, offset)};
        offset += size;
    }
    return offset;
}

static void make_config(ebpf_vm *vm) {
    const eb_btf *btf = vm->obj->btf;
    uint32_t id = eb_btf_find(btf, EB_BTF_DATASEC, EB_STR(".kconfig"));
    if (!id)
        return;
    eb_btf_type section = eb_btf_at(btf, id);
    uint32_t size = walk_config(vm, &section, 0, NULL);
    if (!size)
        return;
    uint32_t region = eb_vm_add_region(vm, (eb_region_info){.name = EB_STR(".kconfig"),
                                                            .kind = EBPF_REGION_DATA,
                                                            .index = UINT32_MAX,
                                                            .size = size});
    vm->regions[region].base = eb_alloc(&vm->ctx->arena, size);
    vm->regions[region].read = size;
    walk_config(vm, &section, region, vm->regions[region].base);
}

/* ---- both ---- */

void eb_vm_make_externs(ebpf_vm *vm) {
    if (vm->obj->btf)
        make_config(vm);
}

bool eb_vm_extern_address(ebpf_vm *vm, eb_str name, uint64_t *address) {
    eb_str text;
    for (uint32_t i = 0; i < vm->externs.len; i++) {
        if (eb_str_eq(vm->externs.at[i].name, name)) {
            *address = vm->externs.at[i].address;
            return true;
        }
    }
    return line_value(vm->externs_given, name, &text) && number(text, address);
}
