/*
 * capture.c: libbpf tells its reasons, and the verifier's log, only to a process-wide print
 * callback. In: what it prints in this thread while a capture is open; out: the warnings as text
 * and the logs by program. Without an open capture its words are dropped; nothing is printed.
 *
 * The verifier's log is taken from here rather than from a buffer of ours because libbpf's own
 * buffer starts at 16 MiB only after a failure and doubles until the log fits, whereas one that is
 * given to it never grows, and a failed object cannot be loaded again to retry by hand.
 */
#include "internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES_MAX = 16 * 1024 };

static _Thread_local struct kb_capture *current;

static char *format_message(const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);

    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, args);
    return text;
}

static char *copy_span(const char *from, const char *to) {
    size_t size = (size_t)(to - from);
    char *copy = malloc(size + 1);

    if (copy) {
        memcpy(copy, from, size);
        copy[size] = 0;
    }
    return copy;
}

/* Whether the message is a program's log; then it is kept as one:
 * libbpf: prog 'NAME': -- BEGIN PROG LOAD LOG --\n…-- END PROG LOAD LOG --\n */
static bool take_log(struct kb_capture *capture, const char *message) {
    static const char begin[] = "': -- BEGIN PROG LOAD LOG --\n";
    static const char end[] = "-- END PROG LOAD LOG --";
    static const char prog[] = "prog '";
    const char *name = strstr(message, prog);
    const char *mid = name ? strstr(name, begin) : NULL;

    if (!mid)
        return false;
    name += sizeof(prog) - 1;
    const char *text = mid + sizeof(begin) - 1;
    /* The end mark is the last thing in the message; a log may quote it. */
    const char *stop = text + strlen(text);
    const char *last = stop - (sizeof(end) - 1) - 1;
    if (last >= text && strncmp(last, end, sizeof(end) - 1) == 0)
        stop = last;

    struct kb_log *log = calloc(1, sizeof(*log));
    if (!log)
        return true;
    log->program = copy_span(name, mid);
    log->text = copy_span(text, stop);
    log->next = capture->logs;
    capture->logs = log;
    if (!log->program || !log->text) {
        capture->logs = log->next;
        log->next = NULL;
        kb_logs_free(log);
    }
    return true;
}

/* What libbpf says at every failure and what is often wrong (the advice on ulimit -l: no kernel
 * since 5.11 counts BPF memory there) would only cover the reason. */
static bool is_noise(const char *message) {
    static const char *const noise[] = {"try raising 'ulimit -l'", "failed to load object '",
                                        "Retrying without BTF"};

    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
        if (strstr(message, noise[i]))
            return true;
    return false;
}

static void take_message(struct kb_capture *capture, const char *message) {
    static const char prefix[] = "libbpf: ";
    size_t length = strlen(message);

    if (is_noise(message))
        return;
    if (strncmp(message, prefix, sizeof(prefix) - 1) == 0) {
        message += sizeof(prefix) - 1;
        length -= sizeof(prefix) - 1;
    }
    while (length && strchr(" \n", message[length - 1]))
        length--;
    if (length == 0 || capture->size + length > MESSAGES_MAX)
        return;
    const char *join = capture->size ? "; " : "";
    char *grown = realloc(capture->messages, capture->size + strlen(join) + length + 1);
    if (!grown)
        return;
    char *end = stpcpy(grown + capture->size, join);
    memcpy(end, message, length);
    end[length] = 0;
    capture->messages = grown;
    capture->size = (size_t)(end - grown) + length;
}

static int print(enum libbpf_print_level level, const char *format, va_list args) {
    struct kb_capture *capture = current;
    bool is_log = capture && strstr(format, "BEGIN PROG LOAD LOG");

    if (!capture || (level != LIBBPF_WARN && !is_log))
        return 0;
    char *message = format_message(format, args);
    if (!message)
        return 0;
    if (!is_log || !take_log(capture, message))
        take_message(capture, message);
    free(message);
    return 0;
}

void kb_capture_begin(struct kb_capture *capture) {
    memset(capture, 0, sizeof(*capture));
    capture->outer = current;
    current = capture;
    /* Atomic in libbpf and cheap; set every time, for a shared libbpf may have other users. */
    libbpf_set_print(print);
}

void kb_capture_end(struct kb_capture *capture) {
    current = capture->outer;
}

void kb_logs_free(struct kb_log *logs) {
    while (logs) {
        struct kb_log *next = logs->next;
        free(logs->program);
        free(logs->text);
        free(logs);
        logs = next;
    }
}

void kb_capture_free(struct kb_capture *capture) {
    free(capture->messages);
    kb_logs_free(capture->logs);
    memset(capture, 0, sizeof(*capture));
}

const char *kb_capture_line(const struct kb_capture *capture, const char *otherwise) {
    return capture->messages ? capture->messages : otherwise;
}

const char *kb_log_find(const struct kb_log *logs, const char *program) {
    for (; logs; logs = logs->next)
        if (strcmp(logs->program, program) == 0)
            return logs->text;
    return NULL;
}
