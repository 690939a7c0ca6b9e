// Preloaded into a process of 64 bits on Linux, it makes the time of day be ahead by the seconds that the file SHIFTED_CLOCK_FILE says, or behind.
// The file is two 64-bit numbers of the machine's own kind, the first written first; while they differ, it is being changed. Any number of threads
// can ask at once.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t *shift;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("SHIFTED_CLOCK_FILE");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, 2 * sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) {
        perror("SHIFTED_CLOCK_FILE");
        abort();
    }
    close(file);
    shift = page;
}

static int64_t ahead(void)
{
    // Another library's constructor may ask first.
    if (shift == NULL)
        return 0;
    for (;;) {
        int64_t second = atomic_load(&shift[1]);
        int64_t first = atomic_load(&shift[0]);
        if (first == second)
            return first;
    }
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += ahead();
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *time)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (time != NULL)
        *time = now.tv_sec;
    return now.tv_sec;
}
