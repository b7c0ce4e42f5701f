/* SPDX-License-Identifier: Apache-2.0
 *
 * See lend.h. The connection itself is the lease: the kernel closes it when this program
 * dies, so that no bay stays dark for a crashed tool.
 */
#include "tool/lend.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/control.h"
#include "drivers/driver.h"
#include "tool/ask.h"
#include "tool/tool.h"

#define WAIT_S   20 /* an exchange, and the pause before opening a line that is gone */
#define RENEW_US (5 * (uint64_t)US_PER_S)
#define LOOK_NS  50000000L
#define LINE_MAX 4096

struct lend {
    FILE *stream; /* the connection, for reading */
    char request[PORT_PATH_MAX + 256];
    uint64_t renewed_us;
};

/* One question, one answer; NULL when the connection is no more. */
static json_t *question(struct lend *lend)
{
    size_t n = strlen(lend->request);
    char line[LINE_MAX];

    if (send(fileno(lend->stream), lend->request, n, MSG_NOSIGNAL) != (ssize_t)n ||
        fgets(line, sizeof(line), lend->stream) == NULL)
        return NULL;
    lend->renewed_us = clock_monotonic_us();
    return json_loads(line, JSON_REJECT_DUPLICATES, NULL);
}

/* The path and settings that wardgated uses: whoever borrows need not know them. */
static void settings(const json_t *answer, struct port_line *line)
{
    const char *port = json_string_value(json_object_get(answer, "port"));
    const char *parity = json_string_value(json_object_get(answer, "parity"));

    if (port != NULL && strlen(port) <= PORT_PATH_MAX)
        (void)snprintf(line->path, sizeof(line->path), "%s", port);
    line->baud = (uint32_t)json_integer_value(json_object_get(answer, "baud"));
    line->data_bits = 8;
    line->parity = DRIVER_PARITY_NONE;
    if (parity != NULL && strcmp(parity, "none") != 0)
        line->parity =
            strcmp(parity, "even") == 0 ? DRIVER_PARITY_EVEN : DRIVER_PARITY_ODD;
    line->stop_bits = (uint8_t)json_integer_value(json_object_get(answer, "stop_bits"));
    line->rs485 = json_is_true(json_object_get(answer, "rs485"));
}

enum got { GOT_LINE, GOT_NOTHING, GOT_LATER, GOT_REFUSED };

static enum got judge(const json_t *answer, struct port_line *line)
{
    const char *error = json_string_value(json_object_get(answer, "error"));

    if (!json_is_true(json_object_get(answer, "ok"))) {
        (void)tool_fail(TOOL_UNAVAILABLE, "wardgated does not lend the line: %.200s",
                        error != NULL ? error : "no reason given");
        return GOT_REFUSED;
    }
    if (!json_is_string(json_object_get(answer, "bus")))
        return GOT_NOTHING;
    if (!json_is_true(json_object_get(answer, "lent")))
        return GOT_LATER;
    settings(answer, line);
    return GOT_LINE;
}

/* Until the line is closed, or can't be had. */
static enum got wait_for_line(struct lend *lend, struct port_line *line)
{
    const struct timespec look = {0, LOOK_NS};
    uint64_t until = clock_monotonic_us() + WAIT_S * (uint64_t)US_PER_S;
    enum got got;

    do {
        json_t *answer = question(lend);
        if (answer == NULL) {
            (void)tool_fail(TOOL_UNAVAILABLE, "wardgated ended the conversation");
            return GOT_REFUSED;
        }
        got = judge(answer, line);
        json_decref(answer);
        if (got != GOT_LATER)
            return got;
        (void)nanosleep(&look, NULL);
    } while (clock_monotonic_us() < until);
    (void)tool_fail(TOOL_UNAVAILABLE, "wardgated did not close the line in %d s", WAIT_S);
    return GOT_REFUSED;
}

/* Nobody there, or one that we may not talk to: the line's own lock has the last word. */
static int nobody(int error, const char *path, const char *bus)
{
    if (bus != NULL)
        return tool_fail(TOOL_UNAVAILABLE,
                         "%s: %s: only a running wardgated knows what bus '%.40s' is",
                         path, strerror(-error), bus);
    if (error == -ENOENT || error == -ECONNREFUSED)
        return TOOL_OK;
    (void)fprintf(stderr, "wardgate: %s: %s: going on without wardgated\n", path,
                  strerror(-error));
    return TOOL_OK;
}

int lend_take(const char *socket, const char *bus, const char *who,
              struct port_line *line, struct lend **out)
{
    const char *path = socket != NULL ? socket : getenv("WARDGATE_SOCKET");
    struct lend *lend;
    json_t *request;
    char to[64];
    enum got got = GOT_REFUSED;
    int fd;

    *out = NULL;
    if (path == NULL)
        path = SOCKET_GATEWAY;
    if ((fd = control_dial(path)) < 0)
        return nobody(fd, path, bus);
    if ((lend = calloc(1, sizeof(*lend))) == NULL ||
        (lend->stream = fdopen(fd, "r")) == NULL) {
        (void)close(fd);
        free(lend);
        return tool_fail(TOOL_IO, "no memory");
    }
    (void)snprintf(to, sizeof(to), "wardgate %.20s, pid %ld", who, (long)getpid());
    request = json_pack("{s:s, s:s, s:s}", "do", "lend", bus != NULL ? "bus" : "port",
                        bus != NULL ? bus : line->path, "to", to);
    /* Room for one byte more than dumped: the line's end. */
    size_t n = request == NULL ? 0
                               : json_dumpb(request, lend->request,
                                            sizeof(lend->request) - 2, JSON_COMPACT);
    json_decref(request);
    if (n > 0 && n <= sizeof(lend->request) - 2) {
        lend->request[n] = '\n';
        got = wait_for_line(lend, line);
    } else {
        (void)tool_fail(TOOL_USAGE, "the name of the line is no text");
    }
    if (got == GOT_LINE) {
        *out = lend;
        return TOOL_OK;
    }
    lend_return(lend);
    return got == GOT_NOTHING ? TOOL_OK : TOOL_UNAVAILABLE;
}

bool lend_renew(struct lend *lend)
{
    json_t *answer;
    bool lent;

    if (lend == NULL || clock_monotonic_us() - lend->renewed_us < RENEW_US)
        return true;
    answer = question(lend);
    lent = json_is_true(json_object_get(answer, "lent"));
    json_decref(answer);
    return lent;
}

void lend_return(struct lend *lend)
{
    if (lend == NULL)
        return;
    (void)fclose(lend->stream);
    free(lend);
}
