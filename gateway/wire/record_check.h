/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of one record, held when it is written and again when it is read. Private to
 * wire/.
 */
#ifndef WIRE_RECORD_CHECK_H
#define WIRE_RECORD_CHECK_H

#include "wire/record.h"

#define WIRE_UTC_MAX_US                                                                  \
    INT64_C(253402300799999999) /* end of the year 9999; and so far before 1970 */
#define WIRE_MONOTONIC_MAX_US                                                            \
    (UINT64_C(1) << 56) /* two thousand years: sums of two never overflow */

/* Returns WIRE_OK, WIRE_LIMIT or WIRE_INVALID, then with *field naming the first field at
 * fault. */
int record_check(const wardgate_Record *record, const char **field);

/* True if text ends within capacity and is UTF-8 without control characters. */
bool text_valid(const char *text, size_t capacity);

/* WIRE_LIMIT or WIRE_MALFORMED, from the words in which nanopb refused something. */
int decode_error(const char *why);

#endif
