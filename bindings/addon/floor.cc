// floor.cc: keeps the libc floor at glibc 2.28, which Node 20 itself has. Since glibc 2.33 fstat()
// is a symbol of its own instead of an inline call of __fxstat, and libelf and libbpf, built on a
// newer system, would import it. Where struct stat is the kernel's own, fstat() is one system call;
// the definition here, not exported, is the one that they link to.
#include <sys/stat.h>

#if defined(__linux__) && defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
#include <sys/syscall.h>
#include <unistd.h>

extern "C" __attribute__((visibility("hidden"))) int fstat(int fd, struct stat *out) noexcept {
    return static_cast<int>(syscall(SYS_fstat, fd, out));
}
#endif
