/* SPDX-License-Identifier: Apache-2.0
 *
 * What config.c and config_value.c share: the place of a value in the file, and the
 * reading of one scalar.
 */
#ifndef BASE_CONFIG_INTERNAL_H
#define BASE_CONFIG_INTERNAL_H

#include "base/config.h"

#define CONFIG_MESSAGE_SIZE                                                              \
    256 /* bytes of the part of an error that follows "file:line: key: " */
#define CONFIG_DURATION_MAX (INT64_C(366) * 24 * 3600 * 1000) /* ms */
#define CONFIG_SIZE_MAX     (INT64_C(1) << 50)

/* Reads one scalar into the value at `value`. text is terminated and n bytes long; plain
 * says that it was not quoted; folder (absolute, no trailing slash) is where relative
 * paths start. Returns 0, or -1 with message saying what is wrong and what is expected.
 */
int config_value(const struct config_field *field, const char *text, size_t n, bool plain,
                 const char *folder, void *value, char message[CONFIG_MESSAGE_SIZE]);

/* Writes a field's preset. Returns like config_value. */
int config_preset(const struct config_field *field, const char *folder, void *value,
                  char message[CONFIG_MESSAGE_SIZE]);

/* "250ms", "64KiB" - the largest unit that says it exactly. out has 32 bytes. Returns
 * out. */
const char *config_duration_text(int64_t ms, char *out);
const char *config_size_text(int64_t bytes, char *out);

#endif
