/* SPDX-License-Identifier: Apache-2.0
 *
 * What the gateway reads of a bed node: the samples block, where a sample lies, and one
 * sample, as it came and with its check made good. What is accepted keeps to what
 * drivers/observation.h promises to all who read sets.
 */
#include "drivers/wardgate_node.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/checksum.h"

#define STATUS      (WARDGATE_NODE_REGISTERS * 2)
#define CHECK_AT    14
#define ENTRIES_MAX 18

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(const struct observation *o)
{
    size_t n = strnlen(o->text, sizeof(o->text));

    must(n < sizeof(o->text));
    must(n == 0 || o->kind == OBSERVATION_TEXT);
    for (size_t i = 0; i < n; i++)
        must(o->text[i] >= ' ' && o->text[i] <= '~');
}

static void check_time(const struct device_time *t)
{
    if (t->present)
        must(t->month >= 1 && t->month <= 12 && t->day >= 1 && t->day <= 31 &&
             t->hour <= 23 && t->minute <= 59 && t->second <= 60);
}

static void check_sample(const struct wardgate_node_status *status, const uint8_t *bytes,
                         size_t n)
{
    struct wardgate_node_sample sample;
    const struct observation_set *set = &sample.set;
    int error = wardgate_node_sample(status, bytes, n, &sample);

    must(error <= WARDGATE_NODE_OK && error >= WARDGATE_NODE_EMPTY);
    must(set->count <= ENTRIES_MAX);
    if (error == WARDGATE_NODE_EMPTY)
        must(set->count == 0);
    if (error != WARDGATE_NODE_OK)
        return;
    must(n == (size_t)status->record_registers * 2 && set->count > 0);
    must(set->has_sample &&
         set->sample == ((uint64_t)status->series << 32 | sample.number));
    must(sample.age_ms < UINT64_C(1) << 48);
    check_time(&set->device_time);
    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        must(o->code != 0 && o->kind <= OBSERVATION_TEXT);
        must(o->exponent >= OBSERVATION_EXPONENT_MIN &&
             o->exponent <= OBSERVATION_EXPONENT_MAX);
        must(o->kind == OBSERVATION_NUMERIC || o->mantissa == 0);
        must(o->kind == OBSERVATION_CODED || o->coded == 0);
        check_text(o);
    }
}

static void check_place(const struct wardgate_node_status *status, uint32_t number)
{
    uint16_t file, record;

    wardgate_node_place(status, number, &file, &record);
    must(file >= 1 && record % status->record_registers == 0 &&
         record + status->record_registers <= 10000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wardgate_node_status status;
    size_t n;
    uint8_t *copy;

    if (wardgate_node_status(data, size < STATUS ? size : STATUS, &status) !=
        WARDGATE_NODE_OK)
        return 0;
    must(size >= STATUS);
    check_place(&status, status.first);
    check_place(&status, status.next);
    n = size - STATUS;
    copy = malloc(n > 0 ? n : 1);
    must(copy != NULL);
    memcpy(copy, data + STATUS, n);
    check_sample(&status, copy, n);
    if (n >= CHECK_AT + 2) {
        uint16_t crc;
        copy[CHECK_AT] = copy[CHECK_AT + 1] = 0;
        crc = (uint16_t)(checksum_modbus(copy, n) ^ status.series >> 16 ^
                         (status.series & 0xFFFF));
        copy[CHECK_AT] = (uint8_t)(crc >> 8);
        copy[CHECK_AT + 1] = (uint8_t)crc;
        check_sample(&status, copy, n);
    }
    free(copy);
    return 0;
}
