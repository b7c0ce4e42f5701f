/* SPDX-License-Identifier: Apache-2.0
 *
 * MLLP: HL7 v2 messages over a byte stream, each between 0x0B and 0x1C 0x0D. The decoder
 * is pure; server and client run on an sd-event loop. No TLS here: the listener is for
 * loopback or a private segment, by configuration.
 *
 * Tolerated, each counted: bytes outside a frame, start or end doubled (0B 0B .. 1C 0D 1C
 * 0D), an end without its 0D, a frame that is cut off by the start of the next. Not
 * tolerated: a frame beyond the limit (dropped whole, the connection with it).
 */
#ifndef CHART_MLLP_H
#define CHART_MLLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sd_event;

#define MLLP_START        0x0b
#define MLLP_END          0x1c
#define MLLP_OVERHEAD     3  /* bytes that framing adds */
#define MLLP_PEERS_MAX    64 /* connections to one listener */
#define MLLP_ADDRESS_SIZE 46 /* numeric IPv4 or IPv6 */

/* --- Framing --- */

struct mllp_decoder {
    char *buffer;    /* the caller's; holds the frame under way */
    size_t capacity; /* longest message taken */
    size_t used;
    bool inside, too_long;
    /* garbage counts bytes, the others frames or marks */
    uint64_t frames, garbage, doubled, truncated, oversized;
};

enum mllp_step {
    MLLP_MORE,     /* all bytes taken, no frame complete */
    MLLP_FRAME,    /* buffer[0..used) is a message, valid until the next call */
    MLLP_OVERSIZED /* a frame longer than capacity ended and was dropped */
};

void mllp_decoder(struct mllp_decoder *decoder, char *buffer, size_t capacity);

/* Takes bytes up to the end of one frame at most; *taken says how many. Call again with
 * the rest. */
enum mllp_step mllp_decode(struct mllp_decoder *decoder, const char *bytes, size_t n,
                           size_t *taken);

/* Frames a message: n + MLLP_OVERHEAD bytes to out. Returns the size, 0 if capacity is
 * too small or the message holds a framing byte. */
size_t mllp_encode(const char *message, size_t n, char *out, size_t capacity);

/* --- Server --- */

struct mllp_server;

struct mllp_server_options {
    const char *address; /* numeric; the only one listened on */
    uint16_t port;       /* 0 = any free one, see mllp_server_port */
    size_t message_max;  /* bytes; 0 = HL7_MESSAGE_MAX */
    /* 0 = MLLP_PEERS_MAX; a further one is closed at once and counted */
    size_t peers_max;
    /* a frame that has begun and does not go on for so long ends the connection; 0 = 30
     * s */
    int64_t idle_ms;
    /* One message has come whole. peer names who waits for an answer; bytes are valid
     * during the call only. No more is read from this peer until mllp_server_reply is
     * called for it, at once or later (after the log is on disk). */
    void (*on_message)(void *context, uint64_t peer, const char *bytes, size_t n);
    void *context;
};

struct mllp_server_counts {
    uint64_t accepted, refused_peers, closed, messages, replies, replies_lost, garbage,
        doubled, truncated, oversized, idle;
    size_t peers; /* connected now */
};

/* Binds and listens. Returns 0 or -errno. options is copied. Free with mllp_server_free
 * (NULL is fine): closes every peer. */
int mllp_server_new(struct sd_event *event, const struct mllp_server_options *options,
                    struct mllp_server **out);
void mllp_server_free(struct mllp_server *server);
uint16_t mllp_server_port(const struct mllp_server *server);

/* Answers the message under way of that peer and reads on; n = 0 reads on without an
 * answer (HL7_ACK_NONE). Returns 0, -ENOTCONN when the peer has gone meanwhile (not an
 * error: it will send again), -EINVAL when nothing is under way, -ENOMEM. */
int mllp_server_reply(struct mllp_server *server, uint64_t peer, const char *bytes,
                      size_t n);

void mllp_server_counts(const struct mllp_server *server,
                        struct mllp_server_counts *counts);

/* --- Client --- */

struct mllp_client;

enum mllp_outcome {
    MLLP_ANSWERED, /* an answer with our MSA-2 came; read it with hl7_answer */
    /* none came in time; the connection is closed so that a late one can't be taken for
     * the next */
    MLLP_TIMEOUT,
    /* the connection ended with the message under way: it may or may not have arrived */
    MLLP_LOST,
};

struct mllp_client_options {
    const char *address; /* numeric, or "localhost" */
    uint16_t port;
    int64_t answer_ms;  /* longest wait for an answer; 0 = 30 s */
    int64_t connect_ms; /* longest wait for a connection; 0 = 5 s */
    /* between attempts, doubling with jitter; 0 = 500 ms, 30 s */
    int64_t back_off_min_ms, back_off_max_ms;
    uint64_t jitter_seed; /* so that many clients do not knock together; any number */
    /* All are called from the event loop, never from inside mllp_client_send. */
    void (*on_up)(void *context); /* connected: a message may be sent */
    /* connection lost, after the outcome of the message under way; reconnects by
     * itself */
    void (*on_down)(void *context);
    /* answer borrowed */
    void (*on_outcome)(void *context, enum mllp_outcome outcome, const char *answer,
                       size_t n);
    void *context;
};

struct mllp_client_counts {
    /* strays: answers with a foreign MSA-2 or unreadable */
    uint64_t connects, failures, sent, answered, timeouts, lost, strays;
};

/* Starts connecting. Returns 0 or -errno. options is copied. mllp_client_free closes
 * without calling back; not to be called from inside a callback. */
int mllp_client_new(struct sd_event *event, const struct mllp_client_options *options,
                    struct mllp_client **out);
void mllp_client_free(struct mllp_client *client);

bool mllp_client_up(const struct mllp_client *client); /* connected */
/* connected and nothing under way */
bool mllp_client_idle(const struct mllp_client *client);

/* Sends one message (copied); its MSH-10 is what the answer must name. Exactly one
 * on_outcome follows. Returns 0, -ENOTCONN, -EBUSY (one is under way), -EINVAL (no
 * MSH-10, or a framing byte inside), -ENOMEM. */
int mllp_client_send(struct mllp_client *client, const char *bytes, size_t n);

void mllp_client_counts(const struct mllp_client *client,
                        struct mllp_client_counts *counts);

#endif
