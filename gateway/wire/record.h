/* SPDX-License-Identifier: Apache-2.0
 *
 * One record: the unit of storing, forwarding, receipting and charting. wardgate_Record
 * is the struct that nanopb makes from observation.proto; it needs no heap.
 */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/observation.pb.h"

#define RECORD_SIZE_MAX                                                                  \
    4096 /* bytes of an encoded record; a set of 32 text observations fits */

enum wire_error {
    WIRE_OK = 0,
    WIRE_MALFORMED = -1, /* not this protobuf, or truncated */
    WIRE_LIMIT = -2,     /* longer or more than the limits in observation.options */
    WIRE_INVALID =
        -3, /* well formed but breaks a rule: seq 0, reading without observations... */
    WIRE_FOREIGN = -4, /* another gateway or epoch than expected */
};

/* Encodes into out (capacity bytes). Returns the size, or a wire_error. */
int record_encode(const wardgate_Record *record, uint8_t *out, size_t capacity);

/* The same of a gap with the devices that it is made of (gap_devices.h; NULL: no list).
 * Their counts must add up to the gap's. */
struct gap_devices;
int record_encode_gap(const wardgate_Record *record, const struct gap_devices *devices,
                      uint8_t *out, size_t capacity);

/* Decodes and checks: seq > 0; kind known; a reading has a device, a time and 1..32
 * observations; exponents within -18..18; a gap has a gap, and so on. On an error *record
 * is unspecified and *field (if not NULL) names the field at fault. */
int record_decode(const uint8_t *bytes, size_t n, wardgate_Record *record,
                  const char **field);

/* "101.3", "-0.05", "72": exact decimal text with every digit, trailing zeros kept; never
 * an exponent. Returns the length, or WIRE_LIMIT if capacity is too small. */
int decimal_text(int64_t mantissa, int32_t exponent, char *out, size_t capacity);

#endif
