/*
 * faults.c: makes system calls of the addon fail, in turn. In: LD_PRELOAD of this library, the file
 * of struct control that the environment variable FAULTS names, and the part of a file name, in
 * FAULTS_MODULE, that says whose calls count; out: an errno where the control asks for one, a list
 * of the calls that were made, and the kernel's ids of everything that they made.
 *
 * Two more things can be feigned, for the whole process: FAULTS_RELEASE is what uname(2) says, and
 * FAULTS_SECCOMP installs a filter that forbids bpf(2), as containers have it.
 *
 * Only calls that come from the module itself count (told by the return address), so Node's own go
 * through. The tests write the control with plain file operations, which the mapping sees at once.
 * Memory that the module allocates is counted, too: what it has not freed is a leak.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* What a call is: bpf(2) has its command in the low bits. */
enum {
    BPF = 0x100,
    PERF_EVENT_OPEN = 0x200,
    MMAP,
    IOCTL,
    SOCKET,
    BIND,
    SEND,
    RECVMSG,
    SETSOCKOPT,
    EPOLL_CREATE,
    EPOLL_CTL,
    FCNTL,
    OPEN,
    FOPEN,
    MOUNT,
    RECV,
    MEMORY = 0x300,
};

enum { CALLS = 16384, IDS = 16384, BLOCKS = 1 << 18, ENDLESS = 10000 };

struct control {
    uint32_t on;     /* 1: system calls count, 2: allocations do */
    uint32_t first;  /* the number of the call that fails, from 1; 0: none */
    uint32_t times;  /* and how many from there on, up to ENDLESS */
    uint32_t errnum; /* with this */
    uint32_t only;   /* calls of this kind only; 0: any */
    uint32_t count;  /* calls so far */
    uint32_t hits;   /* those that were made to fail */
    uint32_t ids_count;
    uint32_t blocks; /* that the module has allocated and not freed */
    uint32_t unused[7];
    uint32_t calls[CALLS]; /* what they were */
    uint32_t ids[IDS][2];  /* kind as in enum kb_id_kind, id */
};

static struct control *control;
static uintptr_t module_start, module_end;

static int find_module(struct dl_phdr_info *info, size_t size, void *name) {
    (void)size;
    if (!info->dlpi_name || !strstr(info->dlpi_name, name))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
            continue;
        module_start = info->dlpi_addr + header->p_vaddr;
        module_end = module_start + header->p_memsz;
    }
    return 1;
}

static void forbid_bpf(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        perror("seccomp");
}

static void __attribute__((constructor)) start(void) {
    const char *path = getenv("FAULTS");
    if (getenv("FAULTS_SECCOMP"))
        forbid_bpf();
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        control = at;
}

/* Looked up when it is needed: the module is loaded long after this library. */
static bool from_module(const void *caller) {
    uintptr_t at = (uintptr_t)caller;

    if (!control || !control->on)
        return false;
    if (!module_end) {
        const char *name = getenv("FAULTS_MODULE");
        dl_iterate_phdr(find_module, (void *)(uintptr_t)(name ? name : "bpf_kernel"));
    }
    return at >= module_start && at < module_end;
}

/* Whether this call is the one that fails. */
static bool fails(uint32_t kind, const void *caller) {
    uint32_t group = kind == MEMORY ? 2 : 1;

    if (!from_module(caller) || control->on != group)
        return false;
    if (control->only && control->only != kind)
        return false;
    if (control->count < CALLS)
        control->calls[control->count] = kind;
    uint32_t number = ++control->count;
    if (!control->first || number < control->first || number - control->first >= control->times ||
        control->hits == ENDLESS)
        return false;
    control->hits++;
    errno = (int)control->errnum;
    return true;
}

#define CALLER          __builtin_extract_return_addr(__builtin_return_address(0))
#define REAL(name, ...) ((__typeof__(&name))real(#name))(__VA_ARGS__)

