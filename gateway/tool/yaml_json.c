/* SPDX-License-Identifier: Apache-2.0
 *
 * See yaml_json.h.
 */
#include "tool/yaml_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "tool/tool.h"

/* One file being read; the first error is said and ends it. */
struct reading {
    const char *path;
    yaml_document_t *document;
    bool failed;
};

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

int yaml_json(const char *path, const char *name, const void *bytes, size_t n, int depth,
              json_t **out)
{
    yaml_document_t document;
    yaml_parser_t parser;
    struct reading reading = {path, &document, false};
    yaml_node_t *root;

    *out = NULL;
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
        *out = convert(&reading, name, root, depth);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    if (!reading.failed)
        return TOOL_OK;
    json_decref(*out);
    *out = NULL;
    return TOOL_CONFIG;
}
