/* SPDX-License-Identifier: Apache-2.0
 *
 * Framing only: records are copied in and pointed out, never looked into. The writer
 * fills from the front and puts the outer frame, whose length is known last, directly
 * before the body.
 */
#include "wire/envelope.h"

#include <string.h>

#include "wire/protobuf.h"

#define OUTER_SIZE                                                                       \
    4 /* tag and a length of up to three bytes (2 MiB) in front of the body */

/* What the store keeps for each record, so that sending is copying. */
int envelope_item(const uint8_t *record, size_t n, uint8_t *out, size_t capacity)
{
    struct pb_out item = {out, out + capacity, false};

    if (n > RECORD_SIZE_MAX)
        return WIRE_LIMIT;
    if (n == 0)
        return WIRE_INVALID;
    pb_out_bytes(&item, wardgate_Body_records_tag, record, n);
    return item.full ? WIRE_LIMIT : (int)(item.at - out);
}

/* Gateway and epoch stand first, so that a reader may refuse early. */
int envelope_begin(struct envelope_writer *writer, uint8_t *out, size_t capacity,
                   const char *gateway, const struct epoch *epoch)
{
    struct pb_out body;

    if (!name_valid(gateway))
        return WIRE_INVALID;
    if (capacity > ENVELOPE_SIZE_MAX)
        capacity = ENVELOPE_SIZE_MAX;
    if (capacity < OUTER_SIZE)
        return WIRE_LIMIT;
    body = (struct pb_out){out + OUTER_SIZE, out + capacity, false};
    pb_out_bytes(&body, wardgate_Body_gateway_tag, gateway, strlen(gateway));
    pb_out_bytes(&body, wardgate_Body_epoch_tag, epoch->bytes, EPOCH_SIZE);
    if (body.full)
        return WIRE_LIMIT;

    writer->out = out;
    writer->capacity = capacity;
    writer->head = OUTER_SIZE;
    writer->used = (size_t)(body.at - out);
    writer->records = 0;
    return WIRE_OK;
}

/* Any number of items at once: a whole page of the store. */
int envelope_add(struct envelope_writer *writer, const uint8_t *items, size_t n)
{
    struct pb_in in = {items, items + n, false};
    struct pb_field field;
    int records = 0;

    if (n > writer->capacity - writer->used)
        return WIRE_LIMIT;
    /* What a damaged store hands us must not spoil its neighbours' framing. */
    while (pb_in_next(&in, &field)) {
        if (field.number != wardgate_Body_records_tag || field.kind != PB_BYTES)
            return WIRE_MALFORMED;
        records++;
    }
    if (in.bad)
        return WIRE_MALFORMED;
    memcpy(writer->out + writer->used, items, n);
    writer->used += n;
    writer->records += records;
    return WIRE_OK;
}

/* The payload need not begin where the buffer does. */
int envelope_end(struct envelope_writer *writer, const uint8_t **payload)
{
    uint8_t frame[OUTER_SIZE];
    struct pb_out outer = {frame, frame + sizeof(frame), false};
    size_t body = writer->used - writer->head, n;

    pb_out_tag(&outer, wardgate_Envelope_body_tag, PB_BYTES);
    pb_out_varint(&outer, body);
    n = (size_t)(outer.at - frame);

    /* The frame stands directly before the body, wherever that makes it begin. */
    memcpy(writer->out + writer->head - n, frame, n);
    *payload = writer->out + writer->head - n;
    return (int)(n + body);
}

/* The outer message: exactly one body, and no mac, because none can be checked yet. */
static int open_outer(struct envelope_reader *reader, const uint8_t *payload, size_t n)
{
    struct pb_in in = {payload, payload + n, false};
    struct pb_field field;

    reader->body = NULL;
    while (pb_in_next(&in, &field)) {
        if (field.number == wardgate_Envelope_body_tag) {
            if (field.kind != PB_BYTES || reader->body != NULL)
                return WIRE_MALFORMED;
            reader->body = field.bytes;
            reader->size = field.size;
        } else if (field.number == wardgate_Envelope_mac_tag &&
                   (field.kind != PB_BYTES || field.size > 0))
            return WIRE_INVALID;
    }
    return in.bad || reader->body == NULL ? WIRE_MALFORMED : WIRE_OK;
}

/* Exactly one, a name, without a NUL inside. */
static int take_gateway(struct envelope_reader *reader, const struct pb_field *field)
{
    if (field->kind != PB_BYTES || reader->gateway[0] != '\0')
        return WIRE_MALFORMED;
    if (field->size > NAME_MAX_LENGTH)
        return WIRE_LIMIT;
    memcpy(reader->gateway, field->bytes, field->size);
    reader->gateway[field->size] = '\0';
    return strlen(reader->gateway) == field->size && name_valid(reader->gateway)
               ? WIRE_OK
               : WIRE_INVALID;
}

/* Within the limits of a record; its content is record_decode's. */
static int take_record(const struct pb_field *field)
{
    if (field->kind != PB_BYTES)
        return WIRE_MALFORMED;
    if (field->size > RECORD_SIZE_MAX)
        return WIRE_LIMIT;
    return field->size == 0 ? WIRE_INVALID : WIRE_OK;
}

/* Walks the whole body before any record is handed out: an envelope that is cut or torn
 * is refused as one. */
static int open_body(struct envelope_reader *reader)
{
    struct pb_in in = {reader->body, reader->body + reader->size, false};
    struct pb_field field;
    bool has_epoch = false, any = false;
    int error = WIRE_OK;

    while (error == WIRE_OK && pb_in_next(&in, &field)) {
        if (field.number == wardgate_Body_gateway_tag)
            error = take_gateway(reader, &field);
        else if (field.number == wardgate_Body_epoch_tag) {
            if (field.kind != PB_BYTES || has_epoch)
                return WIRE_MALFORMED;
            if (field.size != EPOCH_SIZE)
                return WIRE_INVALID;
            memcpy(reader->epoch.bytes, field.bytes, EPOCH_SIZE);
            has_epoch = true;
        } else if (field.number == wardgate_Body_records_tag) {
            error = take_record(&field);
            any = true;
        }
    }
    if (error == WIRE_OK && in.bad)
        error = WIRE_MALFORMED;
    if (error == WIRE_OK && (reader->gateway[0] == '\0' || !has_epoch || !any))
        error = WIRE_INVALID;
    return error;
}

/* Whole or not at all. */
int envelope_open(struct envelope_reader *reader, const uint8_t *payload, size_t n)
{
    int error;

    memset(reader, 0, sizeof(*reader));
    if (n > ENVELOPE_SIZE_MAX)
        return WIRE_LIMIT;
    if ((error = open_outer(reader, payload, n)) != WIRE_OK)
        return error;
    return open_body(reader);
}

/* Walks on from where it stopped; everything was checked when it was opened. */
int envelope_next(struct envelope_reader *reader, const uint8_t **record, size_t *n)
{
    struct pb_in in = {reader->body + reader->at, reader->body + reader->size, false};
    struct pb_field field;

    while (pb_in_next(&in, &field)) {
        int error;
        reader->at = (size_t)(in.at - reader->body);
        if (field.number != wardgate_Body_records_tag)
            continue;
        if ((error = take_record(&field)) != WIRE_OK)
            return error;
        *record = field.bytes;
        *n = field.size;
        return 1;
    }
    return in.bad ? WIRE_MALFORMED : 0;
}
