/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration as a table. A YAML file (libyaml) is read against a const schema: unknown
 * and doubled keys, wrong types, values out of range and missing keys are each one error,
 * "file:line: key: what is wrong and what is expected", and nothing is half applied.
 * Semantic checks of the caller report through the same function with the node's own
 * line.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_ERROR_SIZE 512     /* bytes for one error text */
#define CONFIG_FILE_MAX   1048576 /* bytes of a file */

enum config_type {
    CONFIG_INTEGER,  /* int64_t, minimum..maximum */
    CONFIG_BOOLEAN,  /* bool: true/false/yes/no */
    CONFIG_TEXT,     /* char array of `size` bytes, `minimum`..size-1 characters */
    CONFIG_NAME,     /* like TEXT, and name_valid() */
    CONFIG_PATH,     /* like TEXT, absolute, or made absolute against the file's folder */
    CONFIG_CHOICE,   /* int64_t index into choices */
    CONFIG_DURATION, /* int64_t milliseconds; "250ms", "5s", "10min", "72h";
                        minimum..maximum in ms */
    CONFIG_SIZE,     /* int64_t bytes; "64KiB", "256MiB", "8GiB" */
    CONFIG_SECTION,  /* a nested mapping: schema `of`, stored inline at offset */
    CONFIG_LIST, /* a sequence of mappings: schema `of`; offset of a struct config_list */
};

struct config_field {
    const char *key;
    enum config_type type;
    bool required;
    size_t offset; /* of the value in the struct */
    size_t size;   /* bytes of the value (TEXT, NAME, PATH), or of one element (LIST) */
    int64_t minimum, maximum;
    int64_t preset;             /* INTEGER, BOOLEAN, CHOICE, DURATION, SIZE when absent */
    const char *preset_text;    /* TEXT, NAME, PATH when absent; NULL = empty */
    const char *const *choices; /* CHOICE, ends with NULL */
    const struct config_field *of; /* SECTION, LIST; ends with key NULL */
    const char *help;              /* one line, with the unit; printed by --help and -T */
};

struct config_list { /* elements are owned by the struct config they came from */
    void *items;
    size_t count;
};

struct config; /* the parsed file: keeps lines and list memory */

/* Reads path (or text, when text is not NULL; path is then only the name in errors)
 * against the schema into *into, a zeroed struct of the caller's. Returns 0 and *out
 * (free with config_free after the last use of any list), or -1 and an error text. */
int config_load(const char *path, const char *text, const struct config_field *schema,
                void *into, struct config **out, char error[CONFIG_ERROR_SIZE]);
void config_free(struct config *config);

/* Formats "file:line: key: message" for a semantic error. at is the address of the value
 * inside the struct that was filled (its line is looked up); NULL means the file as a
 * whole. Always returns -1. */
int config_error(const struct config *config, const void *at,
                 char error[CONFIG_ERROR_SIZE], const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Prints the effective configuration as YAML with units and help as comments (-T). */
void config_print(const struct config_field *schema, const void *from,
                  void *file /* FILE * */);

#endif
