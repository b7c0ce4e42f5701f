/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding by hand over protobuf.h, decoding by nanopb: DESIGN.md has the measurement.
 * One function a message, each in the order of its fields' numbers.
 */
#include "wire/record.h"

#include <pb_decode.h>
#include <string.h>

#include "wire/gap_devices.h"
#include "wire/protobuf.h"
#include "wire/record_check.h"

/* Fields are written in the order of their numbers: one record has one encoding, so that
 * its digest means something. */

static void put_text(struct pb_out *out, unsigned field, const char *text)
{
    pb_out_bytes(out, field, text, strlen(text)); /* record_check saw its end */
}

/* The message of which there are many: every byte here is paid for by each value. */
static void put_observation(struct pb_out *out, const wardgate_Observation *o)
{
    uint8_t *begin = pb_out_begin(out, wardgate_Record_observations_tag);

    pb_out_uint(out, wardgate_Observation_code_tag, o->code);
    pb_out_uint(out, wardgate_Observation_unit_tag, o->unit);
    /* A member of a oneof is written even when it is 0: 0 is a value, and absent is not.
     */
    if (o->which_value == wardgate_Observation_mantissa_tag) {
        pb_out_tag(out, wardgate_Observation_mantissa_tag, PB_VARINT);
        pb_out_varint(out, pb_zigzag(o->value.mantissa));
    } else if (o->which_value == wardgate_Observation_coded_tag) {
        pb_out_tag(out, wardgate_Observation_coded_tag, PB_VARINT);
        pb_out_varint(out, o->value.coded);
    } else if (o->which_value == wardgate_Observation_text_tag) {
        size_t n = strlen(o->value.text);
        pb_out_tag(out, wardgate_Observation_text_tag, PB_BYTES);
        pb_out_varint(out, n);
        pb_out_raw(out, o->value.text, n);
    }
    pb_out_uint(out, wardgate_Observation_exponent_tag, pb_zigzag(o->exponent));
    pb_out_uint(out, wardgate_Observation_quality_tag, o->quality);
    pb_out_uint(out, wardgate_Observation_site_tag, o->site);
    pb_out_uint(out, wardgate_Observation_method_tag, o->method);
    pb_out_end(out, begin);
}

/* Who said it. Empty texts are left out. */
static void put_device(struct pb_out *out, const wardgate_Device *device)
{
    uint8_t *begin = pb_out_begin(out, wardgate_Record_device_tag);

    put_text(out, wardgate_Device_id_tag, device->id);
    put_text(out, wardgate_Device_identity_tag, device->identity);
    put_text(out, wardgate_Device_profile_tag, device->profile);
    put_text(out, wardgate_Device_line_tag, device->line);
    pb_out_end(out, begin);
}

/* Whom it is about, by role; who that is, the gateway does not know. */
static void put_subject(struct pb_out *out, const wardgate_Subject *subject)
{
    uint8_t *begin = pb_out_begin(out, wardgate_Record_subject_tag);

    pb_out_uint(out, wardgate_Subject_role_tag, (uint64_t)subject->role);
    pb_out_uint(out, wardgate_Subject_number_tag, subject->number);
    pb_out_bytes(out, wardgate_Subject_digest_tag, subject->digest.bytes,
                 subject->digest.size);
    pb_out_end(out, begin);
}

/* Also inside a gap, twice. */
static void put_time(struct pb_out *out, unsigned field, const wardgate_TimeBlock *time)
{
    uint8_t *begin = pb_out_begin(out, field);

    pb_out_fixed64(out, wardgate_TimeBlock_boot_tag, time->boot);
    pb_out_uint(out, wardgate_TimeBlock_monotonic_us_tag, time->monotonic_us);
    pb_out_uint(out, wardgate_TimeBlock_utc_us_tag, pb_zigzag(time->utc_us));
    pb_out_uint(out, wardgate_TimeBlock_sync_tag, (uint64_t)time->sync);
    pb_out_uint(out, wardgate_TimeBlock_uncertainty_ms_tag, time->uncertainty_ms);
    put_text(out, wardgate_TimeBlock_device_time_tag, time->device_time);
    pb_out_uint(out, wardgate_TimeBlock_stored_tag, time->stored);
    pb_out_end(out, begin);
}

/* Silence, with its edges where they are known, and whose it is where that is several
 * devices'. */
static void put_gap(struct pb_out *out, const wardgate_Gap *gap,
                    const struct gap_devices *devices)
{
    uint8_t *begin = pb_out_begin(out, wardgate_Record_gap_tag);

    pb_out_uint(out, wardgate_Gap_reason_tag, (uint64_t)gap->reason);
    pb_out_uint(out, wardgate_Gap_count_tag, gap->count);
    pb_out_uint(out, wardgate_Gap_count_unknown_tag, gap->count_unknown);
    pb_out_uint(out, wardgate_Gap_from_seq_tag, gap->from_seq);
    pb_out_uint(out, wardgate_Gap_to_seq_tag, gap->to_seq);
    if (gap->has_from)
        put_time(out, wardgate_Gap_from_tag, &gap->from);
    if (gap->has_to)
        put_time(out, wardgate_Gap_to_tag, &gap->to);
    pb_out_uint(out, wardgate_Gap_from_sample_tag, gap->from_sample);
    pb_out_uint(out, wardgate_Gap_to_sample_tag, gap->to_sample);
    if (devices != NULL)
        gap_devices_put(out, devices);
    pb_out_end(out, begin);
}

