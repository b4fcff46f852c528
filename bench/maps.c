/* maps.c - what map operations cost in C on libbpf: the floor that bench/maps.mjs compares with.
 * `bench_maps hot|lookup|batch` or `bench_maps drain|copy PROGRAM.o`, the object of
 * programs/records.c. Prints nanoseconds of CPU time per entry, of the best pass. A second, idle
 * thread is always there: with one the kernel takes the slower way to a file descriptor, as it does
 * for every Node process. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { HOT = 1024, ENTRIES = 100000, CHUNK = 8192, RECORDS = 200000, PASSES = 7 };

/* CPU time, user and system: other processes do not count. */
static double now(void) {
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *idle(void *unused) {
    pause();
    return unused;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int make_map(uint32_t count) {
    int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "bench", 4, 8, count, NULL);

    if (fd < 0)
        die("map");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value = i;
        if (bpf_map_update_elem(fd, &i, &value, BPF_ANY) != 0)
            die("update");
    }
    return fd;
}

/* The same order as in bench/maps.mjs. */
static uint32_t *shuffled(uint32_t count) {
    uint32_t *keys = malloc(count * sizeof(*keys));
    uint32_t state = 1;

    for (uint32_t i = 0; i < count; i++)
        keys[i] = i;
    for (uint32_t i = count - 1; i > 0; i--) {
        state = state * 1664525u + 1013904223u;
        uint32_t j = state % (i + 1), key = keys[i];
        keys[i] = keys[j];
        keys[j] = key;
    }
    return keys;
}

static double best(double (*pass)(int fd, const uint32_t *keys, uint32_t count), uint32_t count) {
    int fd = make_map(count);
    uint32_t *keys = shuffled(count);
    double least = 1e18;

    for (int i = 0; i < PASSES; i++) {
        double time = pass(fd, keys, count);
        if (time < least)
            least = time;
    }
    free(keys);
    close(fd);
    return least;
}

static double pass_lookup(int fd, const uint32_t *keys, uint32_t count) {
    uint64_t value, sum = 0;
    uint32_t times = ENTRIES / count;
    double start = now();

    for (uint32_t n = 0; n < times; n++)
        for (uint32_t i = 0; i < count; i++) {
            if (bpf_map_lookup_elem(fd, &keys[i], &value) != 0)
                die("lookup");
            sum += value;
        }
    double time = now() - start;
    if (sum != (uint64_t)count * (count - 1) / 2 * times)
        die("sum");
    return time / (times * count);
}

static double pass_batch(int fd, const uint32_t *unused, uint32_t count) {
    static uint32_t keys[ENTRIES + CHUNK];
    static uint64_t values[ENTRIES + CHUNK];
    uint32_t cursor = 0, read = 0;
    int rc = 0;
    double start = now();

    (void)unused;
    for (bool first = true; rc == 0; first = false) {
        uint32_t n = CHUNK;
        rc = bpf_map_lookup_batch(fd, first ? NULL : &cursor, &cursor, keys + read, values + read,
                                  &n, NULL);
        read += n;
    }
    double time = now() - start;
    if (read != count)
        die("batch");
    return time / count;
}

/* What a drain gives to JavaScript: the bytes and their places. */
static struct {
    uint8_t data[1 << 20];
    uint32_t offsets[2 * RECORDS];
    uint32_t count;
    size_t used;
} batch;

static int copy_record(void *ctx, void *data, size_t size) {
    uint64_t *sum = ctx;

    if (batch.used + size > sizeof(batch.data))
        batch.used = 0;
    memcpy(batch.data + batch.used, data, size);
    batch.offsets[2 * batch.count] = (uint32_t)batch.used;
    batch.offsets[2 * batch.count + 1] = (uint32_t)(batch.used + size);
    batch.count++;
    *sum += *(const uint64_t *)(const void *)(batch.data + batch.used);
    batch.used += (size + 7) & ~(size_t)7;
    return 0;
}

static int count_record(void *ctx, void *data, size_t size) {
    uint64_t *sum = ctx;

    (void)size;
    *sum += *(const uint64_t *)data;
    return 0;
}

static void set(int fd, uint32_t key, uint64_t value) {
    if (bpf_map_update_elem(fd, &key, &value, BPF_ANY) != 0)
        die("control");
}

static double drain(const char *path, ring_buffer_sample_fn take) {
    struct bpf_object *object = bpf_object__open(path);
    uint64_t sum;
    double least = 1e18;

    if (!object || bpf_object__load(object) != 0)
        die("object");
    struct bpf_program *program = bpf_object__find_program_by_name(object, "fill");
    struct bpf_link *link = bpf_program__attach(program);
    struct bpf_map *map = bpf_object__find_map_by_name(object, "ring");
    struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(map), take, &sum, NULL);
    int control = bpf_object__find_map_fd_by_name(object, "control");
    if (!link || !ring)
        die("attach");
    set(control, 0, (uint64_t)getpid());
    set(control, 1, RECORDS);
    set(control, 2, SYS_getuid);
    for (int i = 0; i < PASSES; i++) {
        sum = 0;
        batch.count = 0;
        syscall(SYS_getuid);
        double start = now();
        int count = ring_buffer__consume(ring);
        double time = now() - start;
        if (count != RECORDS || sum != (uint64_t)RECORDS * (RECORDS - 1) / 2)
            die("records");
        if (time < least)
            least = time;
    }
    ring_buffer__free(ring);
    bpf_link__destroy(link);
    bpf_object__close(object);
    return least / RECORDS;
}

int main(int argc, char **argv) {
    pthread_t thread;
    const char *what = argc > 1 ? argv[1] : "";
    double time = 0;

    if (pthread_create(&thread, NULL, idle, NULL) != 0)
        die("thread");
    if (strcmp(what, "hot") == 0)
        time = best(pass_lookup, HOT);
    else if (strcmp(what, "lookup") == 0)
        time = best(pass_lookup, ENTRIES);
    else if (strcmp(what, "batch") == 0)
        time = best(pass_batch, ENTRIES);
    else if (strcmp(what, "drain") == 0 && argc > 2)
        time = drain(argv[2], count_record);
    else if (strcmp(what, "copy") == 0 && argc > 2)
        time = drain(argv[2], copy_record);
    else {
        fprintf(stderr, "usage: bench_maps hot|lookup|batch|drain|copy [PROGRAM.o]\n");
        return 2;
    }
    printf("%.2f\n", time);
    return 0;
}
