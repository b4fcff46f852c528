/* vmlinux.c - #include "vmlinux.h" where no folder has such a file: BTF from files (--btf), or that
 * of the running kernel. It is mapped where the system can do that: a kernel's has megabytes, of
 * which a program needs little. */
#define _POSIX_C_SOURCE 200809L
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#if defined(__unix__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

static const char running[] = "/sys/kernel/btf/vmlinux";

static bool map_file(const char *path, mapped *out) {
#if defined(__unix__)
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *at = fstat(fd, &info) == 0 && info.st_size > 0
                   ? mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                   : MAP_FAILED;
    close(fd);
    *out = at == MAP_FAILED ? (mapped){0} : (mapped){{at, (size_t)info.st_size}, true};
    return at != MAP_FAILED;
#else
    (void)path;
    (void)out;
    return false;
#endif
}

static void unmap_file(mapped *file) {
#if defined(__unix__)
    if (file->by_system)
        munmap(file->bytes.data, file->bytes.size);
    else
#endif
        free(file->bytes.data);
}

bool is_vmlinux(const ebpf_cc_file *wanted) {
    static const char name[] = "vmlinux.h";
    size_t size = sizeof name - 1, from = wanted->spelling_size - size;
    return wanted->spelling_size >= size && memcmp(wanted->spelling + from, name, size) == 0 &&
           (!from || wanted->spelling[from - 1] == '/');
}

bool has_btf(const kernel_btf *from) {
    FILE *probe = from->count ? NULL : fopen(running, "rb");
    if (probe)
        fclose(probe);
    return from->count || probe;
}

/* All of them, once; false after a message. */
static bool open_btf(kernel_btf *from) {
    if (from->files)
        return from->opened == from->count;
    if (!from->count)
        from->paths[from->count++] = running;
    from->files = calloc(from->count, sizeof *from->files);
    for (; from->files && from->opened < from->count; from->opened++) {
        mapped *file = &from->files[from->opened];
        const char *path = from->paths[from->opened];
        if (!map_file(path, file) && !read_file(path, &file->bytes))
            return false;
    }
    return from->files != NULL;
}

int answer_vmlinux(ebpf_cc *unit, kernel_btf *from) {
    ebpf_core_target *btfs = open_btf(from) ? calloc(from->count, sizeof *btfs) : NULL;
    if (!btfs) /* what cannot be read was said; it counts as what is not there */
        return ebpf_cc_absent(unit);
    for (uint32_t i = 0; i < from->count; i++) {
        const blob *bytes = &from->files[i].bytes;
        btfs[i] =
            (ebpf_core_target){from->paths[i], strlen(from->paths[i]), bytes->data, bytes->size};
    }
    int status = ebpf_cc_answer_btf(unit, btfs, from->count);
    free(btfs);
    return status;
}

void close_btf(kernel_btf *from) {
    while (from->opened)
        unmap_file(&from->files[--from->opened]);
    free(from->files);
    from->files = NULL;
}
