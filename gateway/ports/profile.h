/* SPDX-License-Identifier: Apache-2.0
 *
 * Device profiles: a Modbus device described in YAML (drivers/DESIGN.md has the keys and
 * an example) turned into the table that drivers/regmap.h decodes by. A profile carries
 * golden frames, real request and reply bytes with the values they mean, and is refused
 * unless every one of them decodes as it says: a wrong scale, sentinel or word order does
 * not load.
 */
#ifndef PORTS_PROFILE_H
#define PORTS_PROFILE_H

#include "drivers/regmap.h"

#define PROFILE_SIZE_MAX   262144 /* bytes of a profile file */
#define PROFILE_FIELDS_MAX 200
#define PROFILE_ERROR_MAX  256 /* bytes that hold any error text */

enum profile_error {
    PROFILE_OK = 0,
    PROFILE_UNREADABLE = -1, /* the file is not there, too large, or may not be read */
    PROFILE_BAD = -2,        /* what is in it is wrong */
    PROFILE_NO_MEMORY = -3,
};

struct profile;

/* Reads and checks the profile at path. On success *out is the profile, to be freed with
 * profile_free(). On failure *out is NULL and error holds "file:line: key: message", cut
 * to error_size; lines count from 1, and 0 stands for the whole file. */
int profile_load(const char *path, struct profile **out, char *error, size_t error_size);

/* The same from memory; name stands for the file in messages. */
int profile_load_string(const char *name, const char *text, size_t size,
                        struct profile **out, char *error, size_t error_size);

/* The table. Borrowed: it lives and dies with the profile. */
const struct regmap *profile_regmap(const struct profile *profile);

/* Frees the profile and its table; NULL is fine. */
void profile_free(struct profile *profile);

#endif
