/* SPDX-License-Identifier: Apache-2.0
 *
 * A profile from YAML; see profile.h. Its own keys are the table below, those of a field
 * are in profile_field.c; what holds between keys is in profile_check.c, what holds
 * between bytes and values in profile_golden.c.
 */
#include "ports/profile.h"

#include "ports/profile_check.h"
#include "ports/profile_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TITLE_MAX    80
#define EVIDENCE_MAX 200
#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))

/* What a profile allocated, newest first. */
struct owned {
    struct owned *next;
    max_align_t memory[];
};

struct profile {
    struct regmap map;
    struct owned *owned;
};

/* The profile while it is read. */
struct build {
    struct regmap *map;
    struct regmap_field *fields;
    size_t *field_lines;
    yaml_node_t *golden;
};

/* Whatever a profile points to hangs on one list, so that freeing it needs no knowledge
 * of its shape, and a profile that fails half-way is freed like a whole one. */
void *reader_keep(struct reader *reader, size_t count, size_t size)
{
    struct owned *owned = NULL;

    if (size && count <= (SIZE_MAX - sizeof(*owned)) / size)
        owned = calloc(1, sizeof(*owned) + count * size);
    if (!owned) {
        reader_fail(reader, 0, "file", "no memory");
        return NULL;
    }
    owned->next = reader->profile->owned;
    reader->profile->owned = owned;
    return owned->memory;
}

/* --- The profile --- */

/* Titles and evidence go into C source and terminals: nothing that either would have to
 * escape. */
static bool read_plain(struct reader *r, const char *key, yaml_node_t *node, size_t most,
                       const char **out)
{
    const char *text = reader_text(r, key, node);
    size_t n = 0;

    if (!text)
        return false;
    while (text[n] >= 0x20 && text[n] < 0x7F && text[n] != '"' && text[n] != '\\')
        n++;
    if (n == 0 || n > most || text[n])
        return reader_fail(r, reader_line(node), key,
                           "must be 1 to %zu plain characters without quotes", most);
    *out = reader_keep_text(r, text);
    return *out != NULL;
}

/* The table that the target is about. */
static struct regmap *map_of(void *target)
{
    return ((struct build *)target)->map;
}

/* The name by which a config asks for the profile. */
static bool map_name(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return reader_name(r, key, node, &map_of(target)->name);
}

/* For people. */
static bool map_title(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_plain(r, key, node, TITLE_MAX, &map_of(target)->title);
}

/* Beta profiles are off unless the config says otherwise. */
static bool map_status(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    static const char *const words[] = {"beta", "stable"};
    size_t word;

    if (!reader_word(r, key, node, words, COUNT(words), &word))
        return false;
    map_of(target)->stable = word == 1;
    return true;
}

/* Where the facts come from. For people: one line of plain characters. */
static bool map_evidence(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    return read_plain(r, key, node, EVIDENCE_MAX, &map_of(target)->evidence);
}

#define MAP_NUMBER(name, type, minimum, maximum)                                         \
    static bool map_##name(struct reader *r, const char *key, yaml_node_t *node,         \
                           void *target)                                                 \
    {                                                                                    \
        uint64_t number;                                                                 \
        if (!reader_number(r, key, node, minimum, maximum, &number))                     \
            return false;                                                                \
        map_of(target)->name = (type)number;                                             \
        return true;                                                                     \
    }

MAP_NUMBER(hole_max, uint16_t, 0, 124)
MAP_NUMBER(block_max, uint16_t, 1, REGMAP_REGISTERS_MAX)
MAP_NUMBER(response_ms, uint16_t, 1, 60000)
MAP_NUMBER(turnaround_ms, uint16_t, 0, 10000)
MAP_NUMBER(every_ms, uint32_t, 10, 86400000)

/* Each field is checked as soon as it is read, so that the first error is the topmost
 * one. */
static bool map_fields(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    struct build *b = target;
    size_t count;

    if (!reader_list(r, key, node, 1, PROFILE_FIELDS_MAX, &count))
        return false;
    b->fields = reader_keep(r, count, sizeof(b->fields[0]));
    b->field_lines = reader_keep(r, count, sizeof(b->field_lines[0]));
    if (!b->fields || !b->field_lines)
        return false;
    for (size_t i = 0; i < count; i++) {
        yaml_node_t *item = reader_item(r, node, i);
        struct field_build f = {.field = {.scale = 1}, .scale = {1, 0}};
        b->field_lines[i] = reader_line(item);
        if (!reader_mapping(r, key, item, profile_field_keys, FIELD_KEYS, f.lines, &f) ||
            !profile_check_field(r, b->field_lines[i], &f))
            return false;
        b->fields[i] = f.field;
    }
    b->map->fields = b->fields;
    b->map->field_count = (uint16_t)count;
    return true;
}

