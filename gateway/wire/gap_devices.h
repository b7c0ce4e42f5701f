/* SPDX-License-Identifier: Apache-2.0
 *
 * Which device lost how much inside a gap that stands for records of several (P7). The
 * list is field 10 of Gap. It is kept beside wardgate_Record and not inside: only gaps of
 * a full store have it, and every record in memory would be 20 KB larger.
 *
 * A part is one device at one place. Parts are added up as records are given up, and a
 * gap that is itself given up hands its parts on, so what a device lost stays its own
 * however often the store is full.
 */
#ifndef WIRE_GAP_DEVICES_H
#define WIRE_GAP_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/observation.pb.h"

#define GAP_DEVICES_MAX 64 /* parts of one gap, the nameless one among them */
#define GAP_DEVICES_SIZE_MAX                                                             \
    3584 /* bytes they may take encoded: a record with them stays below RECORD_SIZE_MAX  \
          */

struct gap_devices { /* zero is empty */
    size_t count;    /* of items */
    size_t size;     /* bytes that the named parts take encoded */
    size_t last;     /* where the last part was found: devices take turns */
    wardgate_GapDevice items[GAP_DEVICES_MAX];
};

/* What one reading is as a part: count 1, at its time if its clock was known. */
void gap_devices_of_reading(const wardgate_Record *reading, wardgate_GapDevice *part);
/* What a gap record of one device is as a part: its count, from and to. Without a device:
 * a nameless part. */
void gap_devices_of_gap(const wardgate_Record *record, wardgate_GapDevice *part);

/* Adds to the part of the same device and place, or makes it. A part without an id goes
 * to the nameless one, for which there is always room. False, and nothing is changed, if
 * there is no room for a named one. */
bool gap_devices_add(struct gap_devices *list, const wardgate_GapDevice *part);
/* The same under no name: the count is kept, whose it was is not. */
void gap_devices_add_nameless(struct gap_devices *list, const wardgate_GapDevice *part);

/* The list inside a record's bytes, which record_decode has accepted. Returns how many
 * parts; list may have been anything before. */
size_t gap_devices_read(const uint8_t *record, size_t n, struct gap_devices *list);

/* --- private to wire/ --- */

struct pb_out;
void gap_devices_put(struct pb_out *out, const struct gap_devices *list);
/* The rules: counts that add up to the gap's, and what holds of each part. */
bool gap_devices_valid(const struct gap_devices *list, const wardgate_Gap *gap);
bool gap_devices_bytes_valid(const uint8_t *record, size_t n, const wardgate_Gap *gap);

#endif
