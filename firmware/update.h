/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts the update (update_server.h) behind a Modbus server as its user function.
 */
#ifndef FIRMWARE_UPDATE_H
#define FIRMWARE_UPDATE_H

#include "firmware/modbus_server.h"
#include "firmware/update_server.h"

/* Makes `server`, which is initialised, answer function 0x41 of unit 0. It is borrowed
 * for as long as the source is used. A restart is not answered: the node has gone. */
void update_attach(struct modbus_source *source, struct update_server *server);

#endif
