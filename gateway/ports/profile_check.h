/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold between the keys of a field, and between the fields of a profile.
 * Private to profile*.c.
 */
#ifndef PORTS_PROFILE_CHECK_H
#define PORTS_PROFILE_CHECK_H

#include "drivers/decimal.h"
#include "ports/profile_yaml.h"

/* The keys of a field; the index of a key is that of its line in field_build. */
enum field_key {
    KEY_NAME,
    KEY_ROLE,
    KEY_FUNCTION,
    KEY_ADDRESS,
    KEY_TYPE,
    KEY_ORDER,
    KEY_LENGTH,
    KEY_BIT,
    KEY_BITS,
    KEY_DECIMALS,
    KEY_SCALE,
    KEY_OFFSET,
    KEY_MINIMUM,
    KEY_MAXIMUM,
    KEY_CODE,
    KEY_UNIT,
    KEY_SITE,
    KEY_METHOD,
    KEY_EVERY_MS,
    KEY_EXPECT,
    KEY_ABSENT,
    KEY_VALUES,
    FIELD_KEYS
};

#define PROFILE_QUALITIES 8

/* The words of enum observation_quality, by bit. */
extern const char *const profile_qualities[PROFILE_QUALITIES];

/* A field while it is read: decimals as written, and the line of each key, 0 if absent.
 */
struct field_build {
    struct regmap_field field;
    struct decimal scale, offset, minimum, maximum;
    size_t lines[FIELD_KEYS];
};

/* profile_field.c: the keys in that order; their target is a field_build. */
extern const struct key profile_field_keys[FIELD_KEYS];

/* Checks the keys of one field against each other and puts scale, offset and limits into
 * common exponents. line is the field's own. */
bool profile_check_field(struct reader *reader, size_t line, struct field_build *build);

/* Checks the fields against each other: names, overlaps, counts; a plan must exist. */
bool profile_check_map(struct reader *reader, const struct regmap *map,
                       const size_t *lines);

#endif
