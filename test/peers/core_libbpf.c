/* core_libbpf.c - what libbpf makes of the CO-RE relocations of objects, instruction by
 * instruction.
 *
 *   core_libbpf [--btf FILE] OBJECT...
 *
 * Each object is opened and loaded by libbpf, against the running kernel's BTF or FILE. Two of its
 * inner functions, which decide on a relocation and patch the instruction, are wrapped by the
 * linker
 * (-Wl,--wrap): the real ones run, and what they say is printed. When one refuses, that is printed
 * and loading goes on, so that one refusal does not hide the others; the kernel is never asked for
 * a map or a program once relocating has begun. Only what would end loading before that is made
 * harmless: all programs are wanted, undefined symbols are weak, and struct_ops maps, whose types
 * the kernel may lack, are in a section of another name.
 *
 * Prints, per object: "object PATH"; "relo OFFSET TYPE KIND resolved|poisoned|failed BYTES" in the
 * order of .BTF.ext; "end MESSAGE" with libbpf's last warning. Linked with libbpf.a, 1.5.0. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libbpf's own, from relo_core.h, which it does not install. */
struct core_result {
    __u64 from, to;
    bool poison, validate, bad_size;
    __u32 from_size, from_type, to_size, to_type;
};

static bool relocating;                     /* the object at hand has come so far */
static const struct bpf_core_relo *refused; /* by the calculation */
static char last_warning[512];

int __real_bpf_core_calc_relo_insn(const char *prog, const struct bpf_core_relo *relo, int index,
                                   const struct btf *local, void *candidates, void *scratch,
                                   struct core_result *result);
int __wrap_bpf_core_calc_relo_insn(const char *prog, const struct bpf_core_relo *relo, int index,
                                   const struct btf *local, void *candidates, void *scratch,
                                   struct core_result *result);
int __real_bpf_core_patch_insn(const char *prog, struct bpf_insn *insn, int insn_index,
                               const struct bpf_core_relo *relo, int index,
                               const struct core_result *result);
int __wrap_bpf_core_patch_insn(const char *prog, struct bpf_insn *insn, int insn_index,
                               const struct bpf_core_relo *relo, int index,
                               const struct core_result *result);
int __real_bpf_map_create(enum bpf_map_type type, const char *name, __u32 key, __u32 value,
                          __u32 entries, const struct bpf_map_create_opts *opts);
int __wrap_bpf_map_create(enum bpf_map_type type, const char *name, __u32 key, __u32 value,
                          __u32 entries, const struct bpf_map_create_opts *opts);
int __real_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
                         const struct bpf_insn *insns, size_t count,
                         struct bpf_prog_load_opts *opts);
int __wrap_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
                         const struct bpf_insn *insns, size_t count,
                         struct bpf_prog_load_opts *opts);

static void print_relo(const struct bpf_core_relo *relo, const char *outcome,
                       const struct bpf_insn *insn, int slots) {
    const unsigned char *bytes = (const unsigned char *)insn;
    printf("relo %u %u %u %s ", relo->insn_off, relo->type_id, relo->kind, outcome);
    for (int i = 0; i < slots * 8; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

int __wrap_bpf_core_calc_relo_insn(const char *prog, const struct bpf_core_relo *relo, int index,
                                   const struct btf *local, void *candidates, void *scratch,
                                   struct core_result *result) {
    relocating = true;
    int err = __real_bpf_core_calc_relo_insn(prog, relo, index, local, candidates, scratch, result);
    refused = err ? relo : NULL;
    if (err)
        memset(result, 0, sizeof *result);
    return 0;
}

int __wrap_bpf_core_patch_insn(const char *prog, struct bpf_insn *insn, int insn_index,
                               const struct bpf_core_relo *relo, int index,
                               const struct core_result *result) {
    const struct bpf_insn poison = {.code = BPF_JMP | BPF_CALL, .imm = 0xbad2310};
    int slots = insn->code == (BPF_LD | BPF_IMM | BPF_DW) ? 2 : 1;
    int err = refused == relo
                  ? -EINVAL
                  : __real_bpf_core_patch_insn(prog, insn, insn_index, relo, index, result);
    bool poisoned = !err && memcmp(insn, &poison, sizeof poison) == 0;
    print_relo(relo, err ? "failed" : poisoned ? "poisoned" : "resolved", insn, slots);
    return 0;
}

int __wrap_bpf_map_create(enum bpf_map_type type, const char *name, __u32 key, __u32 value,
                          __u32 entries, const struct bpf_map_create_opts *opts) {
    if (!relocating)
        return __real_bpf_map_create(type, name, key, value, entries, opts);
    errno = EPERM;
    return -EPERM;
}

int __wrap_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
                         const struct bpf_insn *insns, size_t count,
                         struct bpf_prog_load_opts *opts) {
    if (!relocating)
        return __real_bpf_prog_load(type, name, license, insns, count, opts);
    errno = EPERM;
    return -EPERM;
}

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args) {
    if (level == LIBBPF_WARN && !relocating && !strstr(format, "failed to load object"))
        vsnprintf(last_warning, sizeof last_warning, format, args);
    return 0;
}

