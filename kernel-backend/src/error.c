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

/* Linux's generic numbers. */
static const struct {
    int errnum;
    const char *name;
} errno_names[] = {
#define E(name)                                                                                    \
    { name, #name }
    E(EPERM),
    E(ENOENT),
    E(ESRCH),
    E(EINTR),
    E(EIO),
    E(ENXIO),
    E(E2BIG),
    E(ENOEXEC),
    E(EBADF),
    E(ECHILD),
    E(EAGAIN),
    E(ENOMEM),
    E(EACCES),
    E(EFAULT),
    E(ENOTBLK),
    E(EBUSY),
    E(EEXIST),
    E(EXDEV),
    E(ENODEV),
    E(ENOTDIR),
    E(EISDIR),
    E(EINVAL),
    E(ENFILE),
    E(EMFILE),
    E(ENOTTY),
    E(ETXTBSY),
    E(EFBIG),
    E(ENOSPC),
    E(ESPIPE),
    E(EROFS),
    E(EMLINK),
    E(EPIPE),
    E(EDOM),
    E(ERANGE),
    E(EDEADLK),
    E(ENAMETOOLONG),
    E(ENOLCK),
    E(ENOSYS),
    E(ENOTEMPTY),
    E(ELOOP),
    E(ENOMSG),
    E(EIDRM),
    E(ECHRNG),
    E(EL2NSYNC),
    E(EL3HLT),
    E(EL3RST),
    E(ELNRNG),
    E(EUNATCH),
    E(ENOCSI),
    E(EL2HLT),
    E(EBADE),
    E(EBADR),
    E(EXFULL),
    E(ENOANO),
    E(EBADRQC),
    E(EBADSLT),
    E(EBFONT),
    E(ENOSTR),
    E(ENODATA),
    E(ETIME),
    E(ENOSR),
    E(ENONET),
    E(ENOPKG),
    E(EREMOTE),
    E(ENOLINK),
    E(EADV),
    E(ESRMNT),
    E(ECOMM),
    E(EPROTO),
    E(EMULTIHOP),
    E(EDOTDOT),
    E(EBADMSG),
    E(EOVERFLOW),
    E(ENOTUNIQ),
    E(EBADFD),
    E(EREMCHG),
    E(ELIBACC),
    E(ELIBBAD),
    E(ELIBSCN),
    E(ELIBMAX),
    E(ELIBEXEC),
    E(EILSEQ),
    E(ERESTART),
    E(ESTRPIPE),
    E(EUSERS),
    E(ENOTSOCK),
    E(EDESTADDRREQ),
    E(EMSGSIZE),
    E(EPROTOTYPE),
    E(ENOPROTOOPT),
    E(EPROTONOSUPPORT),
    E(ESOCKTNOSUPPORT),
    E(EOPNOTSUPP),
    E(EPFNOSUPPORT),
    E(EAFNOSUPPORT),
    E(EADDRINUSE),
    E(EADDRNOTAVAIL),
    E(ENETDOWN),
    E(ENETUNREACH),
    E(ENETRESET),
    E(ECONNABORTED),
    E(ECONNRESET),
    E(ENOBUFS),
    E(EISCONN),
    E(ENOTCONN),
    E(ESHUTDOWN),
    E(ETOOMANYREFS),
    E(ETIMEDOUT),
    E(ECONNREFUSED),
    E(EHOSTDOWN),
    E(EHOSTUNREACH),
    E(EALREADY),
    E(EINPROGRESS),
    E(ESTALE),
    E(EUCLEAN),
    E(ENOTNAM),
    E(ENAVAIL),
    E(EISNAM),
    E(EREMOTEIO),
    E(EDQUOT),
    E(ENOMEDIUM),
    E(EMEDIUMTYPE),
    E(ECANCELED),
    E(ENOKEY),
    E(EKEYEXPIRED),
    E(EKEYREVOKED),
    E(EKEYREJECTED),
    E(EOWNERDEAD),
    E(ENOTRECOVERABLE),
    E(ERFKILL),
    {KB_ENOTSUPP, "ENOTSUPP"},
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
    free(err->reason);
    free(err->remedy);
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

/* What numbers mean that say the same whatever was tried, and what helps. */
static const struct {
    int errnum;
    const char *reason, *remedy;
} usual[] = {
    {EPERM, "it is not permitted", "run it as root; `bpf doctor` tells what this process lacks"},
    {EACCES, "it is not permitted", "run it as root; `bpf doctor` tells what this process lacks"},
    {ENOMEM, "there is no memory for it",
     "free memory, ask for less, or raise the limit of this process's cgroup"},
    {EMFILE, "this process has too many open files",
     "close what is not used, or raise `ulimit -n`"},
    {ENFILE, "the machine has too many open files", "raise the sysctl fs.file-max"},
    {EAGAIN, "the kernel is busy with something that is in the way", "try again"},
    {EINTR, "a signal interrupted it", "try again"},
    {EBUSY, "something else uses it", "close what uses it, then try again"},
    {ENOSPC, "there is no room for it", "make room, or ask for less"},
    {EFAULT, "the kernel cannot read or write what it was given",
     "this is a mistake of this package or of libbpf: please report it"},
    {EBADF, "a descriptor is not open", "give one that is open"},
    {EEXIST, "it is there already", "choose another place, or remove what is there"},
    {ENOENT, "there is no such thing", "check the name"},
    {ESRCH, "there is no such thing", "check the name or number"},
    {ENODEV, "there is no such device", "check the name or number"},
    {EINVAL, "the kernel does not accept it",
     "check what was given; `bpf features` tells what this kernel has"},
    {E2BIG, "the kernel does not know one of the options, or the size is too big",
     "give fewer or less; `bpf features` tells what this kernel has"},
    {ERANGE, "a number or a size is out of range", "give one that is in range"},
    {EOPNOTSUPP, "this kernel does not support it", "`bpf features` tells what it has"},
    {KB_ENOTSUPP, "this kernel does not support it", "`bpf features` tells what it has"},
    {ENOSYS, "this kernel does not have it", "`bpf features` tells what it has"},
    {EIO, "the device or the file system failed", "the kernel's log (dmesg) may say why"},
};
static const char otherwise[] = "the kernel's log (dmesg) and `bpf doctor` may tell more";

const char *kb_reason(int errnum) {
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (usual[i].errnum == errnum)
            return usual[i].reason;
    return "the kernel refuses it";
}

static const char *usual_remedy(int errnum) {
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (usual[i].errnum == errnum)
            return usual[i].remedy;
    return otherwise;
}

void kb_join_remedy(char *text) {
    char *mark = strstr(text, KB_DO);

    if (!mark)
        return;
    size_t tail = strlen(mark + 1) + 1;
    /* One byte becomes two; what has no room loses its last letter. */
    memmove(mark + 2, mark + 1, tail);
    memcpy(mark, "; ", 2);
}

/* "operation 'subject': reason (ENAME); remedy" */
static char *compose(const struct kb_error *err) {
    const char *name = kb_errno_name(err->errnum);
    const char *subject = err->subject ? err->subject : "";
    const char *reason = err->reason ? err->reason : "failed";
    const char *remedy = err->remedy ? err->remedy : otherwise;
    size_t size = strlen(err->operation) + strlen(subject) + strlen(reason) + strlen(name) +
                  strlen(remedy) + sizeof(" '': () ; ");
    char *text = malloc(size);

    if (text)
        snprintf(text, size, *subject ? "%s '%s': %s (%s); %s" : "%s%s: %s (%s); %s",
                 err->operation, subject, reason, name, remedy);
    return text;
}

int kb_fail(struct kb_error *err, int errnum, const char *operation, const char *subject,
            const char *format, ...) {
    if (!err)
        return -errnum;

    va_list args;
    va_start(args, format);
    char *words = format_text(format, args);
    va_end(args);
    char *mark = words ? strstr(words, KB_DO) : NULL;
    if (mark)
        *mark = 0;
    if (subject && !*subject)
        subject = NULL; /* maps need no name */
    /* The old record is cleared last: the words may come out of it. */
    struct kb_error fresh = {.errnum = errnum, .operation = operation, .reason = words};
    fresh.remedy = strdup(mark ? mark + 1 : usual_remedy(errnum));
    fresh.subject = subject ? strdup(subject) : NULL;
    fresh.text = compose(&fresh);
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
