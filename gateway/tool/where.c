/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines from words. The defaults are the standard's: 19200 8E1.
 */
#include "tool/where.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 32

const char *const where_parities[] = {"none", "even", "odd", NULL};

int where_word(const char *text, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    return -1;
}

/* HOST:PORT if what follows the last colon is a number and nothing of it is a path. */
static bool split_host(const char *text, struct port_line *out)
{
    const char *colon = strrchr(text, ':');
    long long port;

    if (text[0] == '/' || text[0] == '.' || colon == NULL || colon == text ||
        !tool_number(colon + 1, 1, 65535, &port))
        return false;
    memcpy(out->path, text, (size_t)(colon - text));
    out->path[colon - text] = '\0';
    out->tcp_port = (uint16_t)port;
    return true;
}

static int number(const char *verb, const char *name, const char *text, long long low,
                  long long high, long long preset, long long *out)
{
    *out = preset;
    if (text == NULL || tool_number(text, low, high, out))
        return TOOL_OK;
    return tool_usage(verb, "--%s %s: expected %lld to %lld", name, text, low, high);
}

int where_read(const char *verb, const char *text, const struct where_options *options,
               struct port_line *out)
{
    static const char *const framings[] = {"", "ascii", "rtu", NULL};
    long long baud, stop, bits;
    int parity = DRIVER_PARITY_EVEN, framing = PORT_FRAMING_USUAL, code;

    memset(out, 0, sizeof *out);
    if (strlen(text) >= sizeof out->path)
        return tool_usage(verb, "the line's name is too long");
    if (!split_host(text, out))
        memcpy(out->path, text, strlen(text) + 1);
    if (options->parity != NULL &&
        (parity = where_word(options->parity, where_parities)) < 0)
        return tool_usage(verb, "--parity %s: expected even, odd or none",
                          options->parity);
    if (options->framing != NULL &&
        (framing = where_word(options->framing, framings)) < 1)
        return tool_usage(verb, "--framing %s: expected ascii or rtu", options->framing);
    if ((code = number(verb, "baud", options->baud, 1200, 921600, 19200, &baud)) != 0 ||
        (code = number(verb, "stop", options->stop, 1, 2,
                       parity == DRIVER_PARITY_NONE ? 2 : 1, &stop)) != 0 ||
        (code = number(verb, "bits", options->bits, 7, 8,
                       framing == PORT_FRAMING_ASCII ? 7 : 8, &bits)) != 0)
        return code;
    out->baud = (uint32_t)baud;
    out->parity = (uint8_t)parity;
    out->stop_bits = (uint8_t)stop;
    out->data_bits = (uint8_t)bits;
    out->framing = (uint8_t)framing;
    return TOOL_OK;
}

const char *where_text(const struct port_line *line, char *out)
{
    static const char letters[] = {'N', 'E', 'O'};

    if (line->tcp_port != 0)
        (void)snprintf(out, TEXT_SIZE, "port %u", line->tcp_port);
    else
        (void)snprintf(out, TEXT_SIZE, "%u %u%c%u", line->baud, line->data_bits,
                       letters[line->parity], line->stop_bits);
    return out;
}

int where_failed(const struct port_line *line, int error)
{
    int why = errno;

    if (error == PORT_BUSY)
        return tool_fail(TOOL_UNAVAILABLE,
                         "%s: another program has this line: stop wardgated, or take the "
                         "bus out of its configuration",
                         line->path);
    if (error == PORT_SETTING)
        return tool_fail(TOOL_USAGE,
                         "%s: a line can't be set like that, or is no "
                         "serial line",
                         line->path);
    return tool_fail(TOOL_UNAVAILABLE, "%s: %s", line->path, strerror(why));
}
