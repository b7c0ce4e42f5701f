/* SPDX-License-Identifier: Apache-2.0
 *
 * The running node's update: attached where the image was started from a slot, and left
 * out where it was not (no bootloader, or the host). The signature is the bootloader's to
 * look at: a node has no heap for it.
 */
#include "firmware/hal.h"
#include "firmware/node.h"
#include "firmware/update.h"

/* The slot that holds this very function, or SLOT_NONE. */
static int own_slot(const struct update_config *config)
{
    uintptr_t here = (uintptr_t)&own_slot;

    for (int i = 0; i < SLOTS; i++)
        if (here >= config->areas[i]->base &&
            here - config->areas[i]->base < config->areas[i]->size)
            return i;
    return SLOT_NONE;
}

/* Replaces the weak one of node.c. */
void node_attach(struct modbus_source *source)
{
    static struct update_config config;
    static struct update_server server;

    config.areas[0] = hal_flash(HAL_FLASH_SLOT_A);
    config.areas[1] = hal_flash(HAL_FLASH_SLOT_B);
    if (config.areas[0] == NULL || config.areas[1] == NULL)
        return;
    config.board = hal_board();
    config.running = own_slot(&config);
    if (config.running == SLOT_NONE)
        return;
    update_server_init(&server, &config);
    update_attach(source, &server);
}
