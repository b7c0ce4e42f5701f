/* SPDX-License-Identifier: Apache-2.0
 *
 * One TLS client session over a connected, non-blocking socket: mbedTLS 2.28 (TLS 1.2)
 * or 3.6 (1.2 and 1.3) behind one face. It knows no event loop and no local socket;
 * tls_link drives it.
 */
#ifndef LINK_TLS_SESSION_H
#define LINK_TLS_SESSION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "link/tls_files.h"
#include "link/tls_link.h"
#include "link/tls_verify.h"

struct tls_session;

enum tls_step {
    TLS_DONE = 0,
    TLS_WANT_READ = -1,  /* call again when the socket is readable */
    TLS_WANT_WRITE = -2, /* ... writable */
    TLS_FAILED = -3,     /* tls_session_error has the words; the session is dead */
};

/* Reads the files and prepares a session. config is borrowed and must outlive it; now_us
 * is the wall clock, floor_us the least that it can truly be (microseconds since 1970).
 * *own is filled in any case. Returns 0, or -1 and the words. Free with tls_session_free
 * (NULL is fine). */
int tls_session_new(const struct tls_link_config *config, int64_t floor_us,
                    int64_t now_us, struct tls_session **out, struct tls_own *own,
                    char error[TLS_ERROR_SIZE]);
void tls_session_free(struct tls_session *session);

/* Goes on with the handshake on fd (borrowed). TLS_DONE means: it is done, and every
 * check held. */
enum tls_step tls_session_handshake(struct tls_session *session, int fd);

/* > 0: bytes; TLS_DONE (read only): the peer has ended its side; else an enum tls_step. A
 * write that wants is to be repeated with the same bytes and length before any other. */
ssize_t tls_session_read(struct tls_session *session, uint8_t *out, size_t size);
ssize_t tls_session_write(struct tls_session *session, const uint8_t *bytes, size_t n);

/* Says close_notify, as far as the socket takes it. */
void tls_session_goodbye(struct tls_session *session);

/* Why it failed, in words; empty if it did not. */
const char *tls_session_error(const struct tls_session *session);

/* Puts into words that the handshake has not ended after after_ms, and how far the peer
 * came. */
void tls_session_stalled(struct tls_session *session, uint32_t after_ms);

/* Fills peer, version, suite and peer_expiry_utc_us as far as they are known. */
void tls_session_describe(const struct tls_session *session,
                          struct tls_link_status *status);

#endif
