/* SPDX-License-Identifier: Apache-2.0
 *
 * What all lines have in common: the thread, the queue to the main loop, and what is only
 * known when a sample is released: which one came before it and what is missing between
 * the two. Locking is coarse, one lock a line over queue and statistics, since a line
 * hands over a few items a second; nothing blocks under it but bus_emit(), which waits
 * for room and lets go of it while it does.
 */
#include "bedside/bus.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "bedside/bus_internal.h"

#define STACK_BYTES ((size_t)256 * 1024)
/* The kernel's 50 us would cost 1 % of a fast line. */
#define SLACK_NS     20000L
#define RESPONSE_MS  500
#define ROOM_WAIT_NS 100000000L
/* Released bytes at which the main loop is asked to come at once. */
#define PRESS_BYTES (BUS_QUEUE_BYTES / 2)
/* Readings that a counter may run ahead of the clock's count. */
#define COUNTER_SLACK 16

/* Asked in every loop; set once and never cleared. */
bool bus_stopping(struct bus *bus)
{
    return atomic_load(&bus->stop);
}

/* Sync state unknown: nobody asks a line for it. */
void bus_now(struct instant *now)
{
    *now = (struct instant){.boot = clock_boot(),
                            .utc_us = clock_utc_us(),
                            .monotonic_us = clock_monotonic_us(),
                            .uncertainty_ms = UINT32_MAX,
                            .sync = CLOCK_UNKNOWN};
}

/* Both clocks are moved back by the same span, so that they go on belonging together. */
struct instant bus_instant(const struct instant *now, uint64_t monotonic_us)
{
    struct instant at = *now;

    if (monotonic_us != 0 && monotonic_us < now->monotonic_us) {
        at.monotonic_us = monotonic_us;
        at.utc_us -= (int64_t)(now->monotonic_us - monotonic_us);
    }
    return at;
}

/* How many readings lie between two samples by the device's own counter. False: the
 * counter tells nothing (it began anew). */
static bool count_missed(const struct bus_unit *unit, uint64_t sample, uint64_t elapsed,
                         uint64_t *missed)
{
    uint64_t steps = (sample - unit->sample) & unit->counter_mask;

    *missed = steps - 1;
    return unit->period_us == 0 || steps <= 2 * elapsed / unit->period_us + COUNTER_SLACK;
}

/* What the sample's counter says of it. False: nothing new, or not to be believed yet. */
static bool counter_fresh(struct bus_unit *unit, const struct observation_set *set)
{
    uint64_t steps = (set->sample - unit->sample) & unit->counter_mask;

    if (!unit->delivered || !unit->has_sample || !set->has_sample)
        return true;
    if (steps == 0) {
        unit->statistics.repeated++;
        return false;
    }
    if (steps <= unit->counter_mask / 2) {
        unit->backward = false;
        return true;
    }
    /* Older than what we had: a very late answer, or a device that began anew. The second
     * time it is the device. */
    if (unit->backward && set->sample - unit->backward_sample <= COUNTER_SLACK) {
        unit->backward = false;
        unit->outage = true;
        return true;
    }
    unit->backward = true;
    unit->backward_sample = set->sample;
    unit->statistics.voided++;
    return false;
}

/* Called for each item as it is released: only then is it known which sample came before
 * it. */
static bool finish(void *context, struct bus_item *item)
{
    struct bus *bus = context;
    struct bus_unit *unit = &bus->units[item->device];
    struct bus_sample *sample = &item->sample;
    uint64_t elapsed;

    if (item->kind != BUS_SAMPLE)
        return true;
    if (!sample->numbered && !counter_fresh(unit, &sample->set))
        return false;
    elapsed = item->at.monotonic_us - unit->delivered_at.monotonic_us;
    sample->has_previous = unit->delivered;
    sample->previous = unit->delivered_at;
    sample->missed = 0;
    sample->missed_unknown = unit->outage;
    if (unit->delivered && unit->period_us > 0 && elapsed > unit->period_us)
        sample->missed = (elapsed + unit->period_us / 2) / unit->period_us - 1;
    if (unit->delivered && sample->set.has_sample && unit->has_sample) {
        uint64_t missed;

        sample->missed_unknown =
            !count_missed(unit, sample->set.sample, elapsed, &missed);
        if (!sample->missed_unknown)
            sample->missed = missed;
    }
    unit->statistics.samples++;
    unit->statistics.missed += sample->missed;
    unit->delivered = true;
    unit->delivered_at = item->at;
    unit->has_sample = sample->set.has_sample;
    unit->sample = sample->set.sample;
    unit->outage = false;
    return true;
}

static void raise_event(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof one) < 0)
        abort(); /* an eventfd takes 2^64 - 2 before it refuses */
}

static void clear_event(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        abort();
}

