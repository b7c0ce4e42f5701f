/* SPDX-License-Identifier: Apache-2.0
 *
 * What arrives on `down/receipt`: it says what may be deleted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ranges.h"
#include "wire/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct epoch epoch = {"0123456789abcdef"};
    static wardgate_Receipt receipt;
    uint8_t again[RECEIPT_SIZE_MAX];
    struct ranges set = {NULL, 0, 0};
    const char *field = NULL;
    uint64_t before = 0, total = 0;

    if (receipt_decode(data, size, "bay-1", &epoch, &receipt, &field) != WIRE_OK) {
        if (field == NULL)
            abort();
        return 0;
    }
    for (pb_size_t i = 0; i < receipt.ranges_count; i++) {
        const wardgate_Range *range = &receipt.ranges[i];
        if (range->first <= before || range->last < range->first)
            abort();
        before = range->last;
        total += range->last - range->first + 1;
        if (ranges_add(&set, range->first, range->last) != 0)
            abort();
    }
    if (ranges_total(&set) != total)
        abort();
    ranges_free(&set);
    if (receipt_encode(&receipt, again, sizeof(again)) <= 0)
        abort();
    return 0;
}
