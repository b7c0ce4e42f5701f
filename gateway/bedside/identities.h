/* SPDX-License-Identifier: Apache-2.0
 *
 * Which device was seen at which id: one line a device ("id<TAB>identity") in a small
 * file beside the store, so that a device that was changed while the gateway was off is
 * noticed too (P3).
 */
#ifndef BEDSIDE_IDENTITIES_H
#define BEDSIDE_IDENTITIES_H

#include <stdbool.h>
#include <stddef.h>

/* The identity remembered for id, into out (size bytes, cut); false if there is none or
 * the file can't be read. */
bool identities_find(const char *folder, const char *id, char *out, size_t size);

/* Remembers it in place of the old one. Returns 0 or -errno; the file is the old or the
 * new one whatever happens. */
int identities_set(const char *folder, const char *id, const char *identity);

#endif
