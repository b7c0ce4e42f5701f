/* SPDX-License-Identifier: Apache-2.0
 *
 * What `enrol` and `replace` have in common: a board's key and request, its certificate
 * from the site's PKI or from a folder that was carried over, its configuration, and the
 * checks of clock and network. All functions return TOOL_OK, or a tool_exit after saying
 * why.
 */
#ifndef TOOL_ENROLMENT_H
#define TOOL_ENROLMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"
#include "tool/pki_site.h"

struct enrolment {
    /* From the command line; NULL: not given. */
    const char *folder, *name, *site_name, *pki, *from, *broker, *days, *pid;
    bool json, no_checks;
    bool wall; /* the clock is to be believed as it is */
    /* Worked out by enrolment_begin(). */
    char site[NAME_MAX_LENGTH + 1];
    char home[PKI_PATH_SIZE]; /* the folder, absolute */
    char host[PKI_NAME_SIZE];
    unsigned short port;
};

/* Checks what was given, makes the folder. */
int enrolment_begin(struct enrolment *e);

/* HOME/NAME + ending, or HOME/file when name is left out. Returns out. */
const char *enrolment_path(const struct enrolment *e, const char *file, bool of_name,
                           char out[PKI_PATH_SIZE]);

/* The board's private key, made here and never leaving, and a request for it beside it.
 * fresh: one that is there already is refused. */
int enrolment_key(const struct enrolment *e, bool fresh);

/* With --pki: certifies the request. revoke: every earlier certificate of the name is
 * revoked first, the lists are written again, and with --broker-pid the broker is told.
 * Not revoking, a name that another key has is refused. *revoked: how many were. */
int enrolment_sign(struct enrolment *e, bool revoke, size_t *revoked);

/* With --from: makes sure that the certificate there is of this key, name and site, and
 * copies certificate, authority and revocation list into the folder. */
int enrolment_install(struct enrolment *e);

/* Puts a configuration in force after wardgated itself has found it good; the one that
 * was there stays in force otherwise. */
int enrolment_config(const struct enrolment *e, const char *text);

/* Clock and network, in plain words. TOOL_FINDINGS when something is to be put right. */
int enrolment_check(const struct enrolment *e);

/* "step: text", or a JSON object. */
void enrolment_say(const struct enrolment *e, const char *step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
