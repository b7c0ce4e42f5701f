/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of things. A reading is (gateway, epoch, seq) everywhere; nothing else identifies
 * it.
 */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EPOCH_SIZE      16 /* bytes: random, made with the gateway's store */
#define DIGEST_SIZE     32 /* bytes: SHA-256 of an encoded record */
#define NAME_MAX_LENGTH 47 /* characters of a site or gateway name */

struct epoch {
    uint8_t bytes[EPOCH_SIZE];
};

/* True for 1..NAME_MAX_LENGTH of [a-z0-9-], not starting or ending with '-': safe in
 * topics, file names, certificate names and HL7 fields. */
bool name_valid(const char *name);

/* Lower-case hex. out needs 2n+1 bytes. Returns out. */
const char *hex_text(const uint8_t *bytes, size_t n, char *out);

/* Reads exactly n bytes of hex; false on any other length or character. */
bool hex_bytes(const char *text, uint8_t *out, size_t n);

bool epoch_equal(const struct epoch *a, const struct epoch *b);

#endif
