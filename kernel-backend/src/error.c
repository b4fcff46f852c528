/*
 * error.c: the error record. In: errno, operation, subject and a reason in words; out: a record
 * that its owner clears. Running out of memory while writing one loses words, never the errno.
 */
#include "internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libbpf's own numbers (enum libbpf_errno), which start at 4000. */
static const char *const libbpf_names[] = {
    "LIBBPF_ERRNO__LIBELF",   "LIBBPF_ERRNO__FORMAT",   "LIBBPF_ERRNO__KVERSION",
    "LIBBPF_ERRNO__ENDIAN",   "LIBBPF_ERRNO__INTERNAL", "LIBBPF_ERRNO__RELOC",
    "LIBBPF_ERRNO__VERIFY",   "LIBBPF_ERRNO__PROG2BIG", "LIBBPF_ERRNO__KVER",
    "LIBBPF_ERRNO__PROGTYPE", "LIBBPF_ERRNO__WRNGPID",  "LIBBPF_ERRNO__INVSEQ",
    "LIBBPF_ERRNO__NLPARSE",
};

/* Linux's generic numbers that bpf(2), perf_event_open(2), sockets and files give. */
static const struct {
    int errnum;
    const char *name;
} errno_names[] = {
#define E(name)                                                                                    \
    { name, #name }
    E(EPERM),           E(ENOENT),       E(ESRCH),
    E(EINTR),           E(EIO),          E(ENXIO),
    E(E2BIG),           E(ENOEXEC),      E(EBADF),
    E(ECHILD),          E(EAGAIN),       E(ENOMEM),
    E(EACCES),          E(EFAULT),       E(ENOTBLK),
    E(EBUSY),           E(EEXIST),       E(EXDEV),
    E(ENODEV),          E(ENOTDIR),      E(EISDIR),
    E(EINVAL),          E(ENFILE),       E(EMFILE),
    E(ENOTTY),          E(ETXTBSY),      E(EFBIG),
    E(ENOSPC),          E(ESPIPE),       E(EROFS),
    E(EMLINK),          E(EPIPE),        E(EDOM),
    E(ERANGE),          E(EDEADLK),      E(ENAMETOOLONG),
    E(ENOLCK),          E(ENOSYS),       E(ENOTEMPTY),
    E(ELOOP),           E(ENOMSG),       E(EIDRM),
    E(ENODATA),         E(ETIME),        E(ENOLINK),
    E(EPROTO),          E(EBADMSG),      E(EBADFD),
    E(EOVERFLOW),       E(EILSEQ),       E(EUSERS),
    E(ENOTSOCK),        E(EDESTADDRREQ), E(EMSGSIZE),
    E(EPROTOTYPE),      E(ENOPROTOOPT),  E(EPROTONOSUPPORT),
    E(ESOCKTNOSUPPORT), E(EOPNOTSUPP),   E(EPFNOSUPPORT),
    E(EAFNOSUPPORT),    E(EADDRINUSE),   E(EADDRNOTAVAIL),
    E(ENETDOWN),        E(ENETUNREACH),  E(ENETRESET),
    E(ECONNABORTED),    E(ECONNRESET),   E(ENOBUFS),
    E(EISCONN),         E(ENOTCONN),     E(ESHUTDOWN),
    E(ETIMEDOUT),       E(ECONNREFUSED), E(EHOSTUNREACH),
    E(EALREADY),        E(EINPROGRESS),  E(ESTALE),
    E(EDQUOT),          E(ECANCELED),    {KB_ENOTSUPP, "ENOTSUPP"},
#undef E
};

const char *kb_errno_name(int errnum) {
    int own = errnum - __LIBBPF_ERRNO__START;

    if (own >= 0 && (size_t)own < sizeof(libbpf_names) / sizeof(libbpf_names[0]))
        return libbpf_names[own];
    for (size_t i = 0; i < sizeof(errno_names) / sizeof(errno_names[0]); i++)
        if (errno_names[i].errnum == errnum)
            return errno_names[i].name;
    return "E?";
}

void kb_error_clear(struct kb_error *err) {
    free(err->subject);
    free(err->text);
    free(err->log);
    memset(err, 0, sizeof(*err));
}

/* vsnprintf into memory of the right size; NULL if there is none. */
static char *format_text(const char *format, va_list args) {
    va_list again;
    char *text = NULL;

    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length >= 0)
        text = malloc((size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, args);
    return text;
}

static char *compose(const char *operation, const char *subject, const char *reason, int errnum) {
    const char *name = kb_errno_name(errnum);
    size_t size = strlen(operation) + (subject ? strlen(subject) : 0) + strlen(reason) + 64;
    char *text = malloc(size);

    if (!text)
        return NULL;
    if (subject)
        snprintf(text, size, "%s '%s': %s (%s)", operation, subject, reason, name);
    else
        snprintf(text, size, "%s: %s (%s)", operation, reason, name);
    return text;
}

int kb_fail(struct kb_error *err, int errnum, const char *operation, const char *subject,
            const char *format, ...) {
    if (!err)
        return -errnum;

    va_list args;
    va_start(args, format);
    char *reason = format_text(format, args);
    va_end(args);
    if (subject && !*subject)
        subject = NULL; /* maps need no name */
    /* The old record is cleared last: the words may come out of it. */
    struct kb_error fresh = {.errnum = errnum, .operation = operation};
    fresh.subject = subject ? strdup(subject) : NULL;
    fresh.text = compose(operation, subject, reason ? reason : "failed", errnum);
    free(reason);
    kb_error_clear(err);
    *err = fresh;
    return -errnum;
}

void kb_error_set_log(struct kb_error *err, char *log) {
    if (!err) {
        free(log);
        return;
    }
    free(err->log);
    err->log = log;
    err->log_size = log ? strlen(log) : 0;
}
