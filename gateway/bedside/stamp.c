/* SPDX-License-Identifier: Apache-2.0 */
#include "bedside/stamp.h"

#include <stdio.h>
#include <string.h>

void stamp_init(struct stamp *stamp, int64_t floor_utc_us)
{
    memset(stamp, 0, sizeof(*stamp));
    stamp->floor_utc_us = floor_utc_us;
    stamp->sync = CLOCK_UNKNOWN;
}

void stamp_trust_wall(struct stamp *stamp, uint32_t uncertainty_ms)
{
    stamp->wall_ms = uncertainty_ms > 0 ? uncertainty_ms : 1;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
}

/* Milliseconds that a free-running crystal may have drifted, rounded up. */
static uint64_t drift_ms(uint64_t us)
{
    return us / (1000000 / STAMP_DRIFT_PPM) / 1000 + 1;
}

/* The kernel's word, or the wall clock's own where it is trusted: SYNCED with *ms, else
 * UNKNOWN. */
static enum clock_sync source(const struct stamp *stamp, const struct instant *now,
                              uint64_t *ms)
{
    if (now->utc_us < stamp->floor_utc_us)
        return CLOCK_UNKNOWN; /* no true time is earlier, whoever says so */
    if (now->sync == CLOCK_SYNCED) {
        *ms = now->uncertainty_ms;
        return CLOCK_SYNCED;
    }
    if (stamp->wall_ms > 0) {
        *ms = stamp->wall_ms + magnitude(stamp->deviation_us) / 1000;
        return CLOCK_SYNCED;
    }
    return CLOCK_UNKNOWN;
}

/* Judges sync and uncertainty of this moment. */
static void judge(struct stamp *stamp, const struct instant *now, bool stepped)
{
    uint64_t ms = 0;

    if (source(stamp, now, &ms) == CLOCK_SYNCED) {
        stamp->sync = CLOCK_SYNCED;
        stamp->synced_us = now->monotonic_us;
        stamp->synced_ms = (uint32_t)(ms < UINT32_MAX ? ms : UINT32_MAX);
    } else if (stamp->sync != CLOCK_UNKNOWN && !stepped &&
               now->utc_us >= stamp->floor_utc_us) {
        stamp->sync = CLOCK_HOLDOVER;
        ms = stamp->synced_ms + drift_ms(now->monotonic_us - stamp->synced_us);
    } else {
        /* Never synchronised, or set by someone since: nobody vouches for it. */
        stamp->sync = CLOCK_UNKNOWN;
    }
    if (ms > STAMP_HOLDOVER_MAX_MS)
        stamp->sync = CLOCK_UNKNOWN;
    stamp->uncertainty_ms = stamp->sync == CLOCK_UNKNOWN ? 0 : (uint32_t)ms;
}

void stamp_look(struct stamp *stamp, const struct instant *now, struct stamp_notes *notes)
{
    int64_t offset_us = now->utc_us - (int64_t)now->monotonic_us;
    enum clock_sync before = stamp->sync;

    memset(notes, 0, sizeof(*notes));
    if (stamp->looked && magnitude(offset_us - stamp->offset_us) > STAMP_STEP_US) {
        notes->stepped = true;
        notes->step_us = offset_us - stamp->offset_us;
        /* A board that comes out of 1970 was not believed before: that is no deviation.
         */
        if (before != CLOCK_UNKNOWN || stamp->deviation_us != 0)
            stamp->deviation_us += notes->step_us;
    }
    if (now->sync == CLOCK_SYNCED)
        stamp->deviation_us = 0; /* the kernel vouches for this offset */
    stamp->looked = true;
    stamp->looked_us = now->monotonic_us;
    stamp->offset_us = offset_us;
    stamp->boot = now->boot;
    judge(stamp, now, notes->stepped);

    if (stamp->sync == CLOCK_SYNCED &&
        (before != CLOCK_SYNCED || notes->stepped || !stamp->fixed ||
         now->monotonic_us - stamp->fixed_us >= STAMP_FIX_EVERY_US)) {
        notes->fix = true;
        stamp->fixed = true;
        stamp->fixed_us = now->monotonic_us;
    }
    notes->now = *now;
    notes->now.sync = stamp->sync;
    notes->now.uncertainty_ms = stamp->uncertainty_ms;
}

void stamp_time(const struct stamp *stamp, uint64_t monotonic_us,
                wardgate_TimeBlock *time)
{
    memset(time, 0, sizeof(*time));
    time->boot = stamp->boot;
    time->monotonic_us = monotonic_us;
    time->utc_us = (int64_t)monotonic_us + stamp->offset_us;
    time->sync = (wardgate_TimeBlock_Sync)stamp->sync; /* same numbers on purpose */
    time->uncertainty_ms = stamp->uncertainty_ms;
}

int64_t stamp_known_utc(const struct stamp *stamp)
{
    if (stamp->sync == CLOCK_UNKNOWN)
        return 0;
    return (int64_t)stamp->looked_us + stamp->offset_us -
           (int64_t)stamp->uncertainty_ms * US_PER_MS;
}

/* Copies text and cuts it, never inside a UTF-8 character. */
static void copy_cut(char *out, size_t size, const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;

    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    if (n > 0)
        memcpy(out, text, n);
    out[n] = '\0';
}

void stamp_origin_fill(const struct stamp_origin *origin, wardgate_Record *record)
{
    record->has_device = true;
    copy_cut(record->device.id, sizeof(record->device.id), origin->device);
    copy_cut(record->device.identity, sizeof(record->device.identity), origin->identity);
    copy_cut(record->device.profile, sizeof(record->device.profile), origin->profile);
    copy_cut(record->device.line, sizeof(record->device.line), origin->line);
    copy_cut(record->place, sizeof(record->place), origin->place);
    if (origin->role != wardgate_Subject_Role_PATIENT) {
        record->has_subject = true;
        record->subject.role = (wardgate_Subject_Role)origin->role;
        record->subject.number = origin->number;
    }
}

