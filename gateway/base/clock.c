/* SPDX-License-Identifier: Apache-2.0
 *
 * CLOCK_BOOTTIME for intervals, CLOCK_REALTIME for civil time, adjtimex for how far to
 * believe it. Nothing here decides what a reading is stamped with: that is
 * bedside/stamp.c, which is handed instants and can be tested.
 */
#include "base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/ids.h"

/* The kernel lets maxerror grow by 500 ppm after each correction and clears the
 * synchronised state at 16 s. A time service corrects at least every 2048 s (1.02 s of
 * growth), so more than this means that it has stopped: the clock runs on by itself. */
#define HOLDOVER_US (2 * US_PER_S)

static uint64_t boot_id; /* constant for the life of a process; set once below */
static pthread_once_t boot_once = PTHREAD_ONCE_INIT;

/* One clock in microseconds. The calls can fail only for a clock that does not exist. */
static int64_t read_us(clockid_t id)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

/* BOOTTIME and not MONOTONIC: a board that sleeps must not shorten the gap that it
 * leaves. */
uint64_t clock_monotonic_us(void)
{
    return (uint64_t)read_us(CLOCK_BOOTTIME);
}

/* May step in either direction at any time. */
int64_t clock_utc_us(void)
{
    return read_us(CLOCK_REALTIME);
}

/* "8b1ee1f0-...": 32 hex digits; their two halves are folded by XOR, which keeps all
 * random bits. */
static uint64_t boot_from_text(const char *text)
{
    uint64_t half[2] = {0, 0};
    int digits = 0;

    for (; *text != '\0' && *text != '\n'; text++) {
        int value;
        if (*text == '-')
            continue;
        value = *text >= '0' && *text <= '9'   ? *text - '0'
                : *text >= 'a' && *text <= 'f' ? *text - 'a' + 10
                                               : -1;
        if (value < 0 || digits == 32)
            return 0;
        half[digits / 16] = half[digits / 16] << 4 | (uint64_t)value;
        digits++;
    }
    return digits == 32 ? half[0] ^ half[1] : 0;
}

/* Runs once in a process: the id can not change while it lives. */
static void boot_load(void)
{
    char text[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        (void)close(fd);
    }
    boot_id = boot_from_text(text);

    /* Without /proc a process is its own boot: each start then counts as one, which costs
     * a clock fix and never mixes two monotonic time lines. */
    while (boot_id == 0)
        if (getrandom(&boot_id, sizeof(boot_id), 0) != (ssize_t)sizeof(boot_id))
            boot_id = (uint64_t)read_us(CLOCK_REALTIME) | 1;
}

/* Cheap after the first call; any thread may ask. */
uint64_t clock_boot(void)
{
    (void)pthread_once(&boot_once, boot_load);
    return boot_id;
}

/* Both clocks are read back to back. The kernel is asked after them, so that its state
 * is never older than the reading it judges. */
void clock_now(struct instant *now)
{
    struct timex kernel;
    uint64_t before = clock_monotonic_us();
    int state;

    now->utc_us = clock_utc_us();
    now->monotonic_us = clock_monotonic_us();
    now->boot = clock_boot();

    memset(&kernel, 0, sizeof(kernel)); /* modes 0: only reads */
    state = adjtimex(&kernel);
    if (state < 0 || state == TIME_ERROR || (kernel.status & STA_UNSYNC) != 0) {
        now->sync = CLOCK_UNKNOWN;
        now->uncertainty_ms = UINT32_MAX;
        return;
    }
    /* Rounded up, with the time that lay between the two readings: being pre-empted there
     * must not make the pair look more exact than it is. */
    now->uncertainty_ms = (uint32_t)(kernel.maxerror / 1000 + 1) +
                          (uint32_t)((now->monotonic_us - before) / 1000);
    now->sync = kernel.maxerror > HOLDOVER_US ? CLOCK_HOLDOVER : CLOCK_SYNCED;
}
