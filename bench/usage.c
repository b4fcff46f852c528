/* usage.c - what a command takes: runs it, its output discarded, and prints its processor time in
 * microseconds (user and system) and the most memory that it had in KiB. A process of a few pages
 * starts it: a child begins with the high-water mark of who forks it, and node's is forty
 * megabytes. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(char **words) {
    int null = open("/dev/null", O_WRONLY);
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
        _exit(127);
    execvp(words[0], words);
    perror(words[0]);
    _exit(127);
}

static long microseconds(struct timeval time) {
    return (long)time.tv_sec * 1000000 + (long)time.tv_usec;
}

int main(int count, char **words) {
    int status;
    struct rusage used;
    if (count < 2) {
        fprintf(stderr, "usage: bench_usage COMMAND...\n");
        return 2;
    }
    pid_t child = fork();
    if (child == 0)
        run(words + 1);
    if (child < 0 || wait4(child, &status, 0, &used) != child) {
        perror("bench_usage");
        return 1;
    }
    printf("%ld %ld\n", microseconds(used.ru_utime) + microseconds(used.ru_stime), used.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
