/* SPDX-License-Identifier: Apache-2.0
 *
 * The truth: who really lay in which bed when, and the ADT messages that tell of it, some
 * late, lost for hours, doubled, out of order, or wrong at first and cancelled later.
 * Everything follows from a seed.
 */
#ifndef SIM_WARD_H
#define SIM_WARD_H

#include <stddef.h>
#include <stdint.h>

#include "random.h"

#define WARD_BEDS         4
#define WARD_PATIENTS_MAX 64
#define WARD_MESSAGES_MAX 512
#define WARD_MESSAGE_SIZE 1600
#define WARD_STAYS_MAX    256
#define WARD_NOBODY       (-1)

struct ward_stay { /* patient lay in bed over [from, to) */
    int patient, bed;
    int64_t from_us, to_us;
};

struct ward_doubt { /* the PAS lists two patients in the bed */
    int bed;
    int64_t from_us, to_us;
};

struct ward_message {
    int64_t due_us; /* when the feed delivers it */
    char text[WARD_MESSAGE_SIZE];
};

struct ward {
    struct chance chance;
    int64_t begin_us, end_us; /* the simulated day, UTC */
    struct ward_stay stays[WARD_STAYS_MAX];
    size_t stay_count;
    struct ward_message messages[WARD_MESSAGES_MAX]; /* by due time */
    size_t message_count;
    struct ward_doubt doubts[WARD_PATIENTS_MAX];
    size_t doubt_count;
    int patients;
    int occupant[WARD_BEDS];
    int64_t since_us[WARD_BEDS];
    int64_t quiet_until_us[WARD_BEDS]; /* a mistake about this bed's patient is not
                                          noticed yet */
    unsigned control;                  /* for MSH-10 */
};

/* Plays the whole day. begin_us is midnight UTC. */
void ward_play(struct ward *ward, uint64_t seed, int64_t begin_us);

/* True if the PAS lists two patients in the bed at this instant. */
bool ward_double(const struct ward *ward, int bed, int64_t at_us);

/* Who really is in the bed at this instant; WARD_NOBODY if it is empty. */
int ward_patient_at(const struct ward *ward, int bed, int64_t at_us);

#define WARD_ALIAS                                                                       \
    900 /* patient n may be known as n + WARD_ALIAS until his records are merged */

/* The name of a bed as the gateway's config gives it, and the patient's case-note number.
 */
const char *ward_place(int bed);
void ward_case_number(int patient, char *out, size_t size);

/* Back from the number to the patient, aliases included; WARD_NOBODY if it is none. */
int ward_patient_of(const char *case_number);

#endif
