/* Preloaded: the wall clock of a process is wrong by the seconds in the file that CLOCK_FILE names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);

static time_t wrong_by(void) {
    static time_t seconds;
    static time_t looked;
    struct timespec now;
    real(CLOCK_MONOTONIC, &now);
    if (now.tv_sec != looked) {
        const char *path = getenv("CLOCK_FILE");
        FILE *file = path ? fopen(path, "r") : NULL;
        long found;
        looked = now.tv_sec;
        if (file && fscanf(file, "%ld", &found) == 1) seconds = found;
        if (file) fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t which, struct timespec *told) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(which, told);
    if (!failed && which == CLOCK_REALTIME) told->tv_sec += wrong_by();
    return failed;
}

int gettimeofday(struct timeval *restrict told, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    told->tv_sec = now.tv_sec;
    told->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}
