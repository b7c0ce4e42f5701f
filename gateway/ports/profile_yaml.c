/* SPDX-License-Identifier: Apache-2.0
 *
 * The YAML helpers of profile_yaml.h, on libyaml's document tree. Its nodes keep their
 * marks, which is what gives every message its line.
 */
#include "ports/profile_yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define READER_NAME_MAX 31 /* bytes of a name */

/* The first error counts: those behind it are often only its consequences. */
bool reader_fail(struct reader *reader, size_t line, const char *key, const char *format,
                 ...)
{
    char message[PROFILE_ERROR_MAX];
    va_list arguments;

    if (reader->failed)
        return false;
    reader->failed = true;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, a line above */
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (reader->error_size > 0)
        snprintf(reader->error, reader->error_size, "%s:%zu: %s: %s", reader->file, line,
                 key, message);
    return false;
}

/* libyaml counts from 0, editors from 1. */
size_t reader_line(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

/* A foreign text, as far as it is fit for a message. */
static const char *shown(const char *text, char *out, size_t size)
{
    size_t n = 0;

    for (; text[n] && n + 1 < size; n++)
        out[n] = text[n] >= 0x20 && text[n] < 0x7F ? text[n] : '?';
    out[n] = '\0';
    return out;
}

/* One key with its value: known, new, and read by its own function. */
static bool read_pair(struct reader *reader, yaml_node_t *key, yaml_node_t *value,
                      const struct key *keys, size_t count, size_t *lines, void *target)
{
    char name[40];
    const char *text = reader_text(reader, "key", key);

    if (!text)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, text) != 0)
            continue;
        if (lines[i])
            return reader_fail(reader, reader_line(key), text, "given twice");
        lines[i] = reader_line(key);
        return keys[i].read(reader, text, value, target);
    }
    return reader_fail(reader, reader_line(key), shown(text, name, sizeof(name)),
                       "unknown key");
}

/* Missing keys are told last, at the line of the mapping itself. */
bool reader_mapping(struct reader *reader, const char *name, yaml_node_t *node,
                    const struct key *keys, size_t count, size_t *lines, void *target)
{
    memset(lines, 0, count * sizeof(lines[0]));
    if (node->type != YAML_MAPPING_NODE)
        return reader_fail(reader, reader_line(node), name, "must be a mapping");
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top; p++) {
        yaml_node_t *key = yaml_document_get_node(reader->document, p->key);
        yaml_node_t *value = yaml_document_get_node(reader->document, p->value);
        if (!key || !value)
            return reader_fail(reader, reader_line(node), name, "is damaged");
        if (!read_pair(reader, key, value, keys, count, lines, target))
            return false;
    }
    for (size_t i = 0; i < count; i++)
        if (keys[i].required && !lines[i])
            return reader_fail(reader, reader_line(node), keys[i].name, "missing");
    return true;
}

/* Bounds first, so that a table of fixed size can be filled without asking again. */
bool reader_list(struct reader *reader, const char *key, yaml_node_t *node,
                 size_t minimum, size_t maximum, size_t *count)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return reader_fail(reader, reader_line(node), key, "must be a list");
    *count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (*count < minimum || *count > maximum)
        return reader_fail(reader, reader_line(node), key, "must have %zu to %zu entries",
                           minimum, maximum);
    return true;
}

/* Item i of a list that reader_list() has measured. */
yaml_node_t *reader_item(struct reader *reader, yaml_node_t *list, size_t i)
{
    return yaml_document_get_node(reader->document, list->data.sequence.items.start[i]);
}

/* A zero byte inside would hide what follows it from every comparison. */
const char *reader_text(struct reader *reader, const char *key, yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;

    if (node->type != YAML_SCALAR_NODE) {
        reader_fail(reader, reader_line(node), key, "must be a single value");
        return NULL;
    }
    if (strlen(text) != node->data.scalar.length) {
        reader_fail(reader, reader_line(node), key, "has a zero byte");
        return NULL;
    }
    return text;
}

/* No signs, blanks or octal: "010" is ten here, as everyone who is not a compiler
 * expects. */
static bool parse_number(const char *text, uint64_t *out)
{
    unsigned base = 10;
    uint64_t n = 0;

    if (text[0] == '0' && text[1] == 'x') {
        base = 16;
        text += 2;
    }
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit;
        if (*text >= '0' && *text <= '9')
            digit = (unsigned)(*text - '0');
        else if (base == 16 && *text >= 'a' && *text <= 'f')
            digit = (unsigned)(*text - 'a' + 10);
        else if (base == 16 && *text >= 'A' && *text <= 'F')
            digit = (unsigned)(*text - 'A' + 10);
        else
            return false;
        if (n > (UINT64_MAX - digit) / base)
            return false;
        n = n * base + digit;
    }
    *out = n;
    return true;
}

/* The message names the range, so that it need not be looked up. */
bool reader_number(struct reader *reader, const char *key, yaml_node_t *node,
                   uint64_t minimum, uint64_t maximum, uint64_t *out)
{
    const char *text = reader_text(reader, key, node);

    if (!text)
        return false;
    if (!parse_number(text, out) || *out < minimum || *out > maximum)
        return reader_fail(reader, reader_line(node), key,
                           "must be a whole number from %llu to %llu",
                           (unsigned long long)minimum, (unsigned long long)maximum);
    return true;
}

/* The message lists the words, so that they need not be looked up. */
bool reader_word(struct reader *reader, const char *key, yaml_node_t *node,
                 const char *const *words, size_t count, size_t *out)
{
    char list[PROFILE_ERROR_MAX] = "";
    const char *text = reader_text(reader, key, node);
    size_t used = 0;

    if (!text)
        return false;
    for (*out = 0; *out < count; ++*out)
        if (strcmp(words[*out], text) == 0)
            return true;
    for (size_t i = 0; i < count && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
                                 words[i]);
    return reader_fail(reader, reader_line(node), key, "must be one of %s", list);
}

/* The document goes away when it is read; the profile stays. */
const char *reader_keep_text(struct reader *reader, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = reader_keep(reader, size, 1);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

/* Names go into configs, logs and C source: letters, digits and a few marks. */
bool reader_name(struct reader *r, const char *key, yaml_node_t *node, const char **out)
{
    const char *text = reader_text(r, key, node);

    if (!text)
        return false;
    if (!*text || strlen(text) > READER_NAME_MAX ||
        strspn(text,
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") !=
            strlen(text))
        return reader_fail(r, reader_line(node), key,
                           "must be 1 to %d letters, digits, - or _", READER_NAME_MAX);
    *out = reader_keep_text(r, text);
    return *out != NULL;
}
