/* SPDX-License-Identifier: Apache-2.0
 *
 * One request, all its answers, and every way in which a daemon can fail to answer put
 * into words.
 */
#include "tool/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/control.h"
#include "tool/tool.h"

/* Lines so far; or the daemon's own words when it refused. */
struct collected {
    json_t *lines;
    char refused[512];
};

/* Called for each line as it comes. */
static void collect(void *context, const json_t *answer)
{
    struct collected *collected = context;
    const char *error = json_string_value(json_object_get(answer, "error"));
    json_t *copy;

    if (json_is_false(json_object_get(answer, "ok"))) {
        (void)snprintf(collected->refused, sizeof(collected->refused), "%s",
                       error != NULL ? error : "refused without a reason");
        return;
    }
    if ((copy = json_deep_copy(answer)) == NULL)
        return;
    /* The protocol's own words are not part of the answer. */
    if (json_is_true(json_object_get(copy, "end")) ||
        json_object_get(copy, "ok") != NULL) {
        (void)json_object_del(copy, "end");
        (void)json_object_del(copy, "ok");
        (void)json_object_del(copy, "lines");
        if (json_object_size(copy) == 0) {
            json_decref(copy);
            return;
        }
    }
    (void)json_array_append_new(collected->lines, copy);
}

/* $WARDGATE_SOCKET spares typing where several daemons run on one machine, as in the
 * demo. */
int ask(const char *socket, const char *preset, json_t *request, json_t **answers)
{
    struct collected collected = {.lines = json_array()};
    const char *path = socket != NULL ? socket : getenv("WARDGATE_SOCKET");
    int error;

    if (path == NULL)
        path = preset;
    error = control_call(path, request, collect, &collected);
    json_decref(request);
    *answers = collected.lines;
    if (error == 0 && collected.refused[0] == '\0')
        return TOOL_OK;

    json_decref(collected.lines);
    *answers = NULL;
    /* A daemon that refuses for want of room may close at once: its words come before the
     * socket's. */
    if (collected.refused[0] != '\0')
        return tool_fail(TOOL_FINDINGS, "%s", collected.refused);
    if (error == -ENOENT || error == -ECONNREFUSED)
        return tool_fail(TOOL_UNAVAILABLE,
                         "nobody answers at %s: is the daemon running? (--socket PATH)",
                         path);
    if (error == -EACCES)
        return tool_fail(TOOL_UNAVAILABLE,
                         "%s may not be opened: ask as the daemon's own user", path);
    if (error == -ETIMEDOUT)
        return tool_fail(TOOL_UNAVAILABLE,
                         "the daemon at %s says nothing: it is stuck or very busy", path);
    return tool_fail(TOOL_UNAVAILABLE, "%s: %s", path, strerror(-error));
}
