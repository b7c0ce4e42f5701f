/* SPDX-License-Identifier: Apache-2.0
 *
 * The running node's update: attached where the image was started from a slot, and left
 * out where it was not (no bootloader, or the host). The signature is the bootloader's to
 * look at: a node has no heap for it.
 */
#include "firmware/hal.h"
#include "firmware/node.h"
#include "firmware/update.h"

/* One image, one update. */
static struct update_config config;
static struct update_server server;
static bool attached;

/* The slot that holds this very function, or SLOT_NONE. */
static int own_slot(void)
{
    uintptr_t here = (uintptr_t)&own_slot;

    for (int i = 0; i < SLOTS; i++)
        if (here >= config.areas[i]->base &&
            here - config.areas[i]->base < config.areas[i]->size)
            return i;
    return SLOT_NONE;
}

/* Both replace the weak ones of node.c. */
void node_attach(struct modbus_source *source)
{
    config.areas[0] = hal_flash(HAL_FLASH_SLOT_A);
    config.areas[1] = hal_flash(HAL_FLASH_SLOT_B);
    if (config.areas[0] == NULL || config.areas[1] == NULL)
        return;
    config.board = hal_board();
    config.running = own_slot();
    if (config.running == SLOT_NONE)
        return;
    update_server_init(&server, &config);
    update_attach(source, &server);
    attached = true;
}

bool node_on_trial(void)
{
    return attached && server.slots.states[config.running] != SLOT_CONFIRMED;
}
