/* SPDX-License-Identifier: Apache-2.0
 *
 * Records for the tests of wire: one good one of every kind, and random ones from a seed.
 */
#ifndef TESTS_UNIT_WIRE_SAMPLE_H
#define TESTS_UNIT_WIRE_SAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/record.h"

/* xorshift64*: the same numbers everywhere for one seed. */
struct dice {
    uint64_t state;
};

static inline uint64_t dice_roll(struct dice *dice)
{
    dice->state ^= dice->state >> 12;
    dice->state ^= dice->state << 25;
    dice->state ^= dice->state >> 27;
    return dice->state * UINT64_C(2685821657736338717);
}

static inline uint64_t dice_below(struct dice *dice, uint64_t n)
{
    return dice_roll(dice) % n;
}

/* $WARDGATE_SEED, or 1; printed so that a failure can be had again. */
static inline uint64_t dice_seed(void)
{
    const char *text = getenv("WARDGATE_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;

    printf("seed %llu\n", (unsigned long long)seed);
    return seed != 0 ? seed : 1;
}

static inline void sample_time(wardgate_TimeBlock *time)
{
    time->boot = UINT64_C(0x0123456789abcdef);
    time->monotonic_us = 86400000000;
    time->utc_us = INT64_C(1784729109250000);
    time->sync = wardgate_TimeBlock_Sync_SYNCED;
    time->uncertainty_ms = 12;
}

static inline void sample_reading(wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    record->seq = 1001;
    record->kind = wardgate_Record_Kind_READING;
    record->has_device = true;
    (void)snprintf(record->device.id, sizeof(record->device.id), "monitor-3");
    (void)snprintf(record->device.profile, sizeof(record->device.profile),
                   "bedside-monitor");
    (void)snprintf(record->device.line, sizeof(record->device.line), "bus-a");
    (void)snprintf(record->place, sizeof(record->place), "bay-1-bed-3");
    record->has_time = true;
    sample_time(&record->time);
    record->observations_count = 2;
    record->observations[0].code = 150456; /* oxygen saturation 97 % */
    record->observations[0].unit = 262688;
    record->observations[0].which_value = wardgate_Observation_mantissa_tag;
    record->observations[0].value.mantissa = 97;
    record->observations[1].code = 150364; /* 37.20 Cel, as the device shows it */
    record->observations[1].unit = 268192;
    record->observations[1].which_value = wardgate_Observation_mantissa_tag;
    record->observations[1].value.mantissa = 3720;
    record->observations[1].exponent = -2;
}

static inline void sample_gap(wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    record->seq = 5;
    record->kind = wardgate_Record_Kind_GAP;
    record->has_gap = true;
    record->gap.reason = wardgate_Gap_Reason_STORE_FULL;
    record->gap.count = 3;
    record->gap.from_seq = 2;
    record->gap.to_seq = 4;
    record->gap.has_from = true;
    sample_time(&record->gap.from);
    record->gap.has_to = true;
    sample_time(&record->gap.to);
}

static inline void sample_clock_fix(wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    record->seq = 6;
    record->kind = wardgate_Record_Kind_CLOCK_FIX;
    record->has_clock_fix = true;
    record->clock_fix.boot = 7;
    record->clock_fix.monotonic_us = 1000;
    record->clock_fix.utc_us = INT64_C(1784729109250000);
    record->clock_fix.uncertainty_ms = 5;
}

static inline void sample_event(wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    record->seq = 7;
    record->kind = wardgate_Record_Kind_EVENT;
    record->has_event = true;
    record->event.kind = wardgate_Event_Kind_DEVICE_LOST;
    (void)snprintf(record->event.detail, sizeof(record->event.detail),
                   "no answer for 5 s");
}

static inline void sample_binding(wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    record->seq = 8;
    record->kind = wardgate_Record_Kind_BINDING;
    record->has_binding = true;
    (void)snprintf(record->binding.place, sizeof(record->binding.place), "bay-1-bed-3");
    (void)snprintf(record->binding.author, sizeof(record->binding.author), "engineer");
}

static inline void random_text(struct dice *dice, char *out, size_t capacity,
                               size_t least)
{
    size_t n = least + dice_below(dice, capacity - least);

    for (size_t i = 0; i < n; i++)
        out[i] = (char)(' ' + dice_below(dice, 95));
    out[n] = '\0';
}

static inline void random_time(struct dice *dice, wardgate_TimeBlock *time)
{
    memset(time, 0, sizeof(*time));
    time->boot = dice_roll(dice) | 1;
    time->monotonic_us = dice_roll(dice) >> 8;
    time->utc_us = (int64_t)(dice_roll(dice) >> 7) - (INT64_C(1) << 56);
    time->sync = (wardgate_TimeBlock_Sync)dice_below(dice, 3);
    time->uncertainty_ms = (uint32_t)(dice_roll(dice) >> (32 + dice_below(dice, 32)));
    random_text(dice, time->device_time, sizeof(time->device_time), 0);
    time->stored = dice_below(dice, 2);
}

static inline void random_observation(struct dice *dice, wardgate_Observation *o)
{
    static const pb_size_t tags[] = {0, wardgate_Observation_mantissa_tag,
                                     wardgate_Observation_coded_tag,
                                     wardgate_Observation_text_tag};

    memset(o, 0, sizeof(*o));
    o->code = 1 + (uint32_t)(dice_roll(dice) >> (33 + dice_below(dice, 30)));
    o->unit = (uint32_t)(dice_roll(dice) >> (32 + dice_below(dice, 32)));
    o->which_value = tags[dice_below(dice, 4)];
    if (o->which_value == wardgate_Observation_mantissa_tag)
        o->value.mantissa = (int64_t)dice_roll(dice) >> dice_below(dice, 64);
    else if (o->which_value == wardgate_Observation_coded_tag)
        o->value.coded = (uint32_t)(dice_roll(dice) >> (32 + dice_below(dice, 32)));
    else if (o->which_value == wardgate_Observation_text_tag)
        random_text(dice, o->value.text, sizeof(o->value.text), 0);
    o->exponent = (int32_t)dice_below(dice, 37) - 18;
    o->quality = (uint32_t)dice_below(dice, 2) * (uint32_t)dice_below(dice, 65536);
    o->site = (uint32_t)dice_below(dice, 3) * 4711;
    o->method = (uint32_t)dice_below(dice, 3) * 4712;
}

/* A valid record of any kind with everything that may be in it. */
static inline void random_record(struct dice *dice, wardgate_Record *r)
{
    switch (dice_below(dice, 5)) {
    case 0:
        sample_gap(r);
        r->gap.reason = (wardgate_Gap_Reason)(1 + dice_below(dice, 9));
        r->gap.count = dice_roll(dice) >> dice_below(dice, 64);
        r->gap.count_unknown = dice_below(dice, 2);
        r->gap.has_from = dice_below(dice, 2);
        r->gap.has_to = dice_below(dice, 2);
        random_time(dice, &r->gap.from);
        random_time(dice, &r->gap.to);
        r->gap.from_sample = dice_below(dice, 1000);
        r->gap.to_sample = dice_below(dice, 1000);
        break;
    case 1:
        sample_clock_fix(r);
        break;
    case 2:
        sample_event(r);
        random_text(dice, r->event.detail, sizeof(r->event.detail), 0);
        break;
    case 3:
        sample_binding(r);
        r->binding.digest.size = (pb_size_t)dice_below(dice, 33);
        r->binding.ended = dice_below(dice, 2);
        break;
    default:
        sample_reading(r);
        r->observations_count = (pb_size_t)(1 + dice_below(dice, 32));
        for (pb_size_t i = 0; i < r->observations_count; i++)
            random_observation(dice, &r->observations[i]);
    }
    r->seq = 1 + (dice_roll(dice) >> (1 + dice_below(dice, 63)));
    random_text(dice, r->place, sizeof(r->place), 0);
    if (dice_below(dice, 2)) {
        r->has_subject = true;
        r->subject.role = (wardgate_Subject_Role)dice_below(dice, 3);
        r->subject.number = r->subject.role == wardgate_Subject_Role_PATIENT
                                ? 0
                                : 1 + (uint32_t)dice_below(dice, 4);
        r->subject.digest.size = (pb_size_t)dice_below(dice, 33);
        memset(r->subject.digest.bytes, (int)dice_below(dice, 256),
               sizeof(r->subject.digest.bytes));
    }
    if (r->has_device || dice_below(dice, 2)) {
        r->has_device = true;
        random_text(dice, r->device.id, sizeof(r->device.id), 1);
        random_text(dice, r->device.identity, sizeof(r->device.identity), 0);
    }
    if (r->has_time || dice_below(dice, 2)) {
        r->has_time = true;
        random_time(dice, &r->time);
    }
    r->order_token.size = (pb_size_t)(dice_below(dice, 2) * dice_below(dice, 33));
    r->has_sample = dice_below(dice, 2);
    r->sample = dice_below(dice, 2) * dice_roll(dice);
}

#endif
