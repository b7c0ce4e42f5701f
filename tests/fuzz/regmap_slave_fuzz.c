/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated slave fed arbitrary bytes in both framings: it stays inside its buffers
 * and never changes its registers.
 */
#include "drivers/emulate/modbus_slave.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct modbus_unit *unit = malloc(sizeof(*unit));
    struct modbus_cell before[MODBUS_UNIT_CELLS_MAX];
    struct modbus_slave slave;
    struct emulate_output out = {0};
    struct modbus_fault fault = {0, 0, 0, 0};

    if (!unit || size < 2 ||
        modbus_unit_init(unit, 17, regmap_by_name("wardgate-monitor"))) {
        free(unit);
        return 0;
    }
    memcpy(before, unit->cells, sizeof(before));
    modbus_slave_init(&slave, data[0] & 1 ? MODBUS_TCP : MODBUS_RTU, unit, 1);
    fault.kind = data[0] >> 1 & 15;
    fault.value = data[1] * 7u;
    slave.faults = &fault;
    slave.fault_count = 1;
    for (size_t at = 2, n; at < size; at += n) {
        n = 1u + data[at] % 40;
        n = n < size - at ? n : size - at;
        modbus_slave_feed(&slave, data + at, n, at * 100, &out);
        if (out.count > EMULATE_BURSTS_MAX)
            abort();
        for (size_t i = 0; i < out.count; i++)
            if (out.bursts[i].size > EMULATE_BURST_MAX || out.bursts[i].size == 0)
                abort();
        out.count = 0;
    }
    if (memcmp(before, unit->cells, sizeof(before)) != 0)
        abort();
    free(unit);
    return 0;
}