static void *real(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

/* System calls ---------------------------------------------------------------------------------*/

/* The kernel's id of what a command of bpf(2) made. */
static void note_id(int command, int fd) {
    uint32_t info[64] = {0};
    struct {
        uint32_t fd, size;
        uint64_t info;
    } attr = {(uint32_t)fd, sizeof(info), (uint64_t)(uintptr_t)info};
    uint32_t kind = command == BPF_PROG_LOAD    ? 0
                    : command == BPF_MAP_CREATE ? 1
                    : command == BPF_BTF_LOAD   ? 3
                                                : 2;
    int saved = errno;

    if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) == 0 &&
        control->ids_count < IDS) {
        /* Programs and links have their type first, maps too; BTF has pointer, size, id. */
        control->ids[control->ids_count][0] = kind;
        control->ids[control->ids_count++][1] = kind == 3 ? info[3] : info[1];
    }
    errno = saved;
}

static bool makes(int command) {
    return command == BPF_PROG_LOAD || command == BPF_MAP_CREATE || command == BPF_BTF_LOAD ||
           command == BPF_RAW_TRACEPOINT_OPEN || command == BPF_LINK_CREATE;
}

static long raw(long number, const long *a) {
    long (*next)(long, ...) = (long (*)(long, ...))real("syscall");

    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

long syscall(long number, ...) {
    const void *caller = CALLER;
    long a[6];
    va_list args;

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_bpf && fails(BPF | (uint32_t)(a[0] & 0xff), caller))
        return -1;
    if (number == SYS_perf_event_open && fails(PERF_EVENT_OPEN, caller))
        return -1;
    long rc = raw(number, a);
    if (number == SYS_bpf && rc >= 0 && makes((int)a[0]) && from_module(caller))
        note_id((int)a[0], (int)rc);
    return rc;
}

