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
 * An attempt begins when a local connection waits; a failed attempt closes it unread, so
 * that its owner backs off. There is no other back-off here.
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
    /* Checked, whole, against the certificate's dNSNames; or, if it is an address,
     * against its iPAddresses. The common name counts for nothing. */
    const char *host;
    uint16_t port;
    /* PEM. The key may be readable by its owner and group, nobody else. */
    const char *ca_file, *cert_file, *key_file;
    /* PEM; NULL or missing file: none. One that is there must cover the issuer of the
     * peer's certificate; one out of date still revokes what it names. */
    const char *crl_file;
    const char *socket_path; /* made by tls_link_open, removed by tls_link_close */
    uint32_t handshake_ms;   /* TCP connect and handshake together */
    /* The least that the time can be, microseconds since 1970: the build date or the last
     * committed time, whichever is later. */
    int64_t floor_utc_us;
    /* Carry anything. Otherwise what the peer sends is screened as MQTT 5 (mqtt_screen.h)
     * before the local side gets it. */
    bool raw;
};

enum tls_link_state {
    TLS_LINK_IDLE,       /* nobody local wants the peer */
    TLS_LINK_CONNECTING, /* TCP */
    TLS_LINK_HANDSHAKE,
    TLS_LINK_OPEN,   /* every check held; bytes go both ways */
    TLS_LINK_REFUSED /* the last attempt failed: see error */
};

struct tls_link_status {
    enum tls_link_state state;
    /* Why the last attempt failed or the last connection broke, in words an engineer can
     * act on; empty if it did not. An own certificate that has expired is named first. */
    char error[160];
    /* Of the last peer, good or bad: subject of its certificate, version, suite. */
    char peer[128];
    char version[32], suite[64];
    /* Microseconds since 1970; 0 if unreadable or unknown. An expired certificate of our
     * own is still offered, and never stops acquisition. */
    int64_t own_expiry_utc_us;
    int64_t peer_expiry_utc_us;
    uint64_t handshakes, refusals; /* attempts that ended well, and not */
    uint64_t bytes_up, bytes_down; /* of the local side's bytes, since open */
};

/* config's strings are copied. Files are read at every connection, so replacing them
 * rotates without a restart. Returns 0 or -errno (-ENOENT, -ENOTDIR, -EACCES: socket
 * folder missing or not private; -EINVAL: no folder named). Bad certificates are not an
 * error here: see status. */
int tls_link_open(sd_event *loop, const struct tls_link_config *config,
                  struct tls_link **out);

/* Copies the present state; cheap. */
void tls_link_status(const struct tls_link *link, struct tls_link_status *status);

/* Raises the floor (never lowers it). */
void tls_link_floor(struct tls_link *link, int64_t floor_utc_us);

/* Ends the present connection or attempt, so that new files are used for the next. The
 * local side sees its connection end. */
void tls_link_drop(struct tls_link *link);

/* Sends on what the local side has already written, as far as the network takes it, and
 * ends. NULL is fine. */
void tls_link_close(struct tls_link *link);

#endif