/* With the lock held: the queue fills up faster than the main loop's round. */
static void press_locked(struct bus *bus, bool full)
{
    uint64_t waiting = bus->queue->released - bus->queue->taken;

    if (bus->pressed || bus->queue->items == 0 || (waiting < PRESS_BYTES && !full))
        return;
    bus->pressed = true;
    raise_event(bus->press_fd);
}

/* With the lock held. */
static void release_locked(struct bus *bus)
{
    uint64_t before = bus->queue->items;

    bus->release_us = bus_queue_release(bus->queue, clock_monotonic_us(), finish, bus);
    /* The main loop is told once, when there is something again. */
    if (before == 0 && bus->queue->items > 0)
        raise_event(bus->items_fd);
    press_locked(bus, false);
}

/* Called at every turn, so it looks at the time before it takes the lock. */
void bus_release(struct bus *bus)
{
    if (bus->release_us == UINT64_MAX || bus->release_us > clock_monotonic_us())
        return;
    pthread_mutex_lock(&bus->lock);
    release_locked(bus);
    pthread_mutex_unlock(&bus->lock);
}

/* The queue is bounded and nothing in it is dropped to make room: the line waits instead.
 * What it misses meanwhile is reported with its next sample, because that one knows what
 * came before it. The wait is cut into pieces to look for the end of the bus. */
bool bus_emit(struct bus *bus, struct bus_item *item, uint64_t release_us)
{
    bool waited = false;

    pthread_mutex_lock(&bus->lock);
    while (!bus_queue_put(bus->queue, item, release_us)) {
        struct timespec until;

        if (!waited)
            bus->line_statistics.held++;
        waited = true;
        if (bus_stopping(bus))
            break;
        release_locked(bus);
        press_locked(bus, true);
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += ROOM_WAIT_NS;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        (void)pthread_cond_timedwait(&bus->room, &bus->lock, &until);
        bus->line_statistics.progress_us = clock_monotonic_us();
    }
    release_locked(bus);
    pthread_mutex_unlock(&bus->lock);
    return waited;
}

/* A loss is dated back to when the device was last heard: that is where the gap begins.
 */
void bus_note(struct bus *bus, size_t unit, enum bus_kind kind, int reason)
{
    struct bus_item item = {.kind = kind, .device = (uint16_t)unit};

    if (kind == BUS_LOST) {
        item.at = bus->units[unit].heard;
    } else {
        bus_now(&item.at);
    }
    item.reason = reason;
    (void)bus_emit(bus, &item, 0);
}

/* The voided samples' places in the queue are passed over; the polls that gave them show
 * up as missed with the next sample. */
void bus_void(struct bus *bus, size_t unit)
{
    pthread_mutex_lock(&bus->lock);
    for (size_t i = 0; i < bus->unit_count; i++) {
        if (unit == BUS_QUEUE_ALL || unit == i)
            bus->units[i].statistics.voided += bus_queue_void(bus->queue, i);
    }
    release_locked(bus);
    pthread_mutex_unlock(&bus->lock);
}

/* The thread keeps a copy of its own so as not to take the lock for looking. */
static void set_present(struct bus *bus, struct bus_unit *unit, bool present)
{
    pthread_mutex_lock(&bus->lock);
    unit->statistics.present = present;
    pthread_mutex_unlock(&bus->lock);
    unit->present = present;
}

/* Any answer counts, a refusal too: the device is there. A line on which someone answers
 * is worth opening again at once when it goes. */
void bus_heard(struct bus *bus, size_t index, const struct instant *now)
{
    struct bus_unit *unit = &bus->units[index];

    unit->heard = *now;
    bus->reopen_us = 0;
    if (unit->present)
        return;
    set_present(bus, unit, true);
    bus_note(bus, index, BUS_APPEARED, 0);
}

/* The outage stays noted until a sample has been handed over, which then says that it
 * does not know what lies before it. */
void bus_silent(struct bus *bus, size_t index, int reason)
{
    struct bus_unit *unit = &bus->units[index];

    set_present(bus, unit, false);
    /* Under the lock because finish() reads it while the main loop may wait for it. */
    pthread_mutex_lock(&bus->lock);
    unit->outage = true;
    pthread_mutex_unlock(&bus->lock);
    bus_note(bus, index, BUS_LOST, reason);
}

/* Told each time, also the first: the main loop closes the gap of the line with it. */
void bus_line_open(struct bus *bus)
{
    pthread_mutex_lock(&bus->lock);
    bus->line_statistics.open = true;
    bus->line_statistics.opened++;
    pthread_mutex_unlock(&bus->lock);
    bus->line_lost = false;
    bus_note(bus, 0, BUS_LINE_BACK, 0);
}

/* Every device goes with its line. Told once, however often opening it fails after that.
 */
