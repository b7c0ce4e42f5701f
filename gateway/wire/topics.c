/* SPDX-License-Identifier: Apache-2.0
 *
 * Four topics, written and taken apart in one place. The broker's ACL
 * (tool/pki_broker.c) has the same names.
 */
#include "wire/topics.h"

#include <stdio.h>
#include <string.h>

#define ROOT "wardgate/1/"

static const char *const suffixes[] = {
    [TOPIC_UP] = "up",
    [TOPIC_STATE] = "state",
    [TOPIC_RECEIPT] = "down/receipt",
    [TOPIC_ORDER] = "down/order",
};

/* Site and gateway are names, checked where they were configured, so the text always
 * fits. */
const char *topic_text(enum topic topic, const char *site, const char *gateway, char *out)
{
    (void)snprintf(out, TOPIC_SIZE, ROOT "%s/%s/%s", site, gateway, suffixes[topic]);
    return out;
}

/* If *at begins with prefix, steps over it. */
static bool take(const char **at, const char *prefix)
{
    size_t n = strlen(prefix);

    if (strncmp(*at, prefix, n) != 0)
        return false;
    *at += n;
    return true;
}

/* Exact: a topic that is longer, shorter or in other letters is not ours. Nothing is
 * written unless all of it fits. */
bool topic_parse(const char *text, const char *site, enum topic *topic, char *gateway)
{
    char name[NAME_MAX_LENGTH + 1];
    const char *at = text, *slash;

    if (!take(&at, ROOT) || !take(&at, site) || !take(&at, "/") ||
        (slash = strchr(at, '/')) == NULL || slash - at > NAME_MAX_LENGTH)
        return false;
    memcpy(name, at, (size_t)(slash - at));
    name[slash - at] = '\0';
    if (!name_valid(name)) /* '+' and '#' are not names either */
        return false;

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (strcmp(slash + 1, suffixes[i]) == 0) {
            *topic = (enum topic)i;
            memcpy(gateway, name, strlen(name) + 1);
            return true;
        }
    return false;
}
