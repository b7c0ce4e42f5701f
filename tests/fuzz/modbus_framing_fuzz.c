/* SPDX-License-Identifier: Apache-2.0
 *
 * modbus_framing: arbitrary bytes where a reply is judged, RTU and ASCII. What is taken
 * must have the shape that was asked for, and be the frame that its body makes.
 */
#include "ports/modbus_framing.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Digits may be of either case; the frame that we would make has upper ones. */
static bool same(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && !(a[i] >= 'a' && a[i] <= 'f' && a[i] - 32 == b[i]))
            return false;
    return true;
}

static void judge(const struct modbus_framing *framing,
                  const struct port_modbus_request *request, const uint8_t *bytes,
                  size_t n)
{
    uint8_t room[MODBUS_BODY_MAX], made[MODBUS_ASCII_MAX];
    const uint8_t *reply = NULL, *body;
    size_t size = 0, body_size;
    int error = modbus_framing_judge(framing, request, bytes, n, room, &reply, &size);

    must(error == 1 || error <= 0);
    if (error != PORT_OK && error != PORT_EXCEPTION)
        return;
    must(framing->length(bytes, n) == n);
    if (error == PORT_OK && request->function >= 3 && request->function <= 4)
        must(size == request->count * 2u);
    if (error == PORT_OK && request->function <= 2)
        must(size == (request->count + 7u) / 8);
    if (error == PORT_EXCEPTION)
        must(size == 1 && reply[0] != 0);
    body = framing->open(bytes, n, room, &body_size);
    must(body != NULL && body_size <= MODBUS_BODY_MAX && body[0] == request->unit);
    must(framing->seal(body, body_size, made) == n);
    must(framing == &modbus_ascii_framing ? same(bytes, made, n)
                                          : memcmp(bytes, made, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t functions[] = {1, 2, 3, 4, 17, 20, 24, 43};
    struct cursor c = cursor_make(data, size);
    uint8_t options = cursor_u8(&c);
    const struct modbus_framing *framing =
        options & 1 ? &modbus_ascii_framing : &modbus_rtu_framing;
    struct port_modbus_request request = {.function = functions[options >> 1 & 7],
                                          .unit = cursor_u8(&c),
                                          .count = (uint16_t)(1 + cursor_u8(&c) % 125),
                                          .address = 1};
    struct port_modbus_strays strays = {0};
    size_t n = cursor_remaining(&c);
    const uint8_t *bytes = cursor_bytes(&c, n);
    uint8_t *exact;

    if (c.failed || n == 0)
        return 0;
    /* A buffer of exactly its size: reading one byte behind it is found. */
    exact = malloc(n);
    if (exact == NULL)
        return 0;
    memcpy(exact, bytes, n);
    for (size_t have = n > 8 ? n - 8 : 1; have <= n; have++)
        judge(framing, &request, exact, have);
    (void)modbus_framing_scan(framing, &request, exact, n, &strays);
    must(strays.bytes == n && strays.unread <= strays.bytes);
    free(exact);
    return 0;
}
