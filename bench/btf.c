/* btf.c - from the bytes of BTF to the first type found in it, tables included.
 * usage: bench_btf FILE NAME; prints { ms, types }, the median of 31 runs in processor time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ebpf.h"

enum { RUNS = 31, MOST = 1 << 26 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run(const void *bytes, size_t size, const char *name, double *ms, uint32_t *types) {
    ebpf_btf *btf;
    uint32_t id = 0;
    double start = now();
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    if (!ctx || ebpf_btf_read(ctx, name, strlen(name), bytes, size, NULL, &btf) != EBPF_OK ||
        ebpf_btf_find(btf, ~0u, name, strlen(name), 0, &id) != EBPF_OK || !id)
        return fprintf(stderr, "there is no %s in it\n", name), 1;
    *ms = now() - start;
    *types = ebpf_btf_count(btf) - 1;
    ebpf_ctx_free(ctx);
    return 0;
}

int main(int argc, char **argv) {
    double ms[RUNS];
    uint32_t types = 0;
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    char *bytes = malloc(MOST);
    if (!file || !bytes)
        return fprintf(stderr, "usage: bench_btf FILE NAME\n"), 2;
    size_t size = fread(bytes, 1, MOST, file);
    fclose(file);
    for (int i = 0; i < RUNS; i++)
        if (run(bytes, size, argv[2], &ms[i], &types))
            return 1;
    qsort(ms, RUNS, sizeof *ms, compare);
    printf("{\"ms\":%.3f,\"types\":%u}\n", ms[RUNS / 2], types);
    free(bytes);
    return 0;
}
