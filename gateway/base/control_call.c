/* SPDX-License-Identifier: Apache-2.0
 *
 * The client side of the control socket: blocking, with a deadline.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/control.h"

#define SILENCE_S       10 /* a daemon that says nothing for so long is stuck */
#define ANSWER_LINE_MAX ((size_t)8 << 20) /* bytes of one answer line */

/* Connects with deadlines on both directions. Returns a descriptor or -errno. */
int control_dial(const char *path)
{
    struct sockaddr_un address;
    struct timeval silence = {SILENCE_S, 0};
    int fd, error;

    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);

    if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}

/* Sends the request and shuts down our side: the daemon closes when it has answered. */
static int ask(int fd, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    size_t n, sent = 0;
    int error = 0;

    if (text == NULL)
        return -ENOMEM;
    n = strlen(text);
    text[n] = '\n'; /* in place of the terminator */
    while (error == 0 && sent < n + 1) {
        ssize_t w = send(fd, text + sent, n + 1 - sent, MSG_NOSIGNAL);
        if (w > 0)
            sent += (size_t)w;
        else if (errno != EINTR)
            error = errno == EAGAIN ? -ETIMEDOUT : -errno;
    }
    free(text);
    if (error == 0 && shutdown(fd, SHUT_WR) != 0)
        error = -errno;
    return error;
}

/* Hands the complete lines of buffer to line; returns how many bytes they were, or
 * -EBADMSG. */
static ssize_t deliver(const char *buffer, size_t n, void (*line)(void *, const json_t *),
                       void *context)
{
    const char *at = buffer, *end;

    while ((end = memchr(at, '\n', n - (size_t)(at - buffer))) != NULL) {
        json_t *answer = json_loadb(at, (size_t)(end - at), 0, NULL);
        if (answer == NULL)
            return -EBADMSG;
        line(context, answer);
        json_decref(answer);
        at = end + 1;
    }
    return at - buffer;
}

/* Reads until the daemon closes. A connection that ends inside a line, or before any,
 * is an error: a cut answer must not look like a short one. */
int control_call(const char *path, const json_t *request,
                 void (*line)(void *context, const json_t *answer), void *context)
{
    size_t capacity = 65536, size = 0;
    char *buffer = NULL, *grown;
    bool any = false;
    int error, fd = control_dial(path);

    if (fd < 0)
        return fd;
    if ((error = ask(fd, request)) != 0)
        goto out;
    if ((buffer = malloc(capacity)) == NULL) {
        error = -ENOMEM;
        goto out;
    }
    for (;;) {
        ssize_t taken, n = recv(fd, buffer + size, capacity - size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error = errno == EAGAIN ? -ETIMEDOUT : -errno;
            break;
        }
        if (n == 0) { /* an answer without its line end, or none at all, was cut off */
            error = size > 0 || !any ? -EPIPE : 0;
            break;
        }
        size += (size_t)n;
        if ((taken = deliver(buffer, size, line, context)) < 0) {
            error = (int)taken;
            break;
        }
        any = any || taken > 0;
        size -= (size_t)taken;
        memmove(buffer, buffer + taken, size);
        if (size == capacity) {
            if (capacity >= ANSWER_LINE_MAX ||
                (grown = realloc(buffer, capacity * 2)) == NULL) {
                error = capacity >= ANSWER_LINE_MAX ? -EMSGSIZE : -ENOMEM;
                break;
            }
            buffer = grown;
            capacity *= 2;
        }
    }
    free(buffer);
out:
    (void)close(fd);
    return error;
}
