/* SPDX-License-Identifier: Apache-2.0
 *
 * What a device says of itself. Its bytes are foreign: read by a cursor, and shown
 * without what a terminal would obey.
 */
#include "tool/who.h"

#include <string.h>

#include "drivers/cursor.h"

#define READ_ID   43
#define BASIC     1
#define REPORT    17
#define SETTLE_US 20000

int who_ask(struct port_modbus *port, uint8_t unit, const struct regmap_block *block,
            uint32_t timeout_us, uint32_t late_us, struct port_modbus_reply *reply)
{
    const struct port_modbus_request request = {.unit = unit,
                                                .function = block->function,
                                                .address = block->address,
                                                .count = block->count,
                                                .timeout_us = timeout_us,
                                                .worst_us = timeout_us + late_us};

    return port_modbus_ask(port, &request, reply);
}

/* Behind what is there already, with a space between. */
static void add(char *text, const uint8_t *bytes, size_t n)
{
    size_t at = strlen(text);

    if (n == 0 || at + n + 2 > WHO_TEXT_MAX)
        return;
    if (at > 0)
        text[at++] = ' ';
    for (size_t i = 0; i < n; i++) {
        text[at++] = '?';
        if (bytes[i] >= ' ' && bytes[i] <= '~')
            text[at - 1] = (char)bytes[i];
    }
    text[at] = '\0';
}

/* MEI type, id code, conformity, more, next, count, then id, length and text of each. */
static void read_objects(const struct port_modbus_reply *reply, char *text)
{
    struct cursor in = cursor_make(reply->data, reply->size);
    uint8_t count;

    (void)cursor_bytes(&in, 5);
    count = cursor_u8(&in);
    while (count-- > 0) {
        uint8_t n;
        const uint8_t *bytes;

        (void)cursor_u8(&in);
        n = cursor_u8(&in);
        bytes = cursor_bytes(&in, n);
        if (bytes == NULL)
            return;
        add(text, bytes, n);
    }
}

void who_is(struct port_modbus *port, uint8_t unit, uint32_t timeout_us, char *text)
{
    const struct regmap_block id = {.function = READ_ID, .address = BASIC},
                              report = {.function = REPORT};
    struct port_modbus_reply reply;

    text[0] = '\0';
    if (who_ask(port, unit, &id, timeout_us, SETTLE_US, &reply) == PORT_OK)
        read_objects(&reply, text);
    if (text[0] == '\0' &&
        who_ask(port, unit, &report, timeout_us, SETTLE_US, &reply) == PORT_OK &&
        reply.size > 2)
        add(text, reply.data + 2, reply.size - 2u);
}
