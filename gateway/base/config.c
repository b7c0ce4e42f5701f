/* SPDX-License-Identifier: Apache-2.0
 *
 * A YAML file against a table, in one go: scanned for what is not allowed, loaded as a
 * tree, read into the caller's struct. The first error ends it; its text is all that the
 * caller gets.
 */
#include "base/config.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/config_internal.h"
#include "base/file.h"

#define DEPTH_MAX     8      /* nesting of the file; the schema's own is less */
#define NODES_MAX     200000 /* of one file */
#define LIST_MAX      4096   /* elements, when the field gives no maximum */
#define KEY_PATH_SIZE 192    /* bytes of "devices[2].address" */

/* Where a value came from: for errors that only the caller can see. */
struct place {
    const void *at;
    unsigned line; /* from 1 */
    bool leaf; /* a value of its own, not a section whose first member shares its address
                */
    char *key;
};

struct config {
    char *name;   /* of the file, as given */
    char *folder; /* absolute: where relative paths start */
    struct place *places;
    size_t places_count, places_capacity;
    void **lists; /* memory of the list elements */
    size_t lists_count;
};

/* One load in progress. */
struct load {
    struct config *config;
    yaml_document_t *document;
    char *error;
};

/* --- Errors --- */

static int __attribute__((format(printf, 5, 0)))
report(char *error, const char *name, unsigned line, const char *key, const char *format,
       va_list arguments)
{
    size_t at = 0;
    int n;

    if (line > 0)
        n = snprintf(error, CONFIG_ERROR_SIZE, "%s:%u: ", name, line);
    else
        n = snprintf(error, CONFIG_ERROR_SIZE, "%s: ", name);
    at = (size_t)n < CONFIG_ERROR_SIZE ? (size_t)n : CONFIG_ERROR_SIZE - 1;
    if (key != NULL && *key != '\0') {
        n = snprintf(error + at, CONFIG_ERROR_SIZE - at, "%s: ", key);
        at = (size_t)n < CONFIG_ERROR_SIZE - at ? at + (size_t)n : CONFIG_ERROR_SIZE - 1;
    }
    (void)vsnprintf(error + at, CONFIG_ERROR_SIZE - at, format, arguments);
    return -1;
}

static int __attribute__((format(printf, 4, 5)))
fail(const struct load *load, unsigned line, const char *key, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)report(load->error, load->config->name, line, key, format, arguments);
    va_end(arguments);
    return -1;
}

/* For the checks that only the caller can make: the address of a value is enough to
 * find its line and key. */
int config_error(const struct config *config, const void *at,
                 char error[CONFIG_ERROR_SIZE], const char *format, ...)
{
    const struct place *found = NULL;
    va_list arguments;

    for (size_t i = 0; at != NULL && i < config->places_count; i++) {
        const struct place *place = &config->places[i];
        if (place->at == at && (found == NULL || place->leaf))
            found = place;
    }
    va_start(arguments, format);
    (void)report(error, config->name, found != NULL ? found->line : 0,
                 found != NULL ? found->key : NULL, format, arguments);
    va_end(arguments);
    return -1;
}

/* --- Memory --- */

/* Remembers where the value at an address came from. */
static int place_add(struct config *config, const void *at, unsigned line, bool leaf,
                     const char *key)
{
    struct place *place;

    if (config->places_count == config->places_capacity) {
        size_t capacity = config->places_capacity == 0 ? 64 : config->places_capacity * 2;
        struct place *grown = reallocarray(config->places, capacity, sizeof(*grown));
        if (grown == NULL)
            return -1;
        config->places = grown;
        config->places_capacity = capacity;
    }
    place = &config->places[config->places_count];
    place->at = at;
    place->line = line;
    place->leaf = leaf;
    if ((place->key = strdup(key)) == NULL)
        return -1;
    config->places_count++;
    return 0;
}

/* Zeroed memory for list elements, owned by the config. */
static void *list_memory(struct config *config, size_t count, size_t size)
{
    void **grown = reallocarray(config->lists, config->lists_count + 1, sizeof(*grown));
    void *items;

    if (grown == NULL)
        return NULL;
    config->lists = grown;
    if ((items = calloc(count, size)) != NULL)
        config->lists[config->lists_count++] = items;
    return items;
}

