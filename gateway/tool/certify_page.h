/* SPDX-License-Identifier: Apache-2.0
 *
 * A commissioning record as a page that prints on one sheet: what was checked, in words,
 * and room for two signatures. Everything in it is text from outside and escaped.
 */
#ifndef TOOL_CERTIFY_PAGE_H
#define TOOL_CERTIFY_PAGE_H

#include <jansson.h>

/* The page of a record as `wardgate certify` makes it: "passed", "facts" {name: text},
 * "checks" [{name, passed, words}], "screen" [{name, unit, shown, read, passed}]. Returns
 * it malloc'ed and terminated, *n its length; NULL if there is no memory. */
char *certify_page(const json_t *record, size_t *n);

#endif