void *mmap(void *at, size_t size, int access, int flags, int fd, off_t offset) {
    return fails(MMAP, CALLER) ? MAP_FAILED : REAL(mmap, at, size, access, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int access, int flags, int fd, off64_t offset) {
    return fails(MMAP, CALLER) ? MAP_FAILED : REAL(mmap64, at, size, access, flags, fd, offset);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list args;

    va_start(args, request);
    void *argument = va_arg(args, void *);
    va_end(args);
    return fails(IOCTL, CALLER) ? -1 : REAL(ioctl, fd, request, argument);
}

int uname(struct utsname *name) {
    const char *release = getenv("FAULTS_RELEASE");
    int rc = REAL(uname, name);

    if (release)
        snprintf(name->release, sizeof(name->release), "%s", release);
    return rc;
}

int socket(int domain, int type, int protocol) {
    return fails(SOCKET, CALLER) ? -1 : REAL(socket, domain, type, protocol);
}

int bind(int fd, const struct sockaddr *address, socklen_t size) {
    return fails(BIND, CALLER) ? -1 : REAL(bind, fd, address, size);
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
    return fails(SEND, CALLER) ? -1 : REAL(send, fd, data, size, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    return fails(RECVMSG, CALLER) ? -1 : REAL(recvmsg, fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t size, int flags) {
    return fails(RECV, CALLER) ? -1 : REAL(recv, fd, data, size, flags);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t size) {
    return fails(SETSOCKOPT, CALLER) ? -1 : REAL(setsockopt, fd, level, option, value, size);
}

int epoll_create1(int flags) {
    return fails(EPOLL_CREATE, CALLER) ? -1 : REAL(epoll_create1, flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    return fails(EPOLL_CTL, CALLER) ? -1 : REAL(epoll_ctl, epoll, operation, fd, event);
}

/* Only the third argument's width differs, and a long holds it. */
#define FCNTL_AS(name)                                                                             \
    int name(int fd, int command, ...) {                                                           \
        va_list args;                                                                              \
        va_start(args, command);                                                                   \
        long argument = va_arg(args, long);                                                        \
        va_end(args);                                                                              \
        return fails(FCNTL, CALLER) ? -1 : REAL(name, fd, command, argument);                      \
    }
FCNTL_AS(fcntl)
FCNTL_AS(fcntl64)

#define OPEN_AS(name)                                                                              \
    int name(const char *path, int flags, ...) {                                                   \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = va_arg(args, mode_t);                                                        \
        va_end(args);                                                                              \
        return fails(OPEN, CALLER) ? -1 : REAL(name, path, flags, mode);                           \
    }
OPEN_AS(open)
OPEN_AS(open64)

FILE *fopen(const char *path, const char *mode) {
    return fails(FOPEN, CALLER) ? NULL : REAL(fopen, path, mode);
}

FILE *fopen64(const char *path, const char *mode) {
    return fails(FOPEN, CALLER) ? NULL : REAL(fopen64, path, mode);
}

int mount(const char *source, const char *target, const char *type, unsigned long flags,
          const void *data) {
    int (*next)(const char *, const char *, const char *, unsigned long, const void *) = (int (*)(
        const char *, const char *, const char *, unsigned long, const void *))real("mount");

    return fails(MOUNT, CALLER) ? -1 : next(source, target, type, flags, data);
}

/* Memory ---------------------------------------------------------------------------------------*/

/* What the module has allocated: open addressing, NULL is empty, 1 was. */
static uintptr_t blocks[BLOCKS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t place_of(uintptr_t pointer) {
    return (pointer >> 4) * 0x9e3779b97f4a7c15u >> (64 - 18);
}

static void *keep(void *pointer) {
    if (!pointer)
        return NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = place_of((uintptr_t)pointer), n = 0; n < BLOCKS; i = (i + 1) % BLOCKS, n++)
        if (blocks[i] <= 1) {
            blocks[i] = (uintptr_t)pointer;
            control->blocks++;
            break;
        }
    pthread_mutex_unlock(&lock);
    return pointer;
}

static void forget(void *pointer) {
    if (!control || !pointer || !control->blocks)
        return;
    pthread_mutex_lock(&lock);
    for (size_t i = place_of((uintptr_t)pointer), n = 0; blocks[i] && n < BLOCKS;
         i = (i + 1) % BLOCKS, n++)
        if (blocks[i] == (uintptr_t)pointer) {
            blocks[i] = 1;
            control->blocks--;
            break;
        }
    pthread_mutex_unlock(&lock);
}

/* dlsym() may allocate, so these are found once, and glibc's own names serve until then. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *pointer);

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
} memory;
static _Thread_local bool finding;

static bool found(void) {
    if (memory.free)
        return true;
    if (finding)
        return false;
    finding = true;
    memory.malloc = (void *(*)(size_t))real("malloc");
    memory.calloc = (void *(*)(size_t, size_t))real("calloc");
    memory.realloc = (void *(*)(void *, size_t))real("realloc");
    memory.free = (void (*)(void *))real("free");
    finding = false;
    return true;
}

void *malloc(size_t size) {
    const void *caller = CALLER;

    if (!found())
        return __libc_malloc(size);
    if (!from_module(caller))
        return memory.malloc(size);
    return fails(MEMORY, caller) ? NULL : keep(memory.malloc(size));
}

void *calloc(size_t count, size_t size) {
    const void *caller = CALLER;

    if (!found())
        return __libc_calloc(count, size);
    if (!from_module(caller))
        return memory.calloc(count, size);
    return fails(MEMORY, caller) ? NULL : keep(memory.calloc(count, size));
}

void *realloc(void *old, size_t size) {
    const void *caller = CALLER;

    if (!found())
        return __libc_realloc(old, size);
    if (from_module(caller) && fails(MEMORY, caller))
        return NULL;
    void *pointer = memory.realloc(old, size);
    if (pointer || !size)
        forget(old);
    return from_module(caller) ? keep(pointer) : pointer;
}

void free(void *pointer) {
    if (!found()) {
        __libc_free(pointer);
        return;
    }
    forget(pointer);
    memory.free(pointer);
}

static char *copy(const char *text, size_t size, const void *caller) {
    if (fails(MEMORY, caller))
        return NULL;
    char *made = memory.malloc(size + 1);
    if (made) {
        memcpy(made, text, size);
        made[size] = 0;
    }
    return from_module(caller) ? keep(made) : made;
}

char *strdup(const char *text) {
    const void *caller = CALLER;

    return found() ? copy(text, strlen(text), caller) : NULL;
}

char *strndup(const char *text, size_t size) {
    const void *caller = CALLER;

    return found() ? copy(text, strnlen(text, size), caller) : NULL;
}