/* A device that watches mother and child knows better than its configuration. */
static void fill_subject(const struct observation_set *set, wardgate_Record *record)
{
    if (set->subject == OBSERVATION_AS_CONFIGURED)
        return;
    record->has_subject = set->subject == OBSERVATION_OF_FETUS;
    record->subject.role =
        record->has_subject ? wardgate_Subject_Role_FETUS : wardgate_Subject_Role_PATIENT;
    record->subject.number = record->has_subject ? set->number : 0;
}

static void fill_device_time(const struct device_time *from, wardgate_TimeBlock *time)
{
    if (!from->present)
        return;
    snprintf(time->device_time, sizeof(time->device_time),
             "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned)from->year, (unsigned)from->month,
             (unsigned)from->day, (unsigned)from->hour, (unsigned)from->minute,
             (unsigned)from->second);
}

static void fill_observation(const struct observation *from, wardgate_Observation *to)
{
    to->code = from->code;
    to->unit = from->unit;
    to->site = from->site;
    to->method = from->method;
    to->quality = from->quality;
    switch ((enum observation_kind)from->kind) {
    case OBSERVATION_NUMERIC:
        to->which_value = wardgate_Observation_mantissa_tag;
        to->value.mantissa = from->mantissa;
        to->exponent = +from->exponent;
        break;
    case OBSERVATION_CODED:
        to->which_value = wardgate_Observation_coded_tag;
        to->value.coded = from->coded;
        break;
    case OBSERVATION_TEXT:
        to->which_value = wardgate_Observation_text_tag;
        copy_cut(to->value.text, sizeof(to->value.text), from->text);
        break;
    case OBSERVATION_ABSENT: /* no value is not 0: nothing is written */
        break;
    }
}

bool stamp_reading(const struct stamp *stamp, const struct stamp_origin *origin,
                   const struct observation_set *set, uint64_t measured_us,
                   wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    if (set->count == 0 || set->count > OBSERVATIONS_MAX)
        return false;
    record->kind = wardgate_Record_Kind_READING;
    stamp_origin_fill(origin, record);
    fill_subject(set, record);
    record->has_time = true;
    stamp_time(stamp, measured_us, &record->time);
    fill_device_time(&set->device_time, &record->time);
    record->time.stored = set->stored;
    record->sample = set->has_sample ? set->sample : 0;
    record->has_sample = set->has_sample;
    for (size_t i = 0; i < set->count; i++)
        fill_observation(&set->items[i], &record->observations[i]);
    record->observations_count = (pb_size_t)set->count;
    return true;
}

void stamp_binding(const struct stamp *stamp, const struct stamp_origin *origin,
                   const uint8_t digest[DIGEST_SIZE], uint64_t measured_us,
                   wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    record->kind = wardgate_Record_Kind_BINDING;
    stamp_origin_fill(origin, record);
    record->has_subject = false; /* whose band it is, the band says */
    record->has_time = true;
    stamp_time(stamp, measured_us, &record->time);
    record->has_binding = true;
    copy_cut(record->binding.place, sizeof(record->binding.place), origin->place);
    copy_cut(record->binding.author, sizeof(record->binding.author), "scan");
    record->binding.digest.size = DIGEST_SIZE;
    memcpy(record->binding.digest.bytes, digest, DIGEST_SIZE);
}

void stamp_event(const struct stamp *stamp, const struct stamp_origin *origin,
                 wardgate_Event_Kind kind, const char *detail, uint64_t monotonic_us,
                 wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    record->kind = wardgate_Record_Kind_EVENT;
    if (origin != NULL)
        stamp_origin_fill(origin, record);
    record->has_time = true;
    stamp_time(stamp, monotonic_us, &record->time);
    record->has_event = true;
    record->event.kind = kind;
    copy_cut(record->event.detail, sizeof(record->event.detail), detail);
}

/* The time block of a look. */
static void notes_time(const struct stamp_notes *notes, wardgate_TimeBlock *time)
{
    time->boot = notes->now.boot;
    time->monotonic_us = notes->now.monotonic_us;
    time->utc_us = notes->now.utc_us;
    time->sync = (wardgate_TimeBlock_Sync)notes->now.sync;
    time->uncertainty_ms = notes->now.uncertainty_ms;
}

void stamp_stepped(const struct stamp_notes *notes, wardgate_Record *record)
{
    uint64_t ms = magnitude(notes->step_us) / 1000;

    memset(record, 0, sizeof(*record));
    record->kind = wardgate_Record_Kind_EVENT;
    record->has_time = true;
    notes_time(notes, &record->time);
    record->has_event = true;
    record->event.kind = wardgate_Event_Kind_CLOCK_STEPPED;
    snprintf(record->event.detail, sizeof(record->event.detail),
             "wall clock set %s by %llu.%03llu s",
             notes->step_us < 0 ? "back" : "forward", (unsigned long long)(ms / 1000),
             (unsigned long long)(ms % 1000));
}

void stamp_fix(const struct stamp_notes *notes, wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    record->kind = wardgate_Record_Kind_CLOCK_FIX;
    record->has_time = true;
    notes_time(notes, &record->time);
    record->has_clock_fix = true;
    record->clock_fix.boot = notes->now.boot;
    record->clock_fix.monotonic_us = notes->now.monotonic_us;
    record->clock_fix.utc_us = notes->now.utc_us;
    record->clock_fix.uncertainty_ms = notes->now.uncertainty_ms;
}
