/* SPDX-License-Identifier: Apache-2.0
 *
 * The times of characters and silences, and the words for errors.
 */
#include "ports/port.h"

#include <stddef.h>

/* By position; the order is that of enum port_error. */
const char *port_error_text(int error)
{
    static const char *const texts[] = {
        "ok",       "timeout",   "short",   "crc",     "foreign", "length", "early",
        "trailing", "exception", "refused", "setting", "busy",    "gone",
    };

    if (error > 0 || (size_t)-error >= sizeof texts / sizeof texts[0])
        return "unknown";
    return texts[-error];
}

bool port_answers_named(const struct port_line *line)
{
    return line->tcp_port != 0 && line->framing == PORT_FRAMING_USUAL;
}

/* A start bit always; a parity bit only if there is parity. */
uint32_t port_char_bits(const struct port_line *line)
{
    return 1u + line->data_bits + (line->parity == DRIVER_PARITY_NONE ? 0u : 1u) +
           line->stop_bits;
}

/* Rounded up once for all of them, so that a frame's time is not off by its length. */
uint64_t port_chars_us(const struct port_line *line, uint32_t n)
{
    if (line->tcp_port != 0 || line->baud == 0)
        return 0;
    return ((uint64_t)n * port_char_bits(line) * 1000000 + line->baud - 1) / line->baud;
}

/* For rates and limits; a frame's time is port_chars_us(). */
uint32_t port_char_us(const struct port_line *line)
{
    return (uint32_t)port_chars_us(line, 1);
}

/* Where it is reckoned, one is added: a gap that is a fraction too short is none. */
uint32_t port_gap_us(const struct port_line *line)
{
    if (line->tcp_port != 0 || line->baud == 0)
        return 0;
    /* Modbus over serial line V1.02, 2.5.1.1: above 19,200 baud the fixed value spares
     * the receivers an interrupt per fraction of a millisecond. */
    if (line->baud > 19200)
        return 1750;
    return (uint32_t)((uint64_t)port_char_bits(line) * 3500000 / line->baud + 1);
}