/* Frees the lists too: nothing of the caller's struct may be used afterwards. */
void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->places_count; i++)
        free(config->places[i].key);
    for (size_t i = 0; i < config->lists_count; i++)
        free(config->lists[i]);
    free(config->places);
    free(config->lists);
    free(config->folder);
    free(config->name);
    free(config);
}

/* --- Nodes against the schema --- */

/* libyaml counts from 0, people from 1. */
static unsigned line_of(const yaml_node_t *node)
{
    return (unsigned)node->start_mark.line + 1;
}

/* libyaml ends every scalar with a NUL that its length does not count. */
static const char *scalar_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* Levenshtein distance of two short keys: how many letters were mistyped. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);

    if (n >= sizeof(row) / sizeof(row[0]) || strlen(a) >= 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t changed = diagonal + (a[i] != b[j]);
            size_t shorter = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = changed < shorter ? changed : shorter;
        }
    }
    return row[n];
}

/* Suggests what was probably meant; otherwise lists what could be. */
static int fail_unknown(const struct load *load, const yaml_node_t *node, const char *key,
                        const struct config_field *schema)
{
    const char *near = NULL;
    char known[256] = "";
    size_t best = 3, at = 0; /* two letters wrong still look like it */

    for (const struct config_field *f = schema; f->key != NULL; f++) {
        size_t d = distance(scalar_text(node), f->key);
        int n;
        if (d < best) {
            best = d;
            near = f->key;
        }
        n = snprintf(known + at, sizeof(known) - at, "%s%s", f == schema ? "" : ", ",
                     f->key);
        if (n > 0 && (size_t)n < sizeof(known) - at)
            at += (size_t)n;
    }
    if (near != NULL)
        return fail(load, line_of(node), key, "unknown key; did you mean '%s'?", near);
    return fail(load, line_of(node), key, "unknown key; known here: %s", known);
}

/* key = prefix "." name, or name alone at the top. */
static void key_join(char key[KEY_PATH_SIZE], const char *prefix, const char *name)
{
    (void)snprintf(key, KEY_PATH_SIZE, "%s%s%.64s", prefix, *prefix != '\0' ? "." : "",
                   name);
}

/* What a node is, in the words of the other messages. */
static const char *kind_text(const yaml_node_t *node)
{
    return node->type == YAML_SEQUENCE_NODE  ? "a list"
           : node->type == YAML_MAPPING_NODE ? "a section with keys"
                                             : "a value";
}

static int read_mapping(const struct load *load, const yaml_node_t *node, unsigned line,
                        const char *prefix, const struct config_field *schema,
                        void *into);

/* All elements stand in one block, so their addresses hold as long as the config does. */
static int read_list(const struct load *load, const yaml_node_t *node, const char *key,
                     const struct config_field *field, struct config_list *list)
{
    size_t count, maximum = field->maximum > 0 ? (size_t)field->maximum : LIST_MAX;
    const yaml_node_item_t *item;
    char element_key[KEY_PATH_SIZE];

    if (node->type != YAML_SEQUENCE_NODE)
        return fail(load, line_of(node), key, "is %s, but a list is expected",
                    kind_text(node));
    item = node->data.sequence.items.start;
    count = (size_t)(node->data.sequence.items.top - item);
    if (count > maximum)
        return fail(load, line_of(node), key, "has %zu entries (at most %zu)", count,
                    maximum);
    if (field->minimum > 0 && count < (size_t)field->minimum)
        return fail(load, line_of(node), key, "has %zu entries (at least %zu)", count,
                    (size_t)field->minimum);
    if (count == 0)
        return 0;
    if ((list->items = list_memory(load->config, count, field->size)) == NULL)
        return fail(load, line_of(node), key, "out of memory");
    list->count = count;

    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *element = yaml_document_get_node(load->document, item[i]);
        (void)snprintf(element_key, sizeof(element_key), "%.170s[%zu]", key, i);
        if (read_mapping(load, element, line_of(element), element_key, field->of,
                         (char *)list->items + i * field->size) != 0)
            return -1;
    }
    return 0;
}

