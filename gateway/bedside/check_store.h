/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the store can be opened at all, found out by children: a damaged file may kill
 * whoever reads it, and then it is to be salvaged and not to be opened again and again.
 */
#ifndef BEDSIDE_CHECK_STORE_H
#define BEDSIDE_CHECK_STORE_H

struct daemon;

/* Looks at the store in a child; if that dies or finds it damaged, salvages it in
 * another. Also arranges that a fault of this process (SIGSEGV, SIGBUS, SIGABRT) makes
 * the next start look at every record. Call it before there are threads. */
void check_store(struct daemon *daemon);

/* Makes the next start salvage the store whatever it looks like. */
void check_store_mark(const struct daemon *daemon);

#endif
