/* cli.h - what the verbs of bpfc share: options, files, and how a request ends. */
#ifndef BPFC_CLI_H
#define BPFC_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "ebpf.h"
#include "ebpf_cc.h"
#include "ebpf_verify.h"
#include "ebpf_vm.h"

/* Exit statuses: 0; 1 the input is wrong or a file cannot be read; 2 the command line is wrong. */
enum { EXIT_INPUT = 1, EXIT_USAGE = 2 };

enum { BTFS_MOST = 512 }; /* files after --btf */

typedef struct options {
    const char *file, *out, *prog, *mem, *ctx;
    const char *base, *root;
    const char *packet, *type, *stop, *kconfig, *object;
    int dialect, endian, format;
    uint64_t budget;
    const char *btf[BTFS_MOST];
    int btfs;
    bool json, raw, bytes, numeric, hex, source, objdump, relocs, alu32, labels, no_btf, text;
    bool trace, coverage, lines;
} options;

typedef struct blob {
    uint8_t *data;
    size_t size;
} blob;

/* Read a file, or standard input for "-"; false after a message. The caller frees data. */
bool read_file(const char *path, blob *out);
/* Write a file, or standard output for "-"; false after a message. */
bool write_file(const char *path, const void *data, size_t size);
/* HEX or @FILE; false after a message. */
bool read_memory(const char *argument, blob *out);

/* The name nearest to a word that is none, of those that are tried; `best` is NULL at first. */
struct near {
    const char *word;
    size_t length, distance;
    const char *best;
};
void try_near(struct near *near, const char *name);

/* Print the diagnostics to stderr (as JSON to stdout with --json); the exit status for them. */
int report(ebpf_ctx *ctx, const options *opt, int status);

/* How an explanation goes to standard output or -o: enum ebpf_diag_format. */
int explain_format(const options *opt);

/* The input as an object: ELF, bare instructions with --raw, assembly otherwise. */
int load_object(ebpf_ctx *ctx, const options *opt, const blob *file, ebpf_object **out);

/* Read the file, make a context, do `work` in it; the exit status. */
typedef int worker(ebpf_ctx *ctx, const options *opt, const blob *file);
int with_file(const options *opt, worker *work);
/* What diagnostics call the input. */
const char *input_name(const char *path);
/* `text` to -o, or to standard output; the exit status. */
int put_out(const options *opt, const ebpf_bytes *text);

/* BTF in place of vmlinux.h: the files, or none for the running kernel's. */
typedef struct mapped {
    blob bytes;
    bool by_system;
} mapped;

typedef struct kernel_btf {
    const char *paths[BTFS_MOST];
    uint32_t count, opened;
    mapped *files; /* that are open, until close_btf */
} kernel_btf;

/* Whether it is vmlinux.h that a unit asks for, and whether there is BTF to answer with. */
bool is_vmlinux(const ebpf_cc_file *wanted);
bool has_btf(const kernel_btf *from);
int answer_vmlinux(ebpf_cc *unit, kernel_btf *from);
/* After the unit's context was freed. */
void close_btf(kernel_btf *from);

int verb_as(const options *opt);
int verb_dis(const options *opt);
int verb_sim(const options *opt);
int verb_info(const options *opt);
int verb_strip(const options *opt);
int verb_explain(const options *opt);
int verb_core(const options *opt);
int verb_btf(const options *opt);
/* The header set that is linked in, or nothing. */
ebpf_bytes header_set(void);
/* Options as C compilers have them, so it reads its own. */
int verb_cc(int argc, char **argv);

#endif