void bus_line_gone(struct bus *bus, int error)
{
    bus_void(bus,
             BUS_QUEUE_ALL); /* nobody can see any more whether a second reply comes */
    pthread_mutex_lock(&bus->lock);
    bus->line_statistics.open = false;
    for (size_t i = 0; i < bus->unit_count; i++) {
        bus->units[i].outage = true;
        bus->units[i].statistics.present = false;
    }
    pthread_mutex_unlock(&bus->lock);
    for (size_t i = 0; i < bus->unit_count; i++)
        bus->units[i].present = false;
    if (!bus->line_lost)
        bus_note(bus, 0, BUS_LINE_LOST, error);
    bus->line_lost = true;
}

/* Doubles up to five seconds: an adapter that is gone for the night costs nothing, and
 * one that is put back is seen soon. */
void bus_reopen_pause(struct bus *bus)
{
    struct pollfd wait = {.fd = bus->stop_fd, .events = POLLIN};

    if (bus_stopping(bus))
        return;
    bus->reopen_us = bus->reopen_us == 0 ? BUS_REOPEN_FIRST_US : bus->reopen_us * 2;
    if (bus->reopen_us > BUS_REOPEN_MAX_US)
        bus->reopen_us = BUS_REOPEN_MAX_US;
    (void)poll(&wait, 1, (int)(bus->reopen_us / 1000));
    pthread_mutex_lock(&bus->lock);
    bus->line_statistics.progress_us = clock_monotonic_us();
    pthread_mutex_unlock(&bus->lock);
}

/* The name shows in top and gdb; the timer slack is what the kernel may be late by, and
 * its default would cost a percent of a fast line. */
static void *run(void *context)
{
    struct bus *bus = context;

    (void)prctl(PR_SET_NAME, "bus", 0, 0, 0);
    (void)prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0);
    for (size_t i = 0; i < bus->unit_count; i++)
        bus_now(&bus->units[i].heard);
    if (bus->units[0].device.driver != NULL)
        bus_run_stream(bus);
    else
        bus_run_modbus(bus);
    return NULL;
}

/* The counter's width bounds its steps: a 16-bit one goes from 65535 to 0. */
static uint64_t counter_mask(const struct regmap *map)
{
    for (size_t f = 0; f < map->field_count; f++) {
        const struct regmap_field *field = &map->fields[f];

        if (field->role != REGMAP_SAMPLE)
            continue;
        if (field->type == REGMAP_U16 || field->type == REGMAP_I16)
            return UINT16_MAX;
        if (field->type == REGMAP_U32 || field->type == REGMAP_I32)
            return UINT32_MAX;
        return UINT64_MAX;
    }
    return 0;
}

static int add_unit(struct bus *bus, const struct bus_device *device)
{
    struct bus_unit *unit = &bus->units[bus->unit_count];
    uint32_t response = device->response_ms;
    struct acquire_device timed;

    unit->device = *device;
    unit->counter_mask = UINT64_MAX;
    if (device->driver != NULL) {
        bus->unit_count++;
        return 0;
    }
    if (device->map == NULL ||
        (!port_answers_named(&bus->line) && (device->unit < 1 || device->unit > 247)))
        return -EINVAL;
    for (size_t i = 0; i < bus->unit_count; i++) {
        if (bus->units[i].device.unit == device->unit)
            return -EINVAL; /* two tables would each spoil the other's sample counter */
    }
    response = response != 0 ? response : device->map->response_ms;
    unit->device.response_ms = response != 0 ? response : RESPONSE_MS;
    if (unit->device.turnaround_ms == 0)
        unit->device.turnaround_ms = device->map->turnaround_ms;
    unit->period_us =
        (uint64_t)(device->every_ms != 0 ? device->every_ms : device->map->every_ms) *
        1000;
    if (unit->period_us == 0)
        unit->period_us = 1000000;
    for (size_t f = 0; f < device->map->field_count; f++) {
        uint64_t own = (uint64_t)device->map->fields[f].every_ms * 1000;

        if (own != 0 && own < unit->period_us)
            unit->period_us = own;
    }
    unit->counter_mask = counter_mask(device->map);
    trust_init(&unit->trust, unit->device.response_ms * 1000);
    timed = (struct acquire_device){.map = device->map, .every_ms = device->every_ms};
    if (acquire_add(bus->acquire, &timed) != ACQUIRE_OK)
        return -EINVAL;
    bus->unit_count++;
    return 0;
}

/* One stream or any number of Modbus units; never both on one line. */
static bool setting_valid(const struct bus_setting *setting)
{
    if (setting->device_count == 0 || setting->device_count > BUS_DEVICES_MAX)
        return false;
    if (setting->devices[0].driver != NULL)
        return setting->device_count == 1;
    for (size_t i = 0; i < setting->device_count; i++) {
        if (setting->devices[i].driver != NULL)
            return false;
    }
    return true;
}

