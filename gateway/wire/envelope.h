/* SPDX-License-Identifier: Apache-2.0
 *
 * One MQTT message on `up`: records of one gateway and epoch. The store keeps each record
 * as it stands in the body (tag, length, record), so building an envelope is copying.
 */
#ifndef WIRE_ENVELOPE_H
#define WIRE_ENVELOPE_H

#include "base/ids.h"
#include "wire/record.h"

#define ENVELOPE_SIZE_MAX 65536 /* bytes of one MQTT payload */

/* Room that framing one record takes: tag and a length of up to RECORD_SIZE_MAX. */
#define ENVELOPE_ITEM_OVERHEAD 3

/* Writes tag + length + record to out. Returns the size or a wire_error. */
int envelope_item(const uint8_t *record, size_t n, uint8_t *out, size_t capacity);

struct envelope_writer {
    uint8_t *out;
    size_t capacity, head, used; /* head: bytes kept free for the outer frame */
    int records;
};

/* Begins an envelope in out. ENVELOPE_SIZE_MAX is the usual capacity. */
int envelope_begin(struct envelope_writer *writer, uint8_t *out, size_t capacity,
                   const char *gateway, const struct epoch *epoch);

/* Adds items as envelope_item made them (any number at once). WIRE_LIMIT: does not fit,
 * nothing added. */
int envelope_add(struct envelope_writer *writer, const uint8_t *items, size_t n);

/* Closes it. *payload points into out. Returns its size. */
int envelope_end(struct envelope_writer *writer, const uint8_t **payload);

struct envelope_reader {
    char gateway[NAME_MAX_LENGTH + 1];
    struct epoch epoch;
    const uint8_t *body;
    size_t size, at;
};

/* Checks the frame, gateway and epoch fields, and the framing of all records. An envelope
 * without a record is WIRE_INVALID: no gateway sends one. payload is borrowed and must
 * outlive the reader. */
int envelope_open(struct envelope_reader *reader, const uint8_t *payload, size_t n);

/* The next record's bytes. Returns 1 with *record and *n, 0 at the end, or a wire_error.
 */
int envelope_next(struct envelope_reader *reader, const uint8_t **record, size_t *n);

#endif
