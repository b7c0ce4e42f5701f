/* SPDX-License-Identifier: Apache-2.0
 *
 * A site's PKI as a folder (0700):
 *
 *   pki.json                      what was issued, to whom, until when, and what is
 * revoked clients/  ca.pem ca.key crl.pem   signs boards and charts; the broker trusts it
 *   servers/  ca.pem ca.key crl.pem   signs the broker; boards and charts trust it
 *   boards/NAME/  charts/NAME/  broker/   each: ca.pem (whom it trusts) crl.pem cert.pem
 * key.pem
 *
 * Two authorities, so that nothing taken from a board can ever pass for the broker.
 */
#ifndef TOOL_PKI_SITE_H
#define TOOL_PKI_SITE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/pki.h"

#define PKI_PATH_SIZE 1024

struct pki_site {
    char folder[PKI_PATH_SIZE]; /* absolute */
    char name[NAME_MAX_LENGTH + 1];
    int lock;     /* descriptor: one command at a time */
    json_t *book; /* pki.json */
};

enum pki_party { PARTY_BOARD, PARTY_CHART, PARTY_BROKER };

/* All return 0, or a tool_exit after saying why on stderr. */
int pki_site_make(const char *folder, const char *name, int64_t days,
                  struct pki_site *site);
int pki_site_open(const char *folder, struct pki_site *site);
void pki_site_close(struct pki_site *site);

/* Writes pki.json, so that after any cut it is the old or the new one. */
int pki_site_save(struct pki_site *site);

/* Certifies the key in `from` (private key, request or certificate, PEM) for party and
 * name, notes it and writes the party's folder (key.pem only when key is not NULL). An
 * earlier certificate of the same name stays valid until it is revoked or ends. */
int pki_site_issue(struct pki_site *site, enum pki_party party, const char *name,
                   const char *from, const char *key, int64_t days,
                   const char *const *hosts, size_t hosts_count);

/* Marks every certificate of name as revoked; *count is how many were not yet. */
int pki_site_revoke(struct pki_site *site, const char *name, size_t *count);

/* Writes both revocation lists from the book and copies them to every folder that needs
 * one. */
int pki_site_publish(struct pki_site *site);

/* The newest certificate's entry of a name, or NULL. */
json_t *pki_site_find(const struct pki_site *site, const char *name);

/* "board", "chart", "broker". */
const char *pki_party_text(enum pki_party party);
bool pki_party_of(const json_t *entry, enum pki_party *party);

/* Path of a file in a party's folder: DIR/boards/NAME/FILE, DIR/broker/FILE. Returns out.
 */
const char *pki_site_path(const struct pki_site *site, enum pki_party party,
                          const char *name, const char *file, char out[PKI_PATH_SIZE]);

/* Whole text files; both say what went wrong. */
int pki_text_read(const char *path, char **out);
int pki_text_write(const char *path, const char *text, unsigned mode);

#endif
