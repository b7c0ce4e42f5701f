/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program gets that reads the same line with libmodbus as its manual shows.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/fault/late_reply/lane.h"

#define LATE_MS 80 /* one reply, against a timeout of 60 ms */

unsigned plain_run(const char *folder, bool flush, unsigned polls, unsigned *shifted)
{
    static struct lane lane;
    const struct injection late = {.skip = 4,
                                   .count = 1,
                                   .fault = {.kind = MODBUS_FAULT_LATE,
                                             .value = LATE_MS * 1000},
                                   .in_order = true};
    modbus_t *context;
    unsigned wrong = 0;

    lane_open(&lane, folder, 90, 115200);
    context = modbus_new_rtu(lane.link, 115200, 'E', 8, 1);
    if (context == NULL || modbus_set_slave(context, 7) != 0 ||
        modbus_connect(context) != 0 ||
        modbus_set_response_timeout(context, 0, RESPONSE_MS * 1000) != 0)
        abort();
    lane_arm(&lane, &late);
    *shifted = 0;
    for (unsigned i = 0; i < polls; i++) {
        bool hr = i % 2 == 0;
        uint64_t before = clock_monotonic_us();
        uint16_t value;

        if (flush)
            (void)modbus_flush(context);
        if (modbus_read_registers(context, hr ? 0 : 100, 1, &value) != 1)
            continue;
        if (lane_judge(&lane, 7, hr, value, before, clock_monotonic_us()) != NULL) {
            wrong++;
            *shifted += i + 4 >= polls; /* still wrong at the very end */
        }
    }
    modbus_close(context);
    modbus_free(context);
    lane_close(&lane);
    return wrong;
}
