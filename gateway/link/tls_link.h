/* SPDX-License-Identifier: Apache-2.0
 *
 * A TLS pump: accepts one local connection at a time on a private AF_UNIX socket (0600 in
 * a 0700 folder) and carries its bytes to one host over mbedTLS. It accepts only when the
 * TCP connection is up, the handshake is done and every check held: mutual certificates,
 * exact host name (no wildcards), private CA, CRL, TLS >= 1.2, key strength, SHA-2. A bad
 * peer gets not one byte of what the local side wrote. Runs in the program's sd-event
 * loop; never blocks (name look-up excepted: give an address or a hosts entry where that
 * matters).
 *
 * Certificates are judged at max(wall clock, floor): a board that boots in 1970 connects,
 * a clock set back opens nothing.
 */
#ifndef LINK_TLS_LINK_H
#define LINK_TLS_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct tls_link;

struct tls_link_config {
    const char *host; /* checked against the certificate's dNSName or iPAddress */
    uint16_t port;
    const char *ca_file, *cert_file, *key_file; /* PEM */
    const char *crl_file;                       /* PEM; NULL or missing file: none */
    const char *socket_path; /* made by tls_link_open, removed by tls_link_close */
    uint32_t handshake_ms;   /* TCP connect and handshake together */
    int64_t floor_utc_us;    /* build date or last committed time, whichever is later */
};

enum tls_link_state {
    TLS_LINK_IDLE,
    TLS_LINK_CONNECTING,
    TLS_LINK_HANDSHAKE,
    TLS_LINK_OPEN,
    TLS_LINK_REFUSED
};

struct tls_link_status {
    enum tls_link_state state;
    char error[160]; /* why the last attempt failed, in words an engineer can act on;
                        empty if it did not */
    char peer[128];  /* subject of the peer's certificate */
    char version[32], suite[64];
    int64_t own_expiry_utc_us; /* of our own certificate; 0 if unreadable. An expired one
                                  never stops acquisition */
    int64_t peer_expiry_utc_us;
    uint64_t handshakes, refusals, bytes_up, bytes_down;
};

/* config's strings are copied. Files are read at every connection, so replacing them
 * rotates without a restart. Returns 0 or -errno (socket folder missing or not private).
 * Bad certificates are not an error here: see status. */
int tls_link_open(sd_event *loop, const struct tls_link_config *config,
                  struct tls_link **out);
void tls_link_status(const struct tls_link *link, struct tls_link_status *status);
/* Raises the floor (never lowers it). */
void tls_link_floor(struct tls_link *link, int64_t floor_utc_us);
/* Ends the present connection, so that new files are used for the next. */
void tls_link_drop(struct tls_link *link);
void tls_link_close(struct tls_link *link); /* NULL is fine */

#endif
