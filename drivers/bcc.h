/* SPDX-License-Identifier: Apache-2.0
 *
 * B. Braun Space and compact plus infusion pumps, BCC: RS-232 at the pump or the station,
 * or the same frames over TCP port 4001. Facts: the maker's BCC interface description and
 * one independent implementation with recordings of a real pump.
 *
 *   SOH length(5) STX bed "/1/1>" information ETX|ETB checksum(5) EOT
 *
 * The length counts all of it, the checksum is the sum from SOH to ETX modulo 256, both
 * before stuffing (D E d e are sent as EX EE ex ee; a station can be set not to). ETB:
 * more blocks follow. Each good block is answered with ACK, a bad one with NAK, which has
 * it sent again. Information is a list of time,address,parameter,value with RS between.
 *
 * Given: rate, volume infused, volume to be infused, time left; of a pump that is off,
 * no value. Not given: drug and dose rate (its unit is a code without a public table),
 * and the patient's number.
 *
 * Caveat: an observation does not say which pump it is of. A station with more than one
 * pump gives nothing at all, and each of its answers is counted as DRIVER_FAULT_VALUE.
 */
#ifndef DRIVERS_BCC_H
#define DRIVERS_BCC_H

#include "drivers/driver.h"

#define BCC_SOH 0x01
#define BCC_STX 0x02
#define BCC_ETX 0x03
#define BCC_EOT 0x04
#define BCC_ACK 0x06
#define BCC_NAK 0x15
#define BCC_ETB 0x17
#define BCC_RS  0x1E

#define BCC_DIGITS    5  /* of length and checksum */
#define BCC_BED_MAX   15 /* characters */
#define BCC_BLOCK_MAX 3000
#define BCC_VALUES    4
#define BCC_ADDRESS   5 /* characters: 501, pillar, place */

/* What the blocks of one answer have said so far. The address outlives the answer: a pump
 * at another one is another pump. */
struct bcc_answer {
    bool has[BCC_VALUES];
    struct observation values[BCC_VALUES];
    bool several, off, error; /* more than one pump; it is off; the station refuses */
    bool pump;                /* address is that of the first pump that spoke */
    char address[BCC_ADDRESS];
};

extern const struct driver bcc; /* 9600 8N1 */

/* Takes a whole frame of n bytes, SOH to EOT, off its stuffing, in place, and checks it.
 * Returns its length without stuffing, or 0 if it is none. */
size_t bcc_check(uint8_t *frame, size_t n);

/* Puts text into a frame, without stuffing: out has room for text and 14 bytes. Returns
 * its length. */
size_t bcc_frame(const char *text, size_t n, uint8_t *out);

/* The information of one block. False, and the answer is void, if a part has no shape. */
bool bcc_information(const uint8_t *text, size_t n, struct bcc_answer *answer);

/* The set of a whole answer: empty if no pump spoke, or several did. */
void bcc_values(const struct bcc_answer *answer, struct observation_set *out);

#endif
