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
 *
 * 1. The line is read empty before each request. What lay there answers nothing.
 *
 * 2. A reply must have the unit, the function, the exact length and the check, must not
 *    begin before the request has ended, and nothing may follow on its heels.
 *
 * 3. After any failure nothing is sent until the device's worst time to a reply has
 *    passed and the line is quiet. What comes until then is thrown away.
 *
 * 4. If the missing answer was not among it, it may still be under way: the device is in
 *    doubt. Before it is asked for values again it is asked for something whose answer
 *    has another length than every answer that is missing: a part of the block, or a
 *    little more than it. Devices and lines hand on in order; so once that answer is
 *    there, nothing older can come, however late the device is. A refusal counts too,
 *    unless an earlier probe may have been refused as well; then the line is first given
 *    TRUST_LATE times the worst time to empty itself. A device that shows itself late is
 *    waited for as long until it has answered, and what it needed becomes its worst time.
 *    When TRUST_MISSING_MAX lengths are missing there is no probe: then two rounds must
 *    pass in which exactly one reply comes, at growing distances, and the first of them
 *    is thrown away.
 *
 * 5. A good reply is believed only when the time in which a second one could come has
 *    passed and none did: a doubled or very late reply that was taken for the answer is
 *    betrayed by the true answer on its heels. Until then it is held; a stray frame of
 *    the device, or bytes that cannot be read, void it, and the device is in doubt.
 *
 * 6. Two requests of one device whose answers have the same length but mean other
 *    registers are not sent within that time of each other.
 *
 * 7. A reply much faster than the device has ever been is treated as a failure: it is
 *    more likely another's answer than a faster device.
 *
 * 8. The check lets one damaged frame in 65,536 pass. While a device's frames come
 *    damaged often, every block is read until two readings in a row agree in every bit;
 *    with Modbus ASCII, whose check lets one in 256 pass, always.
 *
 * What remains. On a line polled without a pause a doubled reply to the same block can be
 * taken for the next one's, if the true answer is lost in the same moment: the value is
 * right and its time early by one poll. A device that answers nothing for TRUST_EXPIRE_US
 * and then answers that old request, exactly between a new one and its answer, and whose
 * answer to that is lost, is believed.
 */
#ifndef BEDSIDE_BUS_TRUST_H
#define BEDSIDE_BUS_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/regmap.h"

#define TRUST_MISSING_MAX 8 /* shapes of missing answers that are told apart */
#define TRUST_LATE        4 /* a late device is waited for this many worst times */
#define TRUST_EXPIRE_US   UINT64_C(10000000) /* an answer this late does not come */

/* What an answer looks like on the wire. */
struct trust_shape {
    uint8_t function;
    uint16_t bytes; /* of data */
};

struct trust {
    /* The device's worst time to a reply, as set. */
    uint32_t worst_us;
    /* Answers that may still be under way; overflow: more than fit, no probe can tell. */
    struct trust_shape missing[TRUST_MISSING_MAX];
    size_t missing_count;
    bool overflow;
    /* A probe is missing, and with it perhaps a refusal, which has no length of its own.
     */
    bool refusal;
    /* The device was caught answering late, and has not answered in time since. */
    bool late;
    /* Rule 4 without a probe: rounds still to pass; 0 = none. */
    uint8_t solo_left;
    /* Good replies so far (saturating) and their times. */
    uint32_t answers, fastest_us, slowest_us;
    /* Rule 8: one bit an exchange, the latest lowest; 1 = damaged. */
    uint64_t damage;
    /* Asked last, and when; 0 = never. */
    struct regmap_block last;
    uint64_t last_us;
};

/* worst_us > 0. */
void trust_init(struct trust *trust, uint32_t worst_us);

/* The shape of a block's answer. */
struct trust_shape trust_shape(const struct regmap_block *block);

/* True while the device is in doubt (rule 4). */
bool trust_doubted(const struct trust *trust);

/* Forgets answers that have been missing for so long that they do not come any more. Call
 * before trust_way(). */
void trust_expire(struct trust *trust, uint64_t now_us);

/* How to ask for a block. */
enum trust_way {
    /* Its answer cannot be mistaken for a missing one. */
    TRUST_DIRECT,
    /* Ask for *probe first. */
    TRUST_PROBE,
    /* There is no probe: ask, and let trust_solo_round() judge. */
    TRUST_SOLO,
};
enum trust_way trust_way(const struct trust *trust, const struct regmap_block *block,
                         struct regmap_block *probe);

/* Rules 4 and 6: when this block or probe may be asked for; 0 = at once. */
uint64_t trust_not_before(const struct trust *trust, const struct regmap_block *block);

/* How long to wait for the device's answer now. */
uint32_t trust_response_us(const struct trust *trust);

/* A request left: its last byte at asked_us. */
void trust_asked(struct trust *trust, const struct regmap_block *block,
                 uint64_t asked_us);

/* What is known of a request that failed. */
struct trust_failure {
    bool probe; /* it was a probe */
    bool seen;  /* its answer was recognised among what was thrown away: it is not missing
                 */
    bool spoke; /* some frame of the device was among it */
};
void trust_failed(struct trust *trust, const struct regmap_block *block,
                  struct trust_failure failure);

/* An exchange ended; damaged: bytes came that were no good frame. */
void trust_exchanged(struct trust *trust, bool damaged);

/* Rule 8: True while blocks are to be read until two readings agree. */
bool trust_noisy(const struct trust *trust);

/* A good reply came turnaround_us after its request. False: rule 7, treat it as failed.
 */
bool trust_answered(struct trust *trust, uint32_t turnaround_us);

/* A probe, or a block asked for directly, was answered: nothing older is missing. */
void trust_cleared(struct trust *trust);

/* A frame of this device came unasked. */
void trust_stray(struct trust *trust);

/* Rule 5: how long after its first byte a good reply is held. */
uint32_t trust_window_us(const struct trust *trust);

/* Rule 4 without a probe, asked once for each complete poll: true if its values are to be
 * thrown away. */
bool trust_solo_round(struct trust *trust);

#endif
