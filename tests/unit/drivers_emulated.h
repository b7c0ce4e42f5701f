/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated device and its driver on a line without faults: time passes by tenths of a
 * second, what one says is fed to the other.
 */
#ifndef TESTS_UNIT_DRIVERS_EMULATED_H
#define TESTS_UNIT_DRIVERS_EMULATED_H

#include "drivers_test.h"

#include "drivers/emulate/emulate.h"

#define TENTH_US  UINT64_C(100000)
#define SECOND_US UINT64_C(1000000)

/* A line: when the driver wants to be asked, and what the device has yet to say. */
struct emulated {
    struct rig rig;
    const struct emulator *emulator;
    void *device;
    uint64_t now_us, again_ms, sent; /* requests of the driver */
    struct emulate_output waiting;
};

static inline void emulated_start(struct emulated *line, const char *driver,
                                  const struct emulator *emulator, void *device)
{
    memset(line, 0, sizeof(*line));
    rig_start(&line->rig, driver);
    line->emulator = emulator;
    line->device = device;
}

/* What is due now goes to the driver; what is not, waits. */
static inline void emulated_deliver(struct emulated *line)
{
    size_t kept = 0;

    for (size_t i = 0; i < line->waiting.count; i++) {
        const struct emulate_burst *burst = &line->waiting.bursts[i];
        if (burst->due_us <= line->now_us)
            rig_feed(&line->rig, burst->bytes, burst->size);
        else
            line->waiting.bursts[kept++] = *burst;
    }
    line->waiting.count = kept;
}

/* Time passes. Every request is on the driver's allow-list. */
static inline void emulated_pass(struct emulated *line, uint64_t us)
{
    const struct driver *driver = line->rig.driver;

    for (uint64_t until = line->now_us + us; line->now_us < until;
         line->now_us += TENTH_US) {
        uint64_t again_us = UINT64_MAX;
        if (driver->poll != NULL && line->again_ms * 1000 <= line->now_us) {
            uint8_t request[DRIVER_SEND_MAX];
            size_t n = driver->poll(line->rig.state, line->now_us / 1000, request,
                                    &line->again_ms);
            assert_true(n == 0 || driver->may_send(request, n));
            line->sent += n > 0;
            if (n > 0 && line->emulator->feed != NULL)
                line->emulator->feed(line->device, request, n, line->now_us,
                                     &line->waiting);
        }
        do {
            if (line->emulator->tick != NULL)
                line->emulator->tick(line->device, line->now_us, &line->waiting,
                                     &again_us);
            emulated_deliver(line);
        } while (again_us <= line->now_us);
    }
}

/* What was kept so far is forgotten; the driver goes on. */
static inline void emulated_forget(struct emulated *line)
{
    memset(&line->rig.kept, 0, sizeof(line->rig.kept));
}

static inline void emulated_end(struct emulated *line)
{
    rig_end(&line->rig);
}

/* The newest kept observation of a code about somebody; NULL if there is none. */
static inline const struct observation *
emulated_find(const struct emulated *line, uint32_t code, uint8_t subject, uint8_t number)
{
    size_t sets = line->rig.kept.sets < KEPT_MAX ? line->rig.kept.sets : KEPT_MAX;

    while (sets-- > 0) {
        const struct observation_set *set = &line->rig.kept.set[sets];
        for (size_t i = 0; i < set->count; i++)
            if (set->items[i].code == code && set->subject == subject &&
                set->number == number)
                return &set->items[i];
    }
    return NULL;
}

/* It is there, and is this number in the device's own digits. */
static inline void assert_number(const struct observation *o, int64_t mantissa,
                                 int exponent, uint32_t unit, unsigned quality)
{
    assert_non_null(o);
    assert_int_equal(o->kind, OBSERVATION_NUMERIC);
    assert_true(o->mantissa == mantissa);
    assert_int_equal(o->exponent, exponent);
    assert_int_equal(o->unit, unit);
    assert_int_equal(o->quality, quality);
}

/* It is there, and has no value. */
static inline void assert_absent(const struct observation *o, unsigned quality)
{
    assert_non_null(o);
    assert_int_equal(o->kind, OBSERVATION_ABSENT);
    assert_true(o->mantissa == 0);
    assert_int_equal(o->quality, quality);
}

#endif
