/* SPDX-License-Identifier: Apache-2.0
 *
 * What a device said, as it said it: one observation is one value of one quantity,
 * an observation_set is everything a device reported at one instant.
 *
 * Values are decimal (mantissa * 10^exponent) so that the device's own digits
 * survive to the chart: 101.30 is {10130, -2}, never a binary fraction.
 */
#ifndef DRIVERS_OBSERVATION_H
#define DRIVERS_OBSERVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBSERVATIONS_MAX     32 /* observations in one set */
#define OBSERVATION_TEXT_MAX 31 /* bytes of text, without the terminator */

/* Every power of ten within has a mantissa in 64 bits beside it. */
#define OBSERVATION_EXPONENT_MIN (-18)
#define OBSERVATION_EXPONENT_MAX 18

/* What an observation holds. All codes are IEEE 11073-10101, context-free: partition <<
 * 16 | term. */
enum observation_kind {
    OBSERVATION_ABSENT,  /* the device said that it has no value; never 0 */
    OBSERVATION_NUMERIC, /* mantissa and exponent */
    OBSERVATION_CODED,   /* coded: an MDC code or a profile's enumeration value */
    OBSERVATION_TEXT,    /* text, UTF-8, terminated */
};

/* Quality bits, IEEE 11073-10201 MeasurementStatus in our own numbering; 0 is good. */
enum observation_quality {
    QUALITY_INVALID = 1 << 0,      /* the device marks the value unusable */
    QUALITY_QUESTIONABLE = 1 << 1, /* usable with doubt: artefact, low perfusion */
    QUALITY_SENSOR_OFF = 1 << 2,
    QUALITY_OUT_OF_RANGE = 1 << 3, /* outside the profile's technical limits */
    QUALITY_DEMO = 1 << 4,
    QUALITY_TEST = 1 << 5,
    QUALITY_CALIBRATING = 1 << 6,
    QUALITY_STALE = 1 << 7, /* the device repeats an old value */
};

/* One value of one quantity. Compare by code and unit, never by place in the set: a set
 * has what was read, in the order of the profile. Members that do not belong to the kind
 * are 0.
 */
struct observation {
    uint32_t code;    /* MDC code of the quantity, e.g. 147842 heart rate */
    uint32_t unit;    /* MDC code of the unit, e.g. 264864 beats per minute; 0 if none */
    uint32_t site;    /* MDC code of the body site; 0 if not known */
    uint32_t method;  /* MDC code of the method; 0 if not known */
    int64_t mantissa; /* OBSERVATION_NUMERIC */
    uint32_t coded;   /* OBSERVATION_CODED */
    uint16_t quality; /* enum observation_quality, or-ed */
    uint8_t kind;     /* enum observation_kind */
    int8_t exponent;  /* OBSERVATION_NUMERIC, OBSERVATION_EXPONENT_MIN.._MAX */
    char text[OBSERVATION_TEXT_MAX + 1]; /* OBSERVATION_TEXT */
};

/* A civil time as the device shows it, without a zone. */
struct device_time {
    uint16_t year;
    uint8_t month, day, hour, minute, second; /* 1-12, 1-31, 0-23, 0-59, 0-60 */
    bool present;
};

/* Whom a set is about. A device that watches mother and child says whose each set is; all
 * others leave it to the configuration. A set is about one of them, never about two. */
enum observation_subject {
    OBSERVATION_AS_CONFIGURED = 0,
    OBSERVATION_OF_PATIENT, /* the mother, where there is one */
    OBSERVATION_OF_FETUS,   /* `number` says which */
};

/* Everything a device reported at one instant, about 2 KiB: pass it by pointer. Only the
 * first `count` items are valid. Who received it stamps it; the device knows at most its
 * own clock.
 */
struct observation_set {
    struct observation items[OBSERVATIONS_MAX];
    size_t count;
    struct device_time device_time; /* when the device stamps its own measurements */
    uint64_t sample;                /* the device's sample counter, if has_sample */
    bool has_sample;
    bool stored;     /* a measurement from the device's memory: device_time is its time */
    uint8_t subject; /* enum observation_subject */
    uint8_t number;  /* OBSERVATION_OF_FETUS: 1, 2, ...; 0 otherwise */
};

#endif
