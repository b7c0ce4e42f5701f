/* SPDX-License-Identifier: Apache-2.0
 *
 * MEDIBUS fed arbitrary bytes between its own requests, once in long and once in short
 * pieces: what is sent is always allowed, and every set is whole. The first byte chooses
 * how far the session has come.
 */
#include "drivers/medibus.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t sets;
    uint64_t digest;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void on_set(void *context, const struct observation_set *set)
{
    struct seen *seen = context;

    must(set->count >= 1 && set->count <= OBSERVATIONS_MAX);
    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        must(o->code != 0 && o->unit != 0);
        must(o->kind == OBSERVATION_NUMERIC ||
             (o->kind == OBSERVATION_ABSENT && o->mantissa == 0));
        must(o->mantissa > -100000 && o->mantissa < 100000 && o->exponent <= 0);
        seen->digest = seen->digest * 31 + (uint64_t)o->mantissa + o->code;
    }
    seen->sets++;
}

static void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    (void)context;
    (void)bytes;
    must(fault < DRIVER_FAULTS);
}

/* The driver's turn: the next request, a second later. */
static void turn(void *state, uint64_t *now)
{
    uint8_t out[DRIVER_SEND_MAX];
    uint64_t again;
    size_t n = medibus.poll(state, *now += 1000, out, &again);

    must(again > *now && (n == 0 || medibus.may_send(out, n)));
}

static struct seen feed(const uint8_t *data, size_t size, size_t piece)
{
    static const char *const opening[] = {"\x01Q52\r", "\x01R53\r", "\x01(29\r"};
    struct seen seen = {0};
    const struct driver_sink sink = {&seen, on_set, on_fault};
    void *state = malloc(medibus.state_size);
    uint64_t now = 0;

    must(state != NULL);
    medibus.init(state);
    for (size_t i = 0; size > 0 && i < data[0] % 4u; i++) {
        turn(state, &now);
        medibus.feed(state, (const uint8_t *)opening[i], strlen(opening[i]), &sink);
    }
    turn(state, &now);
    for (size_t at = 1; at < size; at += piece)
        medibus.feed(state, data + at, piece < size - at ? piece : size - at, &sink);
    for (int i = 0; i < 20; i++)
        turn(state, &now);
    free(state);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = feed(data, size, size + 1), pieces = feed(data, size, 1);
    struct device_time time;

    must(whole.sets == pieces.sets && whole.digest == pieces.digest);
    if (medibus_time(data, size, &time))
        must(time.month >= 1 && time.month <= 12 && time.day >= 1 && time.day <= 31);
    return 0;
}