/* node NULL: the key is absent; line is then that of the mapping where it would stand. */
static int read_field(const struct load *load, const yaml_node_t *node, unsigned line,
                      const char *key, const struct config_field *field, void *value)
{
    bool nested = field->type == CONFIG_SECTION || field->type == CONFIG_LIST;
    char message[CONFIG_MESSAGE_SIZE];

    if (place_add(load->config, value, line, node != NULL && !nested, key) != 0)
        return fail(load, line, key, "out of memory");

    if (node == NULL) {
        if (field->type == CONFIG_SECTION)
            return read_mapping(load, NULL, line, key, field->of, value);
        if (config_preset(field, load->config->folder, value, message) != 0)
            return fail(load, line, key, "preset %s", message);
        return 0;
    }
    if (field->type == CONFIG_SECTION)
        return read_mapping(load, node, line, key, field->of, value);
    if (field->type == CONFIG_LIST && node->type != YAML_SCALAR_NODE)
        return read_list(load, node, key, field, value);
    if (node->type != YAML_SCALAR_NODE)
        return fail(load, line_of(node), key, "is %s, but one value is expected",
                    kind_text(node));
    if (config_value(field, scalar_text(node), node->data.scalar.length,
                     node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
                     load->config->folder, value, message) != 0)
        return fail(load, line_of(node), key, "%s", message);
    return 0;
}

/* Every key must be a known one and stand there once. */
static int check_keys(const struct load *load, const yaml_node_t *node,
                      const char *prefix, const struct config_field *schema)
{
    const yaml_node_pair_t *begin = node->data.mapping.pairs.start;
    char key[KEY_PATH_SIZE];

    for (const yaml_node_pair_t *pair = begin; pair < node->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *name = yaml_document_get_node(load->document, pair->key);
        const struct config_field *field = schema;
        if (name->type != YAML_SCALAR_NODE)
            return fail(load, line_of(name), prefix,
                        "a key is %s, but a word is expected", kind_text(name));
        key_join(key, prefix, scalar_text(name));
        while (field->key != NULL && strcmp(field->key, scalar_text(name)) != 0)
            field++;
        if (field->key == NULL)
            return fail_unknown(load, name, key, schema);
        for (const yaml_node_pair_t *earlier = begin; earlier < pair; earlier++) {
            const yaml_node_t *other =
                yaml_document_get_node(load->document, earlier->key);
            if (strcmp(scalar_text(other), scalar_text(name)) == 0)
                return fail(load, line_of(name), key, "given twice (first on line %u)",
                            line_of(other));
        }
    }
    return 0;
}

/* The value node of a key, or NULL. *line becomes the key's own. */
static const yaml_node_t *find(const struct load *load, const yaml_node_t *node,
                               const char *key, unsigned *line)
{
    if (node == NULL)
        return NULL;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(load->document, pair->key);
        if (strcmp(scalar_text(name), key) == 0) {
            *line = line_of(name);
            return yaml_document_get_node(load->document, pair->value);
        }
    }
    return NULL;
}

/* node NULL: a section that is absent as a whole; its fields take their presets. */
static int read_mapping(const struct load *load, const yaml_node_t *node, unsigned line,
                        const char *prefix, const struct config_field *schema, void *into)
{
    char key[KEY_PATH_SIZE];

    if (node != NULL && node->type != YAML_MAPPING_NODE)
        return fail(load, line_of(node), prefix,
                    "is %s, but a section with keys is expected", kind_text(node));
    if (node != NULL && check_keys(load, node, prefix, schema) != 0)
        return -1;

    for (const struct config_field *field = schema; field->key != NULL; field++) {
        unsigned at = line;
        const yaml_node_t *value = find(load, node, field->key, &at);
        key_join(key, prefix, field->key);
        if (value == NULL && node != NULL && field->required)
            return fail(load, line, key, "is missing%s%s",
                        field->help != NULL ? ": " : "",
                        field->help != NULL ? field->help : "");
        if (read_field(load, value, at, key, field, (char *)into + field->offset) != 0)
            return -1;
    }
    return 0;
}

/* --- The file --- */

/* Says what libyaml found. Its texts are lower case and short. */
static int fail_parse(const struct load *load, const yaml_parser_t *parser)
{
    return fail(load, (unsigned)parser->problem_mark.line + 1, NULL, "not valid YAML: %s",
                parser->problem != NULL ? parser->problem : "out of memory");
}

static void scan_depth(const yaml_event_t *event, int *depth)
{
    if (event->type == YAML_SEQUENCE_START_EVENT ||
        event->type == YAML_MAPPING_START_EVENT)
        ++*depth;
    else if (event->type == YAML_SEQUENCE_END_EVENT ||
             event->type == YAML_MAPPING_END_EVENT)
        --*depth;
}

