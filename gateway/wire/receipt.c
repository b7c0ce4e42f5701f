/* SPDX-License-Identifier: Apache-2.0
 *
 * Receipts delete readings at the bedside. Whatever is not exactly as it should be is
 * refused whole: the price is a repeat.
 */
#include "wire/receipt.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "wire/record_check.h"

/* A receipt a second and a state a connection: nanopb's speed is plenty here. */
static int encode(const pb_msgdesc_t *fields, const void *message, uint8_t *out,
                  size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);

    return pb_encode(&stream, fields, message) ? (int)stream.bytes_written : WIRE_LIMIT;
}

/* nanopb fills a zeroed struct, so an absent field is 0 and caught by the checks. */
static int decode(const uint8_t *bytes, size_t n, const pb_msgdesc_t *fields,
                  void *message)
{
    pb_istream_t stream = pb_istream_from_buffer(bytes, n);

    return pb_decode(&stream, fields, message) ? WIRE_OK
                                               : decode_error(PB_GET_ERROR(&stream));
}

/* Names the field for whoever wants it. */
static int refuse(int error, const char *name, const char **field)
{
    if (error != WIRE_OK && field != NULL)
        *field = name;
    return error;
}

/* Ranges say what may be deleted: anything but a plain ascending list is refused whole.
 */
static const char *check_ranges(const wardgate_Receipt *receipt)
{
    uint64_t before = 0;

    for (pb_size_t i = 0; i < receipt->ranges_count; i++) {
        const wardgate_Range *range = &receipt->ranges[i];
        if (range->first == 0)
            return "ranges.first";
        if (range->last < range->first)
            return "ranges.last";
        if (range->first <= before)
            return "ranges";
        before = range->last;
    }
    return NULL;
}

/* A receipt says something: ranges, or where to begin again. */
static const char *check_receipt(const wardgate_Receipt *receipt)
{
    if (receipt->resend_from != 0 && !receipt->resend)
        return "resend_from";
    if (receipt->resend && receipt->resend_from == 0)
        return "resend_from";
    if (receipt->ranges_count == 0 && !receipt->resend)
        return "ranges";
    return check_ranges(receipt);
}

/* The chart's own mistakes are found here and not at every bedside. */
int receipt_encode(const wardgate_Receipt *receipt, uint8_t *out, size_t capacity)
{
    if (receipt->ranges_count > RECEIPT_RANGES_MAX)
        return WIRE_LIMIT;
    if (!name_valid(receipt->gateway) || check_receipt(receipt) != NULL)
        return WIRE_INVALID;
    return encode(wardgate_Receipt_fields, receipt, out, capacity);
}

/* Foreign before invalid: another gateway's receipt is a fault of routing, and nothing
 * in it concerns us. */
int receipt_decode(const uint8_t *bytes, size_t n, const char *gateway,
                   const struct epoch *epoch, wardgate_Receipt *receipt,
                   const char **field)
{
    const char *at_fault;
    int error = n > RECEIPT_SIZE_MAX ? WIRE_LIMIT
                                     : decode(bytes, n, wardgate_Receipt_fields, receipt);

    if (error != WIRE_OK)
        return refuse(error, "receipt", field);
    if (strcmp(receipt->gateway, gateway) != 0)
        return refuse(WIRE_FOREIGN, "gateway", field);
    if (memcmp(receipt->epoch, epoch->bytes, EPOCH_SIZE) != 0)
        return refuse(WIRE_FOREIGN, "epoch", field);
    at_fault = check_receipt(receipt);
    return at_fault != NULL ? refuse(WIRE_INVALID, at_fault, field) : WIRE_OK;
}

/* An epoch of zeros means that it was left out. */
static const char *check_state(const wardgate_State *state)
{
    static const uint8_t none[EPOCH_SIZE];

    if (!name_valid(state->gateway))
        return "gateway";
    if (state->boot == 0) /* what a clock says of itself is never 0 (base/clock.h) */
        return "boot";
    if (memcmp(state->epoch, none, EPOCH_SIZE) == 0)
        return "epoch";
    if (state->first_seq > state->next_seq)
        return "first_seq";
    if (state->next_seq == 0)
        return "next_seq";
    return text_valid(state->version, sizeof(state->version)) ? NULL : "version";
}

/* Also for the will, which is written when the link is made and sent when it is lost. */
int state_encode(const wardgate_State *state, uint8_t *out, size_t capacity)
{
    if (check_state(state) != NULL)
        return WIRE_INVALID;
    return encode(wardgate_State_fields, state, out, capacity);
}

/* The caller compares gateway and topic. */
int state_decode(const uint8_t *bytes, size_t n, wardgate_State *state,
                 const char **field)
{
    const char *at_fault;
    int error =
        n > STATE_SIZE_MAX ? WIRE_LIMIT : decode(bytes, n, wardgate_State_fields, state);

    if (error != WIRE_OK)
        return refuse(error, "state", field);
    at_fault = check_state(state);
    return at_fault != NULL ? refuse(WIRE_INVALID, at_fault, field) : WIRE_OK;
}