/* Only remembered here. */
static bool map_golden(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    (void)r;
    (void)key;
    ((struct build *)target)->golden = node; /* checked when all fields are known */
    return true;
}

static const struct key map_keys[] = {
    {"name", true, map_name},
    {"title", true, map_title},
    {"status", true, map_status},
    {"evidence", true, map_evidence},
    {"hole_max", false, map_hole_max},
    {"block_max", false, map_block_max},
    {"response_ms", true, map_response_ms},
    {"turnaround_ms", false, map_turnaround_ms},
    {"every_ms", true, map_every_ms},
    {"fields", true, map_fields},
    {"golden", true, map_golden},
};

/* The order matters: golden frames are checked with a table that is known to be sound. */
static bool read_profile(struct reader *r, struct profile *profile)
{
    struct build b = {.map = &profile->map};
    size_t lines[COUNT(map_keys)];
    yaml_node_t *root = yaml_document_get_root_node(r->document);

    if (!root)
        return reader_fail(r, 1, "file", "is empty");
    return reader_mapping(r, "file", root, map_keys, COUNT(map_keys), lines, &b) &&
           profile_check_map(r, b.map, b.field_lines) &&
           golden_check(r, b.golden, b.map, b.field_lines);
}

/* The one document of the text. */
static bool parse(struct reader *r, yaml_parser_t *parser, struct profile *profile)
{
    yaml_document_t document, second;
    bool good;

    if (!yaml_parser_load(parser, &document))
        return reader_fail(r, parser->problem_mark.line + 1, "yaml", "%s",
                           parser->problem ? parser->problem : "cannot be read");
    r->document = &document;
    good = read_profile(r, profile);
    if (good && yaml_parser_load(parser, &second)) {
        if (yaml_document_get_root_node(&second))
            good = reader_fail(r, second.start_mark.line + 1, "file",
                               "has more than one document");
        yaml_document_delete(&second);
    } else if (good) {
        good = reader_fail(r, parser->problem_mark.line + 1, "yaml", "%s",
                           parser->problem ? parser->problem : "cannot be read");
    }
    yaml_document_delete(&document);
    return good;
}

/* libyaml builds the whole tree before we look at it; PROFILE_SIZE_MAX bounds it. */
int profile_load_string(const char *name, const char *text, size_t size,
                        struct profile **out, char *error, size_t error_size)
{
    struct reader r = {.file = name, .error = error, .error_size = error_size};
    struct profile *profile;
    yaml_parser_t parser;
    bool good;

    *out = NULL;
    if (error_size > 0)
        error[0] = '\0';
    profile = calloc(1, sizeof(*profile));
    if (!profile || !yaml_parser_initialize(&parser)) {
        reader_fail(&r, 0, "file", "no memory");
        free(profile);
        return PROFILE_NO_MEMORY;
    }
    r.profile = profile;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    good = parse(&r, &parser, profile);
    yaml_parser_delete(&parser);
    if (!good) {
        profile_free(profile);
        return PROFILE_BAD;
    }
    *out = profile;
    return PROFILE_OK;
}

/* Reads the file whole: a profile is a page of text. */
int profile_load(const char *path, struct profile **out, char *error, size_t error_size)
{
    struct reader r = {.file = path, .error = error, .error_size = error_size};
    FILE *file = fopen(path, "rbe");
    char *text = malloc(PROFILE_SIZE_MAX + 1);
    size_t size = 0;
    int result = PROFILE_UNREADABLE;

    *out = NULL;
    if (!file || !text) {
        reader_fail(&r, 0, "file", "cannot be opened");
        goto done;
    }
    size = fread(text, 1, PROFILE_SIZE_MAX + 1, file);
    if (ferror(file) || size > PROFILE_SIZE_MAX)
        reader_fail(&r, 0, "file",
                    ferror(file) ? "cannot be read" : "is larger than 256 KiB");
    else
        result = profile_load_string(path, text, size, out, error, error_size);
done:
    free(text);
    if (file)
        fclose(file);
    return result;
}

/* See profile.h. */
const struct regmap *profile_regmap(const struct profile *profile)
{
    return &profile->map;
}

/* Newest first, though the order does not matter: nothing on the list frees anything
 * itself. */
void profile_free(struct profile *profile)
{
    struct owned *owned = profile ? profile->owned : NULL;

    while (owned) {
        struct owned *next = owned->next;
        free(owned);
        owned = next;
    }
    free(profile);
}
