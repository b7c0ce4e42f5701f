/* SPDX-License-Identifier: Apache-2.0
 *
 * A hospital record that only believes what reaches it: applies ORU^R01 messages, knows a
 * repeated control id, and tells at the end which readings stand in whose chart. It
 * parses HL7 in its own few lines, so that a fault of wardgate's writer can't hide behind
 * wardgate's reader.
 */
#ifndef SIM_EPR_H
#define SIM_EPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EPR_SERIALS_MAX  8192
#define EPR_MESSAGES_MAX 32768

struct epr_entry { /* what stands for the reading with this serial number as its value */
    int patient;   /* index of the truth; WARD_NOBODY: nothing stands */
    int64_t time_us;   /* OBX-14, or OBR-7 */
    int64_t stated_us; /* uncertainty that the message states */
    int standing; /* how many results stand at once: 1 is right, 2 is charted twice */
    bool wrong_withdrawal; /* W for a patient for whom nothing stood */
};

struct epr {
    struct epr_entry entries[EPR_SERIALS_MAX];
    uint64_t controls[EPR_MESSAGES_MAX]; /* hashes of control ids applied */
    uint64_t bodies[EPR_MESSAGES_MAX];
    size_t control_count;
    size_t applied, repeated, withdrawn, altered, malformed;
};

void epr_begin(struct epr *epr);

/* Applies a message; control (64 bytes) receives its MSH-10. Returns false if it is not
 * an ORU it can read. */
bool epr_apply(struct epr *epr, const char *message, size_t n, char control[64]);

/* True for a result that it has taken already and, being of those that do so, refuses as
 * a duplicate: the answer is then AR, and what was taken stands. */
bool epr_refuses(const struct epr *epr, const char *message);

#endif
