/* SPDX-License-Identifier: Apache-2.0
 *
 * Covers mqtt_screen_feed: whatever a broker sends, and however it is cut, the verdict is
 * the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "link/mqtt_screen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mqtt_screen whole = {.fault = NULL}, cut = {.fault = NULL};
    size_t step;
    bool good = true;

    if (size == 0)
        return 0;
    step = data[0] % 16 + 1U;
    data++, size--;
    for (size_t i = 0; i < size; i += step)
        good = mqtt_screen_feed(&cut, data + i, size - i < step ? size - i : step);
    if (mqtt_screen_feed(&whole, data, size) != good && size > 0)
        abort();
    if (whole.fault != cut.fault || whole.left != cut.left || whole.type != cut.type)
        abort();
    return 0;
}