static void *read_file(const char *path, size_t *size) {
    FILE *in = fopen(path, "rb");
    long length = -1;
    void *bytes = NULL;
    if (in && !fseek(in, 0, SEEK_END) && (length = ftell(in)) >= 0 && !fseek(in, 0, SEEK_SET))
        bytes = malloc((size_t)length + 1);
    if (bytes && fread(bytes, 1, (size_t)length, in) != (size_t)length) {
        free(bytes);
        bytes = NULL;
    }
    if (in)
        fclose(in);
    *size = (size_t)length;
    return bytes;
}

/* Make undefined symbols weak and struct_ops maps plain data; tell whether .BTF.ext has CO-RE
 * relocations. The objects are trusted. */
static bool prepare(unsigned char *elf, size_t size) {
    Elf64_Ehdr *header = (Elf64_Ehdr *)elf;
    Elf64_Shdr *sections = (Elf64_Shdr *)(elf + header->e_shoff);
    const char *names = (const char *)elf + sections[header->e_shstrndx].sh_offset;
    bool has_core = false;
    unsigned char *name = elf;
    while ((name = memmem(name, size - (size_t)(name - elf), ".struct_ops", 11)))
        name[0] = 'x'; /* the end may be the name of another section */
    for (int i = 1; i < header->e_shnum; i++) {
        unsigned char *at = elf + sections[i].sh_offset;
        if (sections[i].sh_type == SHT_SYMTAB) {
            Elf64_Sym *symbols = (Elf64_Sym *)at;
            for (size_t n = 1; n < sections[i].sh_size / sizeof *symbols; n++)
                if (symbols[n].st_shndx == SHN_UNDEF)
                    symbols[n].st_info = ELF64_ST_INFO(STB_WEAK, ELF64_ST_TYPE(symbols[n].st_info));
        }
        const __u32 *ext = (const __u32 *)at;
        if (!strcmp(names + sections[i].sh_name, ".BTF.ext") && ext[1] >= 32)
            has_core = ext[7] > 0;
    }
    return has_core;
}

static void judge(const char *path, const char *btf) {
    LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "peer", .btf_custom_path = btf);
    struct bpf_object *obj = NULL;
    struct bpf_program *prog;
    size_t size;
    unsigned char *elf = read_file(path, &size);
    printf("object %s\n", path);
    last_warning[0] = 0;
    relocating = false;
    if (!elf)
        snprintf(last_warning, sizeof last_warning, "%s", strerror(errno));
    else if (prepare(elf, size))
        obj = bpf_object__open_mem(elf, size, &opts);
    if (obj) {
        bpf_object__for_each_program(prog, obj) bpf_program__set_autoload(prog, true);
        bpf_object__load(obj);
        bpf_object__close(obj);
    }
    last_warning[strcspn(last_warning, "\n")] = 0;
    printf("end %s\n", last_warning);
    free(elf);
}

int main(int argc, char **argv) {
    const char *btf = NULL;
    int first = 1;
    if (argc > 2 && !strcmp(argv[1], "--btf")) {
        btf = argv[2];
        first = 3;
    }
    libbpf_set_print(keep_warning);
    for (int i = first; i < argc; i++)
        judge(argv[i], btf);
    return 0;
}
