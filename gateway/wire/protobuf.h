/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds-checked protobuf in both directions, for the parts that are written or walked by
 * hand (see DESIGN.md for the measurement that decided it). Private to wire/.
 *
 * A writer that has run out of room stays full and writes nothing more, so only the end
 * needs a check. A cursor that has read past its end stays bad in the same way.
 */
#ifndef WIRE_PROTOBUF_H
#define WIRE_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum pb_kind {
    PB_VARINT = 0,
    PB_FIXED64 = 1,
    PB_BYTES = 2,
    PB_FIXED32 = 5
}; /* protobuf wire types */

/* --- Writing --- */

struct pb_out {
    uint8_t *at, *end;
    bool full;
};

static inline void pb_out_byte(struct pb_out *out, uint8_t byte)
{
    if (out->at == out->end)
        out->full = true;
    else
        *out->at++ = byte;
}

static inline void pb_out_varint(struct pb_out *out, uint64_t value)
{
    while (value >= 0x80) {
        pb_out_byte(out, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    pb_out_byte(out, (uint8_t)value);
}

static inline void pb_out_tag(struct pb_out *out, unsigned field, enum pb_kind kind)
{
    pb_out_varint(out, field << 3 | (unsigned)kind);
}

/* proto3: a scalar of value 0 is not written. */
static inline void pb_out_uint(struct pb_out *out, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    pb_out_tag(out, field, PB_VARINT);
    pb_out_varint(out, value);
}

/* sint32 and sint64: the sign moves to the lowest bit, so that small negatives stay
 * short. */
static inline uint64_t pb_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline void pb_out_fixed64(struct pb_out *out, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    pb_out_tag(out, field, PB_FIXED64);
    for (int i = 0; i < 8; i++, value >>= 8)
        pb_out_byte(out, (uint8_t)value);
}

static inline void pb_out_raw(struct pb_out *out, const void *bytes, size_t n)
{
    if ((size_t)(out->end - out->at) < n) {
        out->full = true;
        return;
    }
    memcpy(out->at, bytes, n);
    out->at += n;
}

static inline void pb_out_bytes(struct pb_out *out, unsigned field, const void *bytes,
                                size_t n)
{
    if (n == 0)
        return;
    pb_out_tag(out, field, PB_BYTES);
    pb_out_varint(out, n);
    pb_out_raw(out, bytes, n);
}

/* A nested message: begin keeps one byte for the length, end fills it in and moves the
 * content up in the rare case that the length needs more. That saves the sizing pass. */
static inline uint8_t *pb_out_begin(struct pb_out *out, unsigned field)
{
    pb_out_tag(out, field, PB_BYTES);
    pb_out_byte(out, 0);
    return out->at;
}

static inline void pb_out_end(struct pb_out *out, uint8_t *begin)
{
    size_t n = (size_t)(out->at - begin), more = 0;

    if (out->full)
        return;
    for (size_t rest = n >> 7; rest > 0; rest >>= 7)
        more++;
    if ((size_t)(out->end - out->at) < more) {
        out->full = true;
        return;
    }
    if (more > 0)
        memmove(begin + more, begin, n);
    out->at = begin - 1;
    pb_out_varint(out, n);
    out->at += n;
}

/* --- Reading --- */

struct pb_in {
    const uint8_t *at, *end;
    bool bad;
};

struct pb_field {
    uint32_t number;
    enum pb_kind kind;
    uint64_t value;       /* varint; a fixed one is skipped */
    const uint8_t *bytes; /* PB_BYTES: points into what is read */
    size_t size;
};

static inline uint64_t pb_in_varint(struct pb_in *in)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;
        if (in->at == in->end)
            break;
        byte = *in->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    in->bad = true;
    return 0;
}

static inline bool pb_in_take(struct pb_in *in, uint64_t n, const uint8_t **bytes)
{
    if (n > (uint64_t)(in->end - in->at)) {
        in->bad = true;
        return false;
    }
    *bytes = in->at;
    in->at += n;
    return true;
}

/* The next field whatever it is. False at the end, or when bad. */
static inline bool pb_in_next(struct pb_in *in, struct pb_field *field)
{
    uint64_t tag;

    if (in->bad || in->at == in->end)
        return false;
    tag = pb_in_varint(in);
    field->number = (uint32_t)(tag >> 3);
    field->kind = (enum pb_kind)(tag & 7);
    field->value = 0;
    field->bytes = NULL;
    field->size = 0;
    if (in->bad || tag > UINT32_MAX || field->number == 0) {
        in->bad = true;
        return false;
    }
    switch (field->kind) {
    case PB_VARINT:
        field->value = pb_in_varint(in);
        return !in->bad;
    case PB_FIXED64:
        return pb_in_take(in, 8, &field->bytes);
    case PB_FIXED32:
        return pb_in_take(in, 4, &field->bytes);
    case PB_BYTES:
        field->value = pb_in_varint(in);
        field->size = (size_t)field->value;
        /* Cut to 32 bits, a length of 4 GiB and some would look like a short one. */
        in->bad = in->bad || field->size != field->value;
        return !in->bad && pb_in_take(in, field->size, &field->bytes);
    }
    in->bad = true; /* groups, and kinds that do not exist */
    return false;
}

#endif
