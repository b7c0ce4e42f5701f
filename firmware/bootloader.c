/* SPDX-License-Identifier: Apache-2.0
 *
 * See bootloader.h. The decision alone, so that the tests cut the power on the very code
 * that boards run.
 */
#include "firmware/bootloader.h"

/* A slot that can't be marked falls out, and the other one is asked. */
int bootloader_decide(struct slots *slots, const struct flash_area *const areas[SLOTS],
                      const char *board, const struct slots_verify *verify)
{
    int slot;

    slots_look(slots, areas, board, verify);
    while ((slot = slots_choose(slots)) != SLOT_NONE)
        if (slots_start(slots, slot))
            break;
    return slot;
}
