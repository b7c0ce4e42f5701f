/* SPDX-License-Identifier: Apache-2.0
 *
 * What outlives a reset. Two copies, written in turn: a reset in the middle of one leaves
 * the other. What stands there after a power-off fails its check, but for 1 in 65,536
 * that the start counter in flash then tells from the true one.
 */
#include "firmware/node.h"

#include <string.h>

#include "drivers/checksum.h"

_Static_assert(2 * sizeof(struct node_memory) <= HAL_RETAINED_SIZE, "both copies fit");

/* Over everything but the check itself. */
static uint16_t check_of(const struct node_memory *memory)
{
    struct node_memory copy = *memory;

    copy.check = 0;
    return checksum_modbus((const uint8_t *)&copy, sizeof copy);
}

static bool good(const struct node_memory *memory)
{
    return memory->change != 0 && memory->check == check_of(memory);
}

bool node_memory_load(struct node_memory *memory, const void *bytes)
{
    struct node_memory copies[2];
    bool ok[2];

    memcpy(copies, bytes, sizeof copies);
    ok[0] = good(&copies[0]);
    ok[1] = good(&copies[1]);
    memset(memory, 0, sizeof *memory);
    if (!ok[0] && !ok[1])
        return false;
    *memory = copies[!ok[0] || (ok[1] && copies[1].change > copies[0].change)];
    return true;
}

/* The number of the change chooses the copy, so that they take turns. */
void node_memory_save(struct node_memory *memory, void *bytes)
{
    memory->change++;
    memory->check = check_of(memory);
    memcpy((uint8_t *)bytes + (memory->change % 2) * sizeof *memory, memory,
           sizeof *memory);
}

/* After a power-off a new series of numbers begins, named by the start's number and the
 * part's serial number. After a reset the old one goes on: the jump in the numbers then
 * says how many samples the reset has cost. */
void node_memory_begin(struct node_memory *memory, bool known, uint32_t boot,
                       const char *serial, enum hal_reset cause,
                       const struct hal_fault *fault)
{
    uint16_t who = checksum_modbus((const uint8_t *)serial, strlen(serial));

    memory->boot = boot != 0 ? boot : memory->boot + 1;
    if (!known) {
        memory->series = memory->boot << 16 | who;
        for (unsigned i = 0; i < HAL_DEVICES_MAX; i++)
            memory->next[i] = 1;
    }
    memory->watchdogs = (uint16_t)(memory->watchdogs + (cause == HAL_RESET_WATCHDOG));
    memory->brown_outs = (uint16_t)(memory->brown_outs + (cause == HAL_RESET_BROWN_OUT));
    if (fault->kind != 0) {
        memory->faults++;
        memory->fault = *fault;
        memory->fault_boot = memory->boot - 1;
    }
}