/* A moment of which both clocks are known. */
static void put_clock_fix(struct pb_out *out, const wardgate_ClockFix *fix)
{
    uint8_t *begin = pb_out_begin(out, wardgate_Record_clock_fix_tag);

    pb_out_fixed64(out, wardgate_ClockFix_boot_tag, fix->boot);
    pb_out_uint(out, wardgate_ClockFix_monotonic_us_tag, fix->monotonic_us);
    pb_out_uint(out, wardgate_ClockFix_utc_us_tag, pb_zigzag(fix->utc_us));
    pb_out_uint(out, wardgate_ClockFix_uncertainty_ms_tag, fix->uncertainty_ms);
    pb_out_end(out, begin);
}

/* What happened to the gateway or a device. */
static void put_event(struct pb_out *out, const wardgate_Event *event)
{
    uint8_t *begin = pb_out_begin(out, wardgate_Record_event_tag);

    pb_out_uint(out, wardgate_Event_kind_tag, (uint64_t)event->kind);
    put_text(out, wardgate_Event_detail_tag, event->detail);
    pb_out_end(out, begin);
}

/* A device to a place, or a wristband's digest. */
static void put_binding(struct pb_out *out, const wardgate_Binding *binding)
{
    uint8_t *begin = pb_out_begin(out, wardgate_Record_binding_tag);

    put_text(out, wardgate_Binding_place_tag, binding->place);
    pb_out_bytes(out, wardgate_Binding_digest_tag, binding->digest.bytes,
                 binding->digest.size);
    put_text(out, wardgate_Binding_author_tag, binding->author);
    pb_out_uint(out, wardgate_Binding_ended_tag, binding->ended);
    pb_out_end(out, begin);
}

int record_encode(const wardgate_Record *record, uint8_t *bytes, size_t capacity)
{
    return record_encode_gap(record, NULL, bytes, capacity);
}

/* Checks first: what can't be read back must not be stored. */
int record_encode_gap(const wardgate_Record *record, const struct gap_devices *devices,
                      uint8_t *bytes, size_t capacity)
{
    struct pb_out out = {bytes, bytes + capacity, false};
    const char *field;
    int error;

    if (capacity > RECORD_SIZE_MAX)
        out.end = bytes + RECORD_SIZE_MAX;
    if ((error = record_check(record, &field)) != WIRE_OK)
        return error;
    if (devices != NULL && devices->count > 0 &&
        (!record->has_gap || !gap_devices_valid(devices, &record->gap)))
        return WIRE_INVALID;

    pb_out_uint(&out, wardgate_Record_seq_tag, record->seq);
    pb_out_uint(&out, wardgate_Record_kind_tag, (uint64_t)record->kind);
    if (record->has_device)
        put_device(&out, &record->device);
    put_text(&out, wardgate_Record_place_tag, record->place);
    if (record->has_subject)
        put_subject(&out, &record->subject);
    if (record->has_time)
        put_time(&out, wardgate_Record_time_tag, &record->time);
    pb_out_bytes(&out, wardgate_Record_order_token_tag, record->order_token.bytes,
                 record->order_token.size);
    for (pb_size_t i = 0; i < record->observations_count; i++)
        put_observation(&out, &record->observations[i]);
    if (record->has_gap)
        put_gap(&out, &record->gap, devices);
    if (record->has_clock_fix)
        put_clock_fix(&out, &record->clock_fix);
    if (record->has_event)
        put_event(&out, &record->event);
    if (record->has_binding)
        put_binding(&out, &record->binding);
    pb_out_uint(&out, wardgate_Record_sample_tag, record->sample);
    pb_out_uint(&out, wardgate_Record_has_sample_tag, record->has_sample);

    return out.full ? WIRE_LIMIT : (int)(out.at - bytes);
}

/* Decodes and then checks; a record that passes is safe to compute with. */
int record_decode(const uint8_t *bytes, size_t n, wardgate_Record *record,
                  const char **field)
{
    pb_istream_t stream = pb_istream_from_buffer(bytes, n);
    const char *at_fault = "record";
    int error = n > RECORD_SIZE_MAX ? WIRE_LIMIT : WIRE_OK;

    if (error == WIRE_OK && !pb_decode(&stream, wardgate_Record_fields, record))
        error = decode_error(PB_GET_ERROR(&stream));
    if (error == WIRE_OK)
        error = record_check(record, &at_fault);
    if (error == WIRE_OK && record->kind == wardgate_Record_Kind_GAP &&
        !gap_devices_bytes_valid(bytes, n, &record->gap)) {
        at_fault = "gap.devices";
        error = WIRE_INVALID;
    }
    if (error != WIRE_OK && field != NULL)
        *field = at_fault;
    return error;
}
