/* SPDX-License-Identifier: Apache-2.0
 *
 * A YAML document as JSON, every scalar a text: for files whose keys belong to somebody
 * else, so that a new key there needs no change here.
 */
#ifndef TOOL_YAML_JSON_H
#define TOOL_YAML_JSON_H

#include <jansson.h>
#include <stddef.h>

/* Reads n bytes: a mapping, nested at most `depth` deep, no key twice. path and name
 * stand for it in errors. Returns TOOL_OK, or a tool_exit after "path:line: key:
 * message"; the caller releases *out. */
int yaml_json(const char *path, const char *name, const void *bytes, size_t n, int depth,
              json_t **out);

#endif
