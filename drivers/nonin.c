/* SPDX-License-Identifier: Apache-2.0
 *
 * What the four Nonin formats share; see nonin.h.
 */
#include "drivers/nonin.h"

#include "drivers/nomenclature.h"

#include <string.h>

#define STX            0x02
#define ETX            0x03
#define ACK            0x06
#define NAK            0x15
#define OP_SELECT      0x70
#define SELECT_TRIES   10
#define SELECT_FAST_MS 1000
#define SELECT_SLOW_MS 10000
#define SPO2_MAX       100

/* The length byte counts the two data bytes: the item that is set (2, the format) and its
 * value. */
size_t nonin_select_write(uint8_t format, uint8_t *out)
{
    const uint8_t request[NONIN_SELECT_SIZE] = {STX, OP_SELECT, 0x02, 0x02, format, ETX};

    memcpy(out, request, sizeof(request));
    return sizeof(request);
}

/* The slow repetition never ends: a device may be plugged in at any time, and a format
 * once chosen by someone else would otherwise stay for ever. */
size_t nonin_select_poll(struct nonin_select *select, uint8_t format, uint64_t now_ms,
                         uint8_t *out, uint64_t *again_ms)
{
    if (select->seen) {
        *again_ms = UINT64_MAX;
        return 0;
    }
    *again_ms = now_ms + (select->tries < SELECT_TRIES ? SELECT_FAST_MS : SELECT_SLOW_MS);
    if (select->tries < SELECT_TRIES)
        select->tries++;
    return nonin_select_write(format, out);
}

/* Built by the same function that sends it, so that the two cannot drift apart. */
bool nonin_select_allowed(uint8_t format, const uint8_t *bytes, size_t n)
{
    uint8_t request[NONIN_SELECT_SIZE];

    return n == nonin_select_write(format, request) && memcmp(bytes, request, n) == 0;
}

/* Only while we ask: once data flows, a 06 between frames is noise like any other. */
bool nonin_select_answer(const struct nonin_select *select, const uint8_t *bytes,
                         size_t n)
{
    return select->tries > 0 && !select->seen && n == 1 &&
           (*bytes == ACK || *bytes == NAK);
}

/* One of the two values. 0 is neither "missing" in this protocol nor a value that a
 * living patient's oximeter shows, but it is what a line of zero bytes decodes to: never
 * a value. */
static bool put(struct observation *o, unsigned value, unsigned missing, unsigned most,
                unsigned quality)
{
    o->quality = (uint16_t)quality;
    if (value != missing && (value == 0 || value > most)) {
        o->quality |= QUALITY_INVALID;
        return false;
    }
    if (value != missing && !(quality & QUALITY_SENSOR_OFF)) {
        o->kind = OBSERVATION_NUMERIC;
        o->mantissa = value;
    }
    return true;
}

/* Pulse first, then SpO2, always both: an absent one is information too. */
bool nonin_set_make(struct observation_set *out, unsigned hr, unsigned spo2,
                    unsigned quality)
{
    struct observation *pulse = &out->items[0], *saturation = &out->items[1];

    memset(out, 0, sizeof(*out));
    out->count = 2;
    pulse->code = MDC_PULS_OXIM_PULS_RATE;
    pulse->unit = MDC_DIM_BEAT_PER_MIN;
    saturation->code = MDC_PULS_OXIM_SAT_O2;
    saturation->unit = MDC_DIM_PERCENT;
    bool good = put(pulse, hr, NONIN_HR_MISSING, NONIN_HR_MISSING, quality);
    good &= put(saturation, spo2, NONIN_SPO2_MISSING, SPO2_MAX, quality);
    if (pulse->kind == OBSERVATION_NUMERIC && (hr < NONIN_HR_MIN || hr > NONIN_HR_MAX))
        pulse->quality |= QUALITY_OUT_OF_RANGE; /* flagged, never clipped */
    return good;
}
