/* SPDX-License-Identifier: Apache-2.0
 *
 * Nonin oximeters, data formats 2, 7, 8 and 13, and what their four drivers share: the
 * values that mean "missing", how quality is marked, and the one request that is ever
 * sent.
 */
#ifndef DRIVERS_NONIN_H
#define DRIVERS_NONIN_H

#include "drivers/driver.h"

#define NONIN_HR_MISSING   511
#define NONIN_SPO2_MISSING 127
#define NONIN_SELECT_SIZE  6
#define NONIN_HR_MIN       18 /* what the maker says the devices show; outside is flagged */
#define NONIN_HR_MAX       321

extern const struct driver nonin_df2;  /* 75 frames a second with checksum */
extern const struct driver nonin_df7;  /* the same with a 16-bit pleth */
extern const struct driver nonin_df8;  /* one frame a second, no checksum */
extern const struct driver nonin_df13; /* spot-check measurements, live and stored */

/* How the format selection stands. */
struct nonin_select {
    bool seen;      /* a frame of the format was seen: never ask again */
    uint32_t tries; /* selections sent */
};

/* Writes the selection of a format; returns NONIN_SELECT_SIZE. */
size_t nonin_select_write(uint8_t format, uint8_t *out);

/* struct driver's poll and may_send for a format: ask once a second for ten seconds,
 * because some devices listen only just after they were connected, then every ten
 * seconds, until data of the format was seen. */
size_t nonin_select_poll(struct nonin_select *select, uint8_t format, uint64_t now_ms,
                         uint8_t *out, uint64_t *again_ms);
bool nonin_select_allowed(uint8_t format, const uint8_t *bytes, size_t n);

/* True if the one byte that is left is the device's answer to a selection: no fault. */
bool nonin_select_answer(const struct nonin_select *select, const uint8_t *bytes,
                         size_t n);

/* Fills out with pulse rate and SpO2 as the device coded them (NONIN_*_MISSING for none).
 * quality is or-ed into both; with QUALITY_SENSOR_OFF both are absent. Returns false if a
 * value is one that the protocol does not have: it is then absent, invalid. */
bool nonin_set_make(struct observation_set *out, unsigned hr, unsigned spo2,
                    unsigned quality);

#endif
