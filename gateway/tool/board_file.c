/* SPDX-License-Identifier: Apache-2.0
 *
 * See board_file.h. A board's file is read into JSON as it stands, so that a new key
 * needs no change here; only what the tool itself relies on is checked.
 */
#include "tool/board_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tool/tool.h"
#include "tool/yaml_json.h"

#define FILE_MAX  65536 /* bytes */
#define PATH_SIZE 512
#define DEPTH_MAX 3
#define NAME_SIZE 64

const char *boards_folder(const char *given)
{
    if (given != NULL)
        return given;
    return access("boards/README.md", R_OK) == 0 ? "boards" : BOARDS_INSTALLED;
}

const char *board_text(const json_t *board, const char *key)
{
    const char *text = json_string_value(json_object_get(board, key));

    return text != NULL ? text : "";
}

/* Says the first thing that is wrong. */
static int check(const char *path, const char *name, const json_t *board)
{
    static const char *const required[] = {"name", "title", "status"};
    static const char *const states[] = {"run on hardware", "run under emulation",
                                         "compiled only", "run on the host"};
    size_t i = 0;

    for (size_t k = 0; k < sizeof(required) / sizeof(required[0]); k++)
        if (board_text(board, required[k])[0] == '\0')
            return tool_fail(TOOL_CONFIG, "%s:1: %s: is missing", path, required[k]);
    if (strcmp(board_text(board, "name"), name) != 0)
        return tool_fail(TOOL_CONFIG, "%s:1: name: '%.40s' is not the folder's name",
                         path, board_text(board, "name"));
    while (i < 4 && strcmp(board_text(board, "status"), states[i]) != 0)
        i++;
    return i < 4 ? TOOL_OK
                 : tool_fail(TOOL_CONFIG, "%s:1: status: expected %s, %s, %s or %s", path,
                             states[0], states[1], states[2], states[3]);
}

/* Letters, digits, _ and -: a name never leads out of the folder. */
static bool is_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

    return n > 0 && n < NAME_SIZE && name[n] == '\0';
}

int board_read(const char *folder, const char *name, json_t **out)
{
    char path[PATH_SIZE];
    uint8_t *bytes;
    ssize_t n;
    int code;

    *out = NULL;
    if (!is_name(name))
        return tool_fail(TOOL_USAGE, "'%.40s' is no name of a board", name);
    if (snprintf(path, sizeof(path), "%s/%s/board.yaml", folder, name) >= PATH_SIZE)
        return tool_fail(TOOL_USAGE, "%.80s...: the path is too long", folder);
    n = file_read(path, FILE_MAX, &bytes);
    if (n == -ENOENT)
        return tool_fail(TOOL_USAGE,
                         "there is no board '%s' in %s: 'wardgate boards' lists them",
                         name, folder);
    if (n < 0)
        return tool_fail(TOOL_IO, "%s: %s", path, strerror((int)-n));
    code = yaml_json(path, name, bytes, (size_t)n, DEPTH_MAX + 1, out);
    if (code == TOOL_OK && (code = check(path, name, *out)) != TOOL_OK) {
        json_decref(*out);
        *out = NULL;
    }
    free(bytes);
    return code;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int boards_read(const char *folder, json_t **out)
{
    char *names[128];
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[PATH_SIZE];
    size_t n = 0;
    int code = TOOL_OK;

    *out = json_array();
    if (dir == NULL)
        return tool_fail(TOOL_IO,
                         "%s: %s: run this in a checkout, install the package, or say "
                         "--boards FOLDER",
                         folder, strerror(errno));
    while ((entry = readdir(dir)) != NULL && n < sizeof(names) / sizeof(names[0])) {
        if (!is_name(entry->d_name) ||
            snprintf(path, sizeof(path), "%s/%s/board.yaml", folder, entry->d_name) >=
                PATH_SIZE ||
            access(path, F_OK) != 0)
            continue;
        if ((names[n] = strdup(entry->d_name)) != NULL)
            n++;
    }
    (void)closedir(dir);
    qsort(names, n, sizeof(names[0]), by_name);
    for (size_t i = 0; i < n; i++) {
        json_t *board = NULL;
        if (code == TOOL_OK && (code = board_read(folder, names[i], &board)) == TOOL_OK)
            (void)json_array_append_new(*out, board);
        free(names[i]);
    }
    return code;
}
