/* SPDX-License-Identifier: Apache-2.0 */
#include "bedside/identities.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define FILE_SIZE_MAX 262144
#define PATH_SIZE     512

static int file_path(const char *folder, char out[PATH_SIZE])
{
    int n = snprintf(out, PATH_SIZE, "%s/identities", folder);

    return n > 0 && n < PATH_SIZE ? 0 : -ENAMETOOLONG;
}

/* The line of an id, and where the next begins; NULL if there is none. */
static char *find_line(char *text, const char *id, char **next)
{
    size_t n = strlen(id);

    for (char *line = text; *line != '\0'; line = *next) {
        char *end = strchr(line, '\n');
        *next = end != NULL ? end + 1 : line + strlen(line);
        if (strncmp(line, id, n) == 0 && line[n] == '\t')
            return line;
    }
    return NULL;
}

bool identities_find(const char *folder, const char *id, char *out, size_t size)
{
    char path[PATH_SIZE], *line, *next;
    uint8_t *bytes;
    bool found = false;

    if (file_path(folder, path) != 0 || file_read(path, FILE_SIZE_MAX, &bytes) < 0)
        return false;
    if ((line = find_line((char *)bytes, id, &next)) != NULL) {
        size_t n;
        line += strlen(id) + 1;
        n = strcspn(line, "\n");
        if (n >= size)
            n = size - 1;
        memcpy(out, line, n);
        out[n] = '\0';
        found = n > 0;
    }
    free(bytes);
    return found;
}

int identities_set(const char *folder, const char *id, const char *identity)
{
    char path[PATH_SIZE], *old = NULL, *line, *next = NULL, *text;
    size_t before = 0, after = 0, size, used;
    uint8_t *bytes = NULL;
    ssize_t n;
    int error = file_path(folder, path);

    /* A name or an identity from a device is text of one line, or it is not kept. */
    if (error != 0 || strpbrk(id, "\t\n") != NULL || strpbrk(identity, "\t\n") != NULL)
        return error != 0 ? error : -EINVAL;
    if ((n = file_read(path, FILE_SIZE_MAX, &bytes)) < 0 && n != -ENOENT)
        return (int)n;
    if (n > 0) {
        old = (char *)bytes;
        line = find_line(old, id, &next);
        before = line != NULL ? (size_t)(line - old) : (size_t)n;
        after = line != NULL ? (size_t)(old + n - next) : 0;
    }
    size = before + after + strlen(id) + strlen(identity) + 3;
    if ((text = malloc(size)) == NULL) {
        free(bytes);
        return -ENOMEM;
    }
    if (before > 0)
        memcpy(text, old, before);
    used =
        before + (size_t)snprintf(text + before, size - before, "%s\t%s\n", id, identity);
    if (after > 0)
        memcpy(text + used, next, after);
    error = file_replace(path, text, used + after, 0600);
    free(text);
    free(bytes);
    return error;
}
