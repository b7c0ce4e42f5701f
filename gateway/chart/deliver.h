/* SPDX-License-Identifier: Apache-2.0
 *
 * What leaves for an EPR: one message a charted reading, as ORU^R01 in the IHE PCD-01
 * layout, as a FHIR R4 Bundle, or as a line of JSON. Pure: a reading, a patient and the
 * choices of one destination in, bytes out. The bytes are made once and kept in the
 * ledger's outbox; a re-send is the same bytes (P2).
 *
 * Two names tie messages together. The control id (MSH-10) is unique for ever and says
 * "this very message": an EPR may drop a second one with the same id. The filler number
 * (OBR-3) says "this result": a withdrawal carries the filler of the result that it
 * withdraws, a result sent anew names the one that it replaces.
 */
#ifndef CHART_DELIVER_H
#define CHART_DELIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "wire/record.h"

#define DELIVER_SIZE_MAX                                                                 \
    ((size_t)24                                                                          \
     << 10) /* bytes of one message: 32 observations, each with an alternate code */
#define DELIVER_CONTROL_SIZE 21 /* MSH-10 has at most 20 characters in HL7 2.6 */
#define DELIVER_FILLER_SIZE  128

enum deliver_kind {
    DELIVER_RESULT,     /* OBX-11 R, or F where the destination's rule says so */
    DELIVER_WITHDRAWAL, /* OBX-11 W: these values were charted on the wrong patient */
    DELIVER_CORRECTION, /* OBX-11 C: replaces what this patient's chart says */
};

enum deliver_error {
    DELIVER_TOO_LARGE = -1, /* more than the buffer holds */
    DELIVER_NOTHING = -2,   /* the mask leaves no observation that may be charted */
    DELIVER_NOBODY = -3, /* the patient has no identifier that this destination knows */
};

/* Who the message is about, as the PAS wrote it. NULL or "" where nothing is known.
 * Borrowed. */
struct deliver_patient {
    const char *mrn, *authority; /* local number and who gave it: always there */
    const char *nhs;             /* 10 digits */
    const char *family, *given;
    const char *birth;    /* YYYYMMDD */
    const char *sex;      /* M, F, O, U or the PAS's word; its first letter counts */
    const char *visit;    /* PV1-19 */
    const char *category; /* PV1-2, a letter or the PAS's word */
    const char *location; /* PV1-3 with its own separators, as it came */
};

/* One destination's choices; NULL texts are left empty. Borrowed. */
struct deliver_style {
    const char *sending_application, *sending_facility;
    const char *receiving_application, *receiving_facility;
    const char *processing; /* MSH-11: P, or T and D for tests */
    const char *charset;    /* MSH-18 */
    bool loinc;             /* LOINC in OBX-3.4 to 3.6, where one is known */
    bool ucum;              /* UCUM in OBX-6.4 to 6.6, where one is known */
    bool final; /* OBX-11 F rather than R: only where a person validates on the device */
    /* The rest is FHIR's; the systems are URIs. */
    const char *identifier_system; /* of what wardgate itself numbers */
    const char *number_system;     /* of the PAS's local numbers; NULL: none is known */
    const char *nhs_system;
    bool by_nhs; /* the NHS number names the patient where there is one */
};

struct deliver_message {
    enum deliver_kind kind;
    const char *destination; /* its name, part of the control id */
    const char *gateway;
    struct epoch epoch;
    const wardgate_Record *record;
    uint32_t
        generation; /* of the result: 1 the first, one more whenever history moved it */
    uint32_t replaces; /* the generation that was withdrawn before: OBR-29 names it; 0 =
                          none */
    uint32_t observations; /* bit i: record->observations[i] is charted */
    int64_t utc_us;        /* when it was measured, after re-basing */
    uint32_t uncertainty_ms;
    bool synced;         /* the board's clock was disciplined at that time */
    int64_t made_utc_us; /* MSH-7 */
    struct deliver_patient patient;
    struct deliver_style style;
};

/* True for a value that may stand in a chart: there is one, and nothing in its quality
 * says that it is not the patient's: invalid, sensor off, out of the profile's technical
 * limits, demonstration, test, repeated old value. */
bool deliver_chartable(const wardgate_Observation *observation);

/* "gateway.epoch.seq.generation": OBR-3. out has DELIVER_FILLER_SIZE bytes. Returns out.
 */
const char *deliver_filler(const char *gateway, const struct epoch *epoch, uint64_t seq,
                           uint32_t generation, char *out);

/* 20 characters that stand for gateway, epoch, seq, destination, generation and kind:
 * MSH-10. out has DELIVER_CONTROL_SIZE bytes. Returns 0, or -1 when the digest could not
 * be made. */
int deliver_control(const struct deliver_message *message, char *out);

/* Write the whole message (ORU^R01 without MLLP framing; a transaction Bundle; one JSON
 * object with its newline). Observations that may not be charted are left out even if the
 * mask names them. Return the size, or a deliver_error. */
int deliver_hl7(const struct deliver_message *message, char *out, size_t capacity);
int deliver_fhir(const struct deliver_message *message, char *out, size_t capacity);
int deliver_json(const struct deliver_message *message, char *out, size_t capacity);

#endif
