/* SPDX-License-Identifier: Apache-2.0
 *
 * Findings of `wardgate check`, and its parts.
 */
#ifndef TOOL_CHECK_H
#define TOOL_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define FINDINGS_TEXT_SIZE 512

/* Prints each finding as it comes: "what: why" for people, {"ok":false,...} for programs.
 */
struct findings {
    bool json;
    bool all; /* people are shown what is good too */
    int bad, good;
};
void finding_bad(struct findings *findings, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void finding_good(struct findings *findings, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads a mosquitto.conf (and looks at the files that it names) for what wardgate needs.
 * Returns TOOL_OK or TOOL_IO; what is wrong goes to findings. */
int check_broker_file(const char *path, struct findings *findings);

/* The same for text in memory: name stands for the file. Files are not looked at. */
void check_broker_text(const char *name, const char *text, struct findings *findings);

struct broker_address {
    const char *host, *ca, *cert, *key, *crl, *site;
    unsigned short port;
};

/* Dials a running broker: with the certificate given, with a stranger's, without TLS, and
 * on a topic that is another's. */
int check_broker_live(const struct broker_address *address, struct findings *findings);

#endif
