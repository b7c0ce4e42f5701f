/* SPDX-License-Identifier: Apache-2.0
 *
 * See update.h.
 */
#include "firmware/update.h"

#include "firmware/hal.h"

/* One node has one flash, whichever of its units is asked; only the first answers. */
static int answer(void *context, unsigned unit, struct cursor *request,
                  struct modbus_reply *reply)
{
    struct update_server *server = context;
    uint8_t bytes[UPDATE_REPLY_MAX];
    size_t n;
    int exception;

    if (unit != 0)
        return MODBUS_BAD_FUNCTION;
    exception = update_server_answer(server, request, bytes, &n);
    if (server->restart) {
        server->restart = false;
        hal_reset();
        return MODBUS_SILENT; /* a host's hal_reset() may return */
    }
    modbus_reply_bytes(reply, bytes, n);
    return exception;
}

void update_attach(struct modbus_source *source, struct update_server *server)
{
    source->user_code = UPDATE_FUNCTION;
    source->user_function = answer;
    source->user_context = server;
}
