/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to be believed on a Modbus RTU line, for one device. Pure.
 *
 * The hazard: a reply names neither its request nor an address. Whatever frame of the
 * right unit, function and length comes while the bus waits looks like the answer, also
 * when it answers an earlier request (late) or comes a second time (doubled). With plain
 * libmodbus one late reply puts a pulse into the saturation, and every later value is off
 * by one.
 *
 * The rules (the port enforces 1 to 3, this file keeps the books for 4 to 8):
 *  1. The line is read empty before each request. What lay there answers nothing.
 *  2. A reply must have the unit, the function, the exact length and the check, must not
 * begin before the request has ended, and nothing may follow on its heels.
 *  3. After any failure nothing is sent until the device's worst time to a reply has
 * passed and the line is quiet. What comes until then is thrown away.
 *  4. If the missing answer was not among it, it may still be under way: the device is in
 * doubt. Before it is asked for values again it is asked for something whose answer has
 * another length than every answer that is missing (a part of the same block). Devices
 * and lines hand on in order; so once that answer, or a refusal, is there, nothing older
 * can come. Where no other length exists (a block of one register), two rounds must pass
 * in which exactly one reply comes within the worst time; the first of them is thrown
 * away.
 *  5. A good reply is believed only when the time in which a second one could come has
 * passed and none did: a doubled or very late reply that was taken for the answer is
 * betrayed by the true answer on its heels. Until then it is held; a stray frame of the
 * device, or bytes that cannot be read, void it, and the device is in doubt.
 *  6. Two requests of one device whose answers have the same length but mean other
 * registers are not sent within that time of each other.
 *  7. A reply much faster than the device has ever been is treated as a failure: it is
 * more likely another's answer than a faster device.
 *
 *  8. The check lets one damaged frame in 65,536 pass. While a device's frames come
 * damaged often, every block is read until two readings in a row agree in every bit.
 *
 * What remains: on a line polled without a pause, a doubled reply to the same block can
 * be taken for the next one's. The value is right and its time early by one poll. That
 * needs the true answer to be lost in the same moment, or the doubled one to be as slow
 * as the device.
 */
#ifndef BEDSIDE_BUS_TRUST_H
#define BEDSIDE_BUS_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/regmap.h"

#define TRUST_MISSING_MAX 8 /* shapes of missing answers that are told apart */

struct trust_shape { /* what an answer looks like on the wire */
    uint8_t function;
    uint16_t bytes; /* of data */
};

struct trust {
    uint32_t worst_us; /* the device's worst time to a reply, as set */
    struct trust_shape
        missing[TRUST_MISSING_MAX]; /* answers that may still be under way */
    size_t missing_count;
    bool overflow;     /* more shapes are missing than fit: no probe can tell */
    uint8_t solo_left; /* rule 4: rounds still to pass; 0 = none */
    uint32_t answers;  /* good ones so far, saturating */
    uint32_t fastest_us, slowest_us; /* of the good ones */
    uint64_t damage; /* rule 8: one bit an exchange, the latest lowest; 1 = damaged */
    struct regmap_block last; /* asked last */
    uint64_t last_us;         /* when; 0 = never */
};

/* worst_us > 0. */
void trust_init(struct trust *trust, uint32_t worst_us);

/* The shape of a block's answer. */
struct trust_shape trust_shape(const struct regmap_block *block);

/* True while the device is in doubt (rule 4). */
bool trust_doubted(const struct trust *trust);

enum trust_way {               /* how to ask for a block */
                 TRUST_DIRECT, /* its answer cannot be mistaken for a missing one */
                 TRUST_PROBE,  /* ask for *probe first, a part of the block */
                 TRUST_SOLO, /* there is no probe: ask, alone within the worst time (rule
                                4) */
};
enum trust_way trust_way(const struct trust *trust, const struct regmap_block *block,
                         struct regmap_block *probe);

/* Rule 6: when this block may be asked for; 0 = at once. */
uint64_t trust_not_before(const struct trust *trust, const struct regmap_block *block);

/* A request left: its last byte at asked_us. */
void trust_asked(struct trust *trust, const struct regmap_block *block,
                 uint64_t asked_us);

/* It failed. seen: its answer was recognised among what was thrown away, so nothing of it
 * can come any more. */
void trust_failed(struct trust *trust, const struct regmap_block *block, bool seen);

/* An exchange ended; damaged: bytes came that were no good frame. */
void trust_exchanged(struct trust *trust, bool damaged);

/* Rule 8: True while blocks are to be read until two readings agree. */
bool trust_noisy(const struct trust *trust);

/* A good reply came turnaround_us after its request. False: rule 7, treat it as failed.
 */
bool trust_answered(struct trust *trust, uint32_t turnaround_us);

/* A probe, or a block asked for directly, was answered or refused: nothing older is
 * missing. */
void trust_cleared(struct trust *trust);

/* A frame of this device, or one that nobody can read, came unasked. */
void trust_stray(struct trust *trust);

/* Rule 5: how long after the request's end a good reply is held. */
uint32_t trust_window_us(const struct trust *trust);

/* Rule 4 without a probe, asked once for each complete poll: true if its values are to be
 * thrown away. */
bool trust_solo_round(struct trust *trust);

#endif
