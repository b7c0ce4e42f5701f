/* SPDX-License-Identifier: Apache-2.0
 *
 * What arrives on `up`: envelope, and every record in it. What is accepted must survive
 * being written again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/envelope.h"
#include "wire/gap_devices.h"
#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A list of devices that was accepted with its gap can be written again, with as many
 * devices, in bytes that are then always the same. */
static void check_devices(const wardgate_Record *record, const uint8_t *bytes, size_t n)
{
    static struct gap_devices list, again;
    uint8_t first[RECORD_SIZE_MAX], second[RECORD_SIZE_MAX];
    size_t count = gap_devices_read(bytes, n, &list);
    int size = record_encode_gap(record, &list, first, sizeof(first));

    if (size <= 0 || gap_devices_read(first, (size_t)size, &again) != count ||
        record_encode_gap(record, &again, second, sizeof(second)) != size ||
        memcmp(first, second, (size_t)size) != 0)
        abort();
}

/* An accepted record encodes; what that gives decodes to the same and encodes to the same
 * bytes. */
static void check_record(const uint8_t *bytes, size_t n)
{
    static wardgate_Record record, again;
    uint8_t first[RECORD_SIZE_MAX], second[RECORD_SIZE_MAX];
    const char *field = NULL;
    int size;

    if (record_decode(bytes, n, &record, &field) != WIRE_OK) {
        if (field == NULL)
            abort();
        return;
    }
    size = record_encode(&record, first, sizeof(first));
    if (size <= 0 || record_decode(first, (size_t)size, &again, NULL) != WIRE_OK ||
        record_encode(&again, second, sizeof(second)) != size ||
        memcmp(first, second, (size_t)size) != 0)
        abort();
    if (record.kind == wardgate_Record_Kind_GAP)
        check_devices(&record, bytes, n);
    for (pb_size_t i = 0; i < record.observations_count; i++) {
        char text[64];
        const wardgate_Observation *o = &record.observations[i];
        if (o->which_value == wardgate_Observation_mantissa_tag &&
            decimal_text(o->value.mantissa, o->exponent, text, sizeof(text)) <= 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct envelope_reader reader;
    const uint8_t *record;
    size_t n;
    int more;

    /* The record alone too: the fuzzer need not find the frame first. */
    check_record(data, size);
    if (envelope_open(&reader, data, size) != WIRE_OK)
        return 0;
    while ((more = envelope_next(&reader, &record, &n)) == 1) {
        if (record < data || record + n > data + size)
            abort();
        check_record(record, n);
    }
    if (more != 0) /* opening has walked it all */
        abort();
    return 0;
}
