/* SPDX-License-Identifier: Apache-2.0
 *
 * Servo-i fed arbitrary bytes between its own requests, in long and in short pieces: what
 * is sent is always allowed, and every set is whole. The first byte chooses how far the
 * session has come.
 */
#include "drivers/servo_i.h"

#include "driver_feed.h"

#include <string.h>

#define TURN_MS   6000 /* longer than any wait: each turn sends */
#define TURNS_END 8    /* after the bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_set(void *context, const struct observation_set *set)
{
    struct seen *seen = context;

    must(set->count >= 1 && set->count <= SERVO_I_CHANNELS);
    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        must(o->code != 0 && o->unit != 0);
        must(o->kind == OBSERVATION_NUMERIC ||
             (o->kind == OBSERVATION_ABSENT && o->mantissa == 0));
        must(o->mantissa >= 0 && o->mantissa < SERVO_I_MISSING);
        seen->digest = seen->digest * 31 + (uint64_t)o->mantissa + o->code;
    }
    seen->sets++;
}

/* The driver's turn: the next request. */
static void turn(void *state, uint64_t *now)
{
    uint8_t out[DRIVER_SEND_MAX];
    uint64_t again;
    size_t n = servo_i.poll(state, *now += TURN_MS, out, &again);

    must(again > *now && (n == 0 || servo_i.may_send(out, n)));
}

static struct seen feed_session(const uint8_t *data, size_t size, size_t piece)
{
    static const char *const opening[] = {
        "Servo-i029\x04", "00535\x04",
        "*2A\x04",        "020;200,+1000E-004,+0000E+000,06,BT,CH00;34\x04",
        "ER1513\x04",     "ER1513\x04",
        "ER1513\x04",     "ER1513\x04",
        "ER1513\x04",     "ER1513\x04",
        "ER1513\x04",     "ER1513\x04",
        "ER1513\x04",     "*2A\x04"};
    struct seen seen = {0};
    const struct driver_sink sink = {&seen, on_set, on_fault};
    void *state = malloc(servo_i.state_size);
    uint64_t now = 0;

    must(state != NULL);
    servo_i.init(state);
    for (size_t i = 0; size > 0 && i < data[0] % 15u; i++) {
        turn(state, &now);
        servo_i.feed(state, (const uint8_t *)opening[i], strlen(opening[i]), &sink);
    }
    seen.bytes = 0;
    for (size_t at = 1; at < size;) { /* each answer to a request of its own */
        size_t n = 1;
        while (at + n < size && data[at + n - 1] != SERVO_I_EOT)
            n++;
        turn(state, &now);
        for (size_t done = 0; done < n; done += piece)
            servo_i.feed(state, data + at + done, piece < n - done ? piece : n - done,
                         &sink);
        at += n;
    }
    for (int i = 0; i < TURNS_END; i++)
        turn(state, &now);
    free(state);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = feed_session(data, size, size + 1);
    struct seen pieces = feed_session(data, size, 1);
    struct servo_i_scale scale;

    must(whole.sets == pieces.sets && whole.digest == pieces.digest &&
         whole.bytes == pieces.bytes && whole.bytes <= size);
    for (size_t i = 0; i < SERVO_I_CHANNELS; i++)
        if (servo_i_configuration(data, size, i, &scale) && scale.unit != 0)
            must(scale.exponent <= 0 && scale.exponent >= -2 && scale.least < scale.most);
    return 0;
}