/* What YAML allows and a configuration does not need: anchors and aliases (a few lines of
 * them unfold into gigabytes), tags, a second document. Returns NULL or the complaint. */
static const char *scan_complaint(const yaml_event_t *event, int depth, int nodes,
                                  int documents)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return "aliases (*name) are not allowed";
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor != NULL)
        return "anchors (&name) are not allowed";
    if (tag != NULL)
        return "tags (!name) are not allowed";
    if (documents > 1)
        return "a second document (---) is not allowed";
    if (depth > DEPTH_MAX)
        return "nested too deeply";
    return nodes > NODES_MAX ? "too many entries" : NULL;
}

/* One pass over the events, before any tree is built: nothing hostile is unfolded or
 * nested. */
static int scan(const struct load *load, const uint8_t *text, size_t n)
{
    int depth = 0, nodes = 0, documents = 0, result = 0;
    bool end = false;
    yaml_parser_t parser;

    if (!yaml_parser_initialize(&parser))
        return fail(load, 0, NULL, "out of memory");
    yaml_parser_set_input_string(&parser, text, n);
    while (!end && result == 0) {
        yaml_event_t event;
        const char *complaint;
        if (!yaml_parser_parse(&parser, &event)) {
            result = fail_parse(load, &parser);
            break;
        }
        scan_depth(&event, &depth);
        documents += event.type == YAML_DOCUMENT_START_EVENT;
        complaint = scan_complaint(&event, depth, ++nodes, documents);
        if (complaint != NULL)
            result =
                fail(load, (unsigned)event.start_mark.line + 1, NULL, "%s", complaint);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return result;
}

/* Builds the tree and reads it from its root. */
static int read_document(struct load *load, const uint8_t *text, size_t n,
                         const struct config_field *schema, void *into)
{
    yaml_document_t document;
    yaml_parser_t parser;
    const yaml_node_t *root;
    int result;

    if (!yaml_parser_initialize(&parser))
        return fail(load, 0, NULL, "out of memory");
    yaml_parser_set_input_string(&parser, text, n);
    if (!yaml_parser_load(&parser, &document)) {
        result = fail_parse(load, &parser);
        goto out;
    }
    load->document = &document;
    root = yaml_document_get_root_node(&document);
    if (root == NULL) /* an empty file: every required key is missing on line 1 */
        result = fail(load, 1, NULL, "the file is empty");
    else
        result = read_mapping(load, root, line_of(root), "", schema, into);
    yaml_document_delete(&document);
    load->document = NULL;
out:
    yaml_parser_delete(&parser);
    return result;
}

/* The absolute folder of the file; where that can't be found, as written. */
static char *folder_of(const char *path)
{
    char folder[PATH_MAX], *absolute;
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        (void)snprintf(folder, sizeof(folder), ".");
    else
        (void)snprintf(folder, sizeof(folder), "%.*s",
                       slash == path ? 1 : (int)(slash - path), path);
    absolute = realpath(folder, NULL);
    if (absolute != NULL && strcmp(absolute, "/") == 0)
        absolute[0] = '\0'; /* "/x" is then joined from "" */
    return absolute != NULL ? absolute : strdup(folder);
}

/* into is untouched by an unreadable file, and of no use after any other error. */
int config_load(const char *path, const char *text, const struct config_field *schema,
                void *into, struct config **out, char error[CONFIG_ERROR_SIZE])
{
    struct config *config = calloc(1, sizeof(*config));
    struct load load = {config, NULL, error};
    uint8_t *file = NULL;
    ssize_t n;
    int result;

    if (config == NULL || (config->name = strdup(path)) == NULL ||
        (config->folder = folder_of(path)) == NULL) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "%s: out of memory", path);
        config_free(config);
        return -1;
    }
    n = text != NULL ? (ssize_t)strlen(text) : file_read(path, CONFIG_FILE_MAX, &file);
    if (n > CONFIG_FILE_MAX)
        n = -EFBIG;
    if (n < 0)
        result = fail(&load, 0, NULL, "cannot be read: %s",
                      n == -EFBIG ? "larger than 1 MiB" : strerror((int)-n));
    else {
        const uint8_t *bytes = text != NULL ? (const uint8_t *)text : file;
        result = scan(&load, bytes, (size_t)n);
        if (result == 0)
            result = read_document(&load, bytes, (size_t)n, schema, into);
    }
    free(file);
    if (result != 0)
        config_free(config);
    else
        *out = config;
    return result;
}
