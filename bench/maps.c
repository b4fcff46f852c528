/* maps.c - what map operations cost in C on libbpf: the floor that bench/maps.mjs compares with.
 * `bench_maps hot|lookup|batch`, `bench_maps drain|place PROGRAM.o` with the object of
 * programs/records.c, or `bench_maps load PROGRAM.o` with any. Prints CPU time of the best pass:
 * nanoseconds per entry, of `load` milliseconds. A second, idle
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

enum {
    HOT = 1024,
    ENTRIES = 100000,
    CHUNK = 8192,
    RECORDS = 200000,
    BATCH = 16384, /* records of a drain, as in RecordStream */
    PASSES = 7
};

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
    uint8_t data[BATCH * 64];
    uint32_t offsets[2 * BATCH];
    uint32_t count;
    uint32_t used;
} batch;

static int copy_record(void *unused, void *data, size_t size) {
    (void)unused;
    if (batch.count == BATCH || batch.used + size > sizeof(batch.data))
        return -1;
    memcpy(batch.data + batch.used, data, size);
    batch.offsets[2 * batch.count] = batch.used;
    batch.offsets[2 * batch.count + 1] = batch.used + (uint32_t)size;
    batch.count++;
    batch.used += ((uint32_t)size + 7) & ~7u;
    return 0;
}

static uint64_t sum_of_batch(void) {
    uint64_t sum = 0, number;

    for (uint32_t i = 0; i < batch.count; i++) {
        memcpy(&number, batch.data + batch.offsets[2 * i], sizeof(number));
        sum += number;
    }
    return sum;
}

/* One pass; what the records say is looked at when the clock stands still. */
static double pass_drain(struct ring_buffer *ring, uint64_t *sum, int *count) {
    double time = 0;

    for (int n = 1; n > 0; *count += n) {
        batch.count = batch.used = 0;
        double start = now();
        n = ring_buffer__consume_n(ring, BATCH);
        time += now() - start;
        *sum += sum_of_batch();
    }
    return time;
}

static uint64_t place_sum;

static int add_record(void *unused, void *data, size_t size) {
    (void)unused;
    (void)size;
    place_sum += *(const uint64_t *)data;
    return 0;
}

/* One pass; records are looked at where they are. */
static double pass_place(struct ring_buffer *ring, uint64_t *sum, int *count) {
    place_sum = 0;
    double start = now();
    *count = ring_buffer__consume(ring);
    double time = now() - start;
    *sum = place_sum;
    return time;
}

static void set(int fd, uint32_t key, uint64_t value) {
    if (bpf_map_update_elem(fd, &key, &value, BPF_ANY) != 0)
        die("control");
}

static double drain(const char *path, ring_buffer_sample_fn take,
                    double (*pass)(struct ring_buffer *ring, uint64_t *sum, int *count)) {
    struct bpf_object *object = bpf_object__open(path);
    double least = 1e18;

    if (!object || bpf_object__load(object) != 0)
        die("object");
    struct bpf_program *program = bpf_object__find_program_by_name(object, "fill");
    struct bpf_link *link = bpf_program__attach(program);
    struct bpf_map *map = bpf_object__find_map_by_name(object, "ring");
    struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(map), take, NULL, NULL);
    int control = bpf_object__find_map_fd_by_name(object, "control");
    if (!link || !ring)
        die("attach");
    set(control, 0, (uint64_t)getpid());
    set(control, 1, RECORDS);
    set(control, 2, SYS_getuid);
    for (int i = 0; i < PASSES; i++) {
        uint64_t sum = 0;
        int count = 0;
        syscall(SYS_getuid);
        double time = pass(ring, &sum, &count);
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

/* Opening and loading an object, and closing it; milliseconds of the best pass. */
static double load(const char *path) {
    double least = 1e18;

    for (int i = 0; i < PASSES; i++) {
        double start = now();
        struct bpf_object *object = bpf_object__open(path);
        if (!object || bpf_object__load(object) != 0)
            die("object");
        double time = now() - start;
        bpf_object__close(object);
        if (time < least)
            least = time;
    }
    return least / 1e6;
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
        time = drain(argv[2], copy_record, pass_drain);
    else if (strcmp(what, "place") == 0 && argc > 2)
        time = drain(argv[2], add_record, pass_place);
    else if (strcmp(what, "load") == 0 && argc > 2)
        time = load(argv[2]);
    else {
        fprintf(stderr, "usage: bench_maps hot|lookup|batch|drain|place|load [PROGRAM.o]\n");
        return 2;
    }
    printf("%.2f\n", time);
    return 0;
}
