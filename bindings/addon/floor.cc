// floor.cc: keeps the libc floor at glibc 2.28, which Node 20 itself has, whatever system builds
// the addon. What libelf and libbpf would import from newer ones is defined here, not exported, so
// that they link to it: fstat(), since glibc 2.33 a symbol of its own instead of an inline call of
// __fxstat, and the C23 number parsers, which headers since 2.38 put in place of strtol() and its
// kin (they differ in accepting 0b101). The linker drops what nothing calls.
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#if defined(__linux__) && defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
#include <sys/syscall.h>
#include <unistd.h>

#define LOCAL extern "C" __attribute__((visibility("hidden")))

// Where struct stat is the kernel's own, fstat() is one system call.
LOCAL int fstat(int fd, struct stat *out) noexcept {
    return static_cast<int>(syscall(SYS_fstat, fd, out));
}

// The old functions by their own names: in new headers strtol is an alias of the new one.
extern "C" {
long old_strtol(const char *, char **, int) __asm__("strtol");
unsigned long old_strtoul(const char *, char **, int) __asm__("strtoul");
long long old_strtoll(const char *, char **, int) __asm__("strtoll");
unsigned long long old_strtoull(const char *, char **, int) __asm__("strtoull");
int old_vsscanf(const char *, const char *, va_list) __asm__("vsscanf");
int old_vfscanf(FILE *, const char *, va_list) __asm__("vfscanf");
}

LOCAL long __isoc23_strtol(const char *text, char **end, int base) {
    return old_strtol(text, end, base);
}

LOCAL unsigned long __isoc23_strtoul(const char *text, char **end, int base) {
    return old_strtoul(text, end, base);
}

LOCAL long long __isoc23_strtoll(const char *text, char **end, int base) {
    return old_strtoll(text, end, base);
}

LOCAL unsigned long long __isoc23_strtoull(const char *text, char **end, int base) {
    return old_strtoull(text, end, base);
}

LOCAL int __isoc23_sscanf(const char *text, const char *format, ...) {
    va_list args;

    va_start(args, format);
    int count = old_vsscanf(text, format, args);
    va_end(args);
    return count;
}

LOCAL int __isoc23_fscanf(FILE *file, const char *format, ...) {
    va_list args;

    va_start(args, format);
    int count = old_vfscanf(file, format, args);
    va_end(args);
    return count;
}
#endif
