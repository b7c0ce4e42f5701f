/* SPDX-License-Identifier: Apache-2.0
 *
 * See board_file.h. A board's file is read into JSON as it stands, so that a new key
 * needs no change here; only what the tool itself relies on is checked.
 */
#include "tool/board_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/file.h"
#include "tool/tool.h"

#define FILE_MAX  65536 /* bytes */
#define PATH_SIZE 512
#define DEPTH_MAX 3
#define NAME_SIZE 64

/* One file being read; the first error is said and ends it. */
struct reading {
    const char *path;
    yaml_document_t *document;
    bool failed;
};

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

__attribute__((format(printf, 4, 5))) static json_t *wrong(struct reading *reading,
                                                           const yaml_node_t *node,
                                                           const char *key,
                                                           const char *format, ...)
{
    char text[160];
    va_list arguments;

    if (reading->failed)
        return NULL;
    reading->failed = true;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void)tool_fail(TOOL_CONFIG, "%s:%zu: %s: %s", reading->path,
                    node == NULL ? (size_t)1 : node->start_mark.line + 1, key, text);
    return NULL;
}

static json_t *convert(struct reading *reading, const char *key, yaml_node_t *node,
                       int depth);

static json_t *list(struct reading *reading, const char *key, const yaml_node_t *node,
                    int depth)
{
    json_t *out = json_array();

    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top && !reading->failed; item++)
        (void)json_array_append_new(
            out, convert(reading, key, yaml_document_get_node(reading->document, *item),
                         depth - 1));
    return out;
}

/* A key given twice would let two readers see two boards. */
static json_t *mapping(struct reading *reading, const yaml_node_t *node, int depth)
{
    json_t *out = json_object();

    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top && !reading->failed; pair++) {
        yaml_node_t *name = yaml_document_get_node(reading->document, pair->key);
        yaml_node_t *value = yaml_document_get_node(reading->document, pair->value);
        const char *key = name != NULL && name->type == YAML_SCALAR_NODE
                              ? (const char *)name->data.scalar.value
                              : "?";
        if (json_object_get(out, key) != NULL)
            (void)wrong(reading, name, key, "is there twice");
        else
            (void)json_object_set_new(out, key, convert(reading, key, value, depth - 1));
    }
    return out;
}

/* NULL after an error, which json's setters take for "no value". */
static json_t *convert(struct reading *reading, const char *key, yaml_node_t *node,
                       int depth)
{
    json_t *text;

    if (node == NULL || depth == 0)
        return wrong(reading, node, key, "nested too deep, or empty");
    if (node->type == YAML_SEQUENCE_NODE)
        return list(reading, key, node, depth);
    if (node->type == YAML_MAPPING_NODE)
        return mapping(reading, node, depth);
    text = json_stringn((const char *)node->data.scalar.value, node->data.scalar.length);
    return text != NULL ? text : wrong(reading, node, key, "is no text");
}

static int check(struct reading *reading, const char *name, const json_t *board)
{
    static const char *const required[] = {"name", "title", "status"};
    static const char *const states[] = {"run on hardware", "run under emulation",
                                         "compiled only", "run on the host"};
    size_t i = 0;

    for (size_t k = 0; k < sizeof(required) / sizeof(required[0]); k++)
        if (board_text(board, required[k])[0] == '\0')
            (void)wrong(reading, NULL, required[k], "is missing");
    if (!reading->failed && strcmp(board_text(board, "name"), name) != 0)
        (void)wrong(reading, NULL, "name", "'%.40s' is not the folder's name",
                    board_text(board, "name"));
    while (i < 4 && strcmp(board_text(board, "status"), states[i]) != 0)
        i++;
    if (i == 4)
        (void)wrong(reading, NULL, "status", "expected %s, %s, %s or %s", states[0],
                    states[1], states[2], states[3]);
    return reading->failed ? TOOL_CONFIG : TOOL_OK;
}

/* The whole document, then what the verbs rely on. */
static int parse(const char *path, const char *name, const uint8_t *bytes, size_t n,
                 json_t **out)
{
    yaml_document_t document;
    yaml_parser_t parser;
    struct reading reading = {path, &document, false};
    yaml_node_t *root;

    if (yaml_parser_initialize(&parser) == 0)
        return tool_fail(TOOL_IO, "no memory");
    yaml_parser_set_input_string(&parser, bytes, n);
    if (yaml_parser_load(&parser, &document) == 0) {
        (void)tool_fail(TOOL_CONFIG, "%s:%zu: %s", path, parser.problem_mark.line + 1,
                        parser.problem != NULL ? parser.problem : "is no YAML");
        yaml_parser_delete(&parser);
        return TOOL_CONFIG;
    }
    root = yaml_document_get_root_node(&document);
    if (root == NULL || root->type != YAML_MAPPING_NODE)
        (void)wrong(&reading, root, name, "expected keys and values");
    else
        *out = convert(&reading, name, root, DEPTH_MAX + 1);
    if (!reading.failed)
        (void)check(&reading, name, *out);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    if (!reading.failed)
        return TOOL_OK;
    json_decref(*out);
    *out = NULL;
    return TOOL_CONFIG;
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
    code = parse(path, name, bytes, (size_t)n, out);
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