/* Memory and descriptors; freed by dispose() however far it came. */
static int prepare(struct bus *bus, const struct bus_setting *setting)
{
    const struct driver *driver = setting->devices[0].driver;
    int error = 0;

    bus->line = setting->line;
    atomic_init(&bus->hold, setting->hold);
    bus->digest_key = setting->digest_key;
    bus->band_prefix = setting->band_prefix;
    bus->items_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bus->press_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bus->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bus->items_fd < 0 || bus->press_fd < 0 || bus->stop_fd < 0)
        return -errno;
    bus->units = calloc(setting->device_count, sizeof *bus->units);
    bus->queue = malloc(sizeof *bus->queue);
    bus->acquire = acquire_new();
    if (driver != NULL)
        bus->driver_state = calloc(1, driver->state_size);
    if (bus->units == NULL || bus->queue == NULL || bus->acquire == NULL ||
        (driver != NULL && bus->driver_state == NULL))
        return -ENOMEM;
    bus_queue_init(bus->queue);
    bus->release_us = UINT64_MAX;
    for (size_t i = 0; i < setting->device_count && error == 0; i++)
        error = add_unit(bus, &setting->devices[i]);
    return error;
}

/* However far prepare() came: everything is zero, NULL or -1 until it is there. */
static void dispose(struct bus *bus)
{
    if (bus->items_fd >= 0)
        close(bus->items_fd);
    if (bus->press_fd >= 0)
        close(bus->press_fd);
    if (bus->stop_fd >= 0)
        close(bus->stop_fd);
    acquire_free(bus->acquire);
    free(bus->driver_state);
    free(bus->queue);
    free(bus->units);
    pthread_cond_destroy(&bus->room);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

/* The daemon's signals belong to its main loop. */
static int start_thread(struct bus *bus)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    int error;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&bus->thread, &attributes, run, bus);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    bus->running = error == 0;
    return -error;
}

/* The line itself is opened by the thread: a daemon must start while an adapter is
 * missing. */
int bus_start(const struct bus_setting *setting, struct bus **out)
{
    struct bus *bus;
    pthread_condattr_t monotonic;
    int error;

    if (!setting_valid(setting))
        return -EINVAL;
    bus = calloc(1, sizeof *bus);
    if (bus == NULL)
        return -ENOMEM;
    pthread_mutex_init(&bus->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&bus->room, &monotonic);
    pthread_condattr_destroy(&monotonic);
    atomic_init(&bus->stop, false);
    error = prepare(bus, setting);
    if (error == 0)
        error = start_thread(bus);
    if (error != 0) {
        dispose(bus);
        return error;
    }
    *out = bus;
    return 0;
}

void bus_ask_stop(struct bus *bus)
{
    uint64_t one = 1;

    atomic_store(&bus->stop, true);
    if (write(bus->stop_fd, &one, sizeof one) < 0)
        abort();
    pthread_mutex_lock(&bus->lock);
    pthread_cond_broadcast(&bus->room);
    pthread_mutex_unlock(&bus->lock);
}

/* Wakes the thread wherever it waits: for bytes (stop_fd), for room (the condition). */
void bus_quiesce(struct bus *bus)
{
    if (!bus->running)
        return;
    bus_ask_stop(bus);
    pthread_join(bus->thread, NULL);
    bus->running = false;
}

/* The thread first, then what it used. */
void bus_stop(struct bus *bus)
{
    if (bus == NULL)
        return;
    bus_quiesce(bus);
    dispose(bus);
}

/* Level-triggered: readable as long as items wait. */
int bus_fd(const struct bus *bus)
{
    return bus->items_fd;
}

int bus_press_fd(const struct bus *bus)
{
    return bus->press_fd;
}

/* An event is cleared with what it tells of, under the lock, so that a release in between
 * cannot be slept through. */
bool bus_take(struct bus *bus, struct bus_item *item)
{
    bool taken;

    pthread_mutex_lock(&bus->lock);
    taken = bus_queue_take(bus->queue, item);
    if (taken)
        pthread_cond_signal(&bus->room);
    if (taken && bus->queue->items == 0)
        clear_event(bus->items_fd);
    if (bus->pressed && bus->queue->released - bus->queue->taken < PRESS_BYTES) {
        bus->pressed = false;
        clear_event(bus->press_fd);
    }
    pthread_mutex_unlock(&bus->lock);
    return taken;
}

/* Only a flag: the timetable belongs to the thread. */
void bus_identify(struct bus *bus, size_t device)
{
    if (device < bus->unit_count)
        atomic_store(&bus->units[device].identify, true);
}
