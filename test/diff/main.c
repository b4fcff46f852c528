/* main.c - diff_random: programs from a generator, loaded and run in the kernel by
 * BPF_PROG_TEST_RUN and in the VM, in its fast loop and by single steps: results, memory and maps
 * must be the same. The first program that differs is cut down and shown (with
 * --keep-going the first three); the exit status is 1.
 *
 *   diff_random [--seed N] [--count N] [--random] [--keep-going] [--json] [--emit FILE] [--list]
 *
 * The first program has seed N, the next N + 1, until `count` programs were accepted; `--seed N`
 * alone repeats one. `--random` takes the first seed from the clock. `--list` prints the programs
 * as assembly text instead of running them. `--emit` writes what scripts/peers/random.mjs replays
 * in wasm. Without the right to load programs it says that it skipped and ends well. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

typedef struct options {
    uint64_t seed;
    uint64_t count;
    bool keep_going, json, list;
    const char *emit;
} options;

enum { DEFAULT_COUNT = 1000, TEXT_ROOM = 4096, MOST_SHRUNK = 3 };

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_listing(const program *p) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    eb_buf text = {.arena = &ctx->arena};
    if (object_text(ctx, p, &text))
        fwrite(text.at, 1, text.len, stdout);
    ebpf_ctx_free(ctx);
}

static void print_bytes(const char *what, const uint8_t *bytes, uint32_t size) {
    printf("# %s", what);
    for (uint32_t i = 0; i < size; i++)
        printf("%s%02x", i % 8 ? "" : " ", bytes[i]);
    printf("\n");
}

/* Everything that is needed to see the difference by hand. */
static void print_program(const program *p) {
    char what[64];
    printf("# %s program, %u run%s\n", prog_types[p->kind].name, p->run_count,
           p->run_count == 1 ? "" : "s");
    for (uint32_t i = 0; i < p->run_count; i++) {
        snprintf(what, sizeof what, "run %u input", i);
        print_bytes(what, p->runs[i].bytes, p->runs[i].size);
    }
    for (uint32_t i = 0; i < p->map_count; i++)
        for (uint32_t e = 0; e < p->maps[i].entry_count && !p->maps[i].dead; e++) {
            const map *m = &p->maps[i];
            snprintf(what, sizeof what, "m%u key", i);
            print_bytes(what, m->entries[e].key, m->key_size);
            print_bytes("  value", m->entries[e].value, m->value_size);
        }
    print_listing(p);
}

static void show_difference(program *p, const char *text, bool cut) {
    char after[TEXT_ROOM] = "";
    bool fault;
    printf("DIFFERENT: seed %llu\n%s", (unsigned long long)p->seed, text);
    if (!cut)
        return;
    uint32_t tried = shrink(p);
    if (!tried || !differs(p, &fault, after, sizeof after))
        printf("it does not show again\n");
    else
        printf("cut down in %u runs to:\n%s\n%s", tried, "", after);
    print_program(p);
    fflush(stdout);
}

/* One program on all three ways; false when they differ. */
static bool try_program(program *p, report *r, FILE *emit) {
    char text[TEXT_ROOM];
    outcome kernel = kernel_run(p);
    bool same = true;
    if (!kernel.ran) {
        report_rejection(r, p, kernel.why);
        outcome_free(&kernel);
        return true;
    }
    coverage ran = {0};
    outcome fast = machine_run(p, (machine_options){0});
    outcome steps = machine_run(p, (machine_options){.counts = &ran});
    same = outcome_equal(p, &fast, &kernel, text, sizeof text);
    if (same && !outcome_equal(p, &steps, &kernel, text, sizeof text)) {
        printf("DIFFERENT: seed %llu, by single steps only\n%s", (unsigned long long)p->seed, text);
        r->different++;
        same = false;
    } else if (!same) {
        r->different++;
        show_difference(p, text, r->different <= MOST_SHRUNK);
    }
    report_program(r, p, &ran);
    if (emit && same)
        emit_program(emit, p, &kernel);
    outcome_free(&fast);
    outcome_free(&steps);
    outcome_free(&kernel);
    return same;
}

static int run_all(const options *o) {
    char why[256];
    if (!kernel_open(why, sizeof why)) {
        printf("%s%s\n%s", o->json ? "{\"skipped\":\"" : "skipped: ", why,
               o->json ? "\"}\n" : "0 passed, 0 failed, 1 skipped\n");
        return 0;
    }
    FILE *emit = o->emit ? fopen(o->emit, "w") : NULL;
    if (o->emit && !emit) {
        fprintf(stderr, "diff_random: %s: %s\n", o->emit, strerror(errno));
        return 2;
    }
    report *r = calloc(1, sizeof *r);
    r->seed = o->seed;
    double start = cpu_seconds();
    bool go = true;
    uint64_t seed = o->seed;
    for (; go && r->accepted < o->count && r->rejected <= o->count; seed++) {
        double began = cpu_seconds();
        program *p = program_new(seed);
        go = try_program(p, r, emit) || o->keep_going;
        program_free(p);
        double took = cpu_seconds() - began;
        if (took > r->slowest_seconds)
            r->slowest_seconds = took, r->slowest = seed;
    }
    r->cpu_seconds = cpu_seconds() - start;
    if (emit)
        fclose(emit);
    kernel_close();
    if (o->json)
        report_json(r);
    else
        report_print(r);
    if (!o->json)
        printf("\nseeds %llu to %llu: %u programs accepted (%.1f %%), %u different; %llu "
               "instructions, %.1f s of CPU time (seed %llu: %.1f s)\n",
               (unsigned long long)o->seed, (unsigned long long)(seed - 1), r->accepted,
               100.0 * r->accepted / (r->accepted + r->rejected), r->different,
               (unsigned long long)r->executed, r->cpu_seconds, (unsigned long long)r->slowest,
               r->slowest_seconds);
    int status = r->different || !r->accepted;
    free(r);
    return status;
}

static int list_all(const options *o) {
    for (uint64_t i = 0; i < o->count; i++) {
        program *p = program_new(o->seed + i);
        print_program(p);
        program_free(p);
    }
    return 0;
}

static int usage(void) {
    fprintf(stderr, "usage: diff_random [--seed N] [--count N] [--random] [--keep-going] [--json] "
                    "[--emit FILE] [--list]\n");
    return 2;
}

static bool number(const char *text, uint64_t *out) {
    char *end = NULL;
    errno = 0;
    *out = text ? strtoull(text, &end, 0) : 0;
    return text && *text && !*end && !errno;
}

int main(int argc, char **argv) {
    options o = {.seed = 1};
    bool seeded = false;
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--seed") && number(next, &o.seed))
            i++, seeded = true;
        else if (!strcmp(argv[i], "--count") && number(next, &o.count) && o.count)
            i++;
        else if (!strcmp(argv[i], "--emit") && next)
            o.emit = next, i++;
        else if (!strcmp(argv[i], "--random"))
            o.seed = (uint64_t)time(NULL) * 1000000;
        else if (!strcmp(argv[i], "--keep-going"))
            o.keep_going = true;
        else if (!strcmp(argv[i], "--json"))
            o.json = true;
        else if (!strcmp(argv[i], "--list"))
            o.list = true;
        else
            return usage();
    }
    if (!o.count)
        o.count = seeded ? 1 : DEFAULT_COUNT;
    return o.list ? list_all(&o) : run_all(&o);
}
