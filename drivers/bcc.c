/* SPDX-License-Identifier: Apache-2.0
 *
 * The session with a pump or a station; see bcc.h. What the station sends by itself
 * counts as well as what it was asked for: every block says all that it means.
 */
#include "drivers/bcc.h"

#include <string.h>

#define HEADER      "/1/1>"
#define HEADER_SIZE 5
#define FIRST_BED   "1" /* to whom the first word is said */
#define ALIVE       "ADMIN:ALIVE"
#define GET         "MEM:GET"
#define TEXT_AT     7 /* of a frame's text */
#define TEXT_END    7 /* ETX, checksum, EOT behind it */
#define REQUEST_MAX (BCC_BED_MAX + HEADER_SIZE + 11)
#define POLL_MS     100  /* the maker's time before an ACK */
#define CYCLE_MS    5000 /* between two questions */
#define FIRST_MS    500  /* the least, from the first word to the first question */
#define ANSWER_MS   5000 /* without a block: the session begins again */
#define NAKS_MAX    3    /* in a row */
#define SILENCE_MS  20000

/* 1. size counts from the SOH on; 0: between frames.
 * 2. bed is empty until the station has told its own.
 * 3. reply is ACK or NAK that the next poll but one sends; due_ms says when. */
struct state {
    char bed[BCC_BED_MAX + 1];
    bool started, asked, done; /* sent_ms counts; waits for an answer; had all of it */
    bool greeted;              /* the last request was the first word */
    bool reply_timed;
    uint8_t reply, naks;
    uint64_t sent_ms, heard_ms, due_ms;
    bool heard; /* a good block since the last poll */
    bool void_answer;
    struct bcc_answer answer;
    size_t size, dropped;
    uint8_t frame[BCC_BLOCK_MAX];
};

/* The station's characters: digits, letters and some between, no '>'. */
static bool bed_character(uint8_t c)
{
    return (c >= '/' && c <= '9') || (c >= 'A' && c <= 'z');
}

/* How long the bed's name before "/1/1>" is; 0 if the text does not begin so. */
static size_t bed_size(const uint8_t *text, size_t n)
{
    size_t size = 0;

    while (size < n && text[size] != '>')
        size++;
    if (size < HEADER_SIZE || size == n ||
        memcmp(text + size + 1 - HEADER_SIZE, HEADER, HEADER_SIZE) != 0)
        return 0;
    size -= HEADER_SIZE - 1;
    for (size_t i = 0; i < size; i++)
        if (!bed_character(text[i]))
            return 0;
    return size <= BCC_BED_MAX ? size : 0;
}

/* Another answer begins; the pump is the same. */
static void forget(struct state *s)
{
    struct bcc_answer next;

    memset(&next, 0, sizeof(next));
    next.pump = s->answer.pump;
    memcpy(next.address, s->answer.address, sizeof(next.address));
    s->answer = next;
    s->void_answer = false;
}

/* The next word is the first again: it may be another station, or another pump. */
static void begin(struct state *s)
{
    s->bed[0] = '\0';
    s->answer.pump = false;
}

/* A block whose check is right. */
static bool take(struct state *s, size_t n, const struct driver_sink *sink)
{
    const uint8_t *text = s->frame + TEXT_AT;
    const size_t size = n - TEXT_AT - TEXT_END, bed = bed_size(text, size);
    const bool last = s->frame[n - TEXT_END] == BCC_ETX;
    struct observation_set set;

    if (bed == 0)
        return false;
    memcpy(s->bed, text, bed);
    s->bed[bed] = '\0';
    s->heard = true;
    bool good =
        bcc_information(text + bed + HEADER_SIZE, size - bed - HEADER_SIZE, &s->answer);
    s->void_answer |= !good;
    if (!last)
        return good;
    good = !s->void_answer && !s->answer.several && !s->answer.error;
    bcc_values(&s->answer, &set);
    if (good && set.count > 0)
        sink->set(sink->context, &set);
    s->done = true;
    if (!good)
        begin(s);
    forget(s);
    return good;
}

/* An EOT. A bad block makes the answer that it belongs to no worse: it comes again. */
static void end(struct state *s, const struct driver_sink *sink)
{
    size_t raw = s->size, n = bcc_check(s->frame, s->size);

    s->size = 0;
    s->reply_timed = false;
    s->reply = n > 0 ? BCC_ACK : BCC_NAK;
    if (n == 0)
        sink->fault(sink->context, DRIVER_FAULT_CHECKSUM, raw);
    else if (!take(s, n, sink))
        sink->fault(sink->context, DRIVER_FAULT_VALUE, raw);
}

static void character(struct state *s, uint8_t c, const struct driver_sink *sink)
{
    if (c == BCC_SOH) { /* always begins afresh */
        if (s->size > 0)
            sink->fault(sink->context, DRIVER_FAULT_SYNC, s->size);
        s->frame[0] = c;
        s->size = 1;
    } else if (s->size == 0) {
        s->dropped += c != BCC_ACK && c != BCC_NAK;
    } else if (s->size == sizeof(s->frame)) {
        sink->fault(sink->context, DRIVER_FAULT_LENGTH, s->size);
        s->size = 0;
        s->dropped++;
    } else {
        s->frame[s->size++] = c;
        if (c == BCC_EOT)
            end(s, sink);
    }
}

static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++)
        character(s, bytes[i], sink);
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* All zero: nobody was spoken to. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

/* D, E, d and e as the line carries them. */
static size_t stuff(const uint8_t *frame, size_t n, uint8_t *out)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++) {
        const uint8_t c = frame[i];
        if (c == 'D' || c == 'd') {
            out[size++] = (uint8_t)(c + 1);
            out[size++] = (uint8_t)(c + 'X' - 'D');
        } else {
            out[size++] = c;
            if (c == 'E' || c == 'e')
                out[size++] = c;
        }
    }
    return size;
}

static size_t append(char *text, size_t n, const char *what)
{
    for (; *what != '\0'; what++)
        text[n++] = *what;
    return n;
}

/* The question for everything, or the first word. */
static size_t request(const struct state *s, bool alive, uint8_t *out)
{
    uint8_t frame[REQUEST_MAX + TEXT_AT + TEXT_END];
    char text[REQUEST_MAX];
    size_t n = append(text, 0, alive ? FIRST_BED : s->bed);

    n = append(text, n, HEADER);
    n = append(text, n, alive ? ALIVE : GET);
    return stuff(frame, bcc_frame(text, n, frame), out);
}

/* ACK or NAK, not before its time. A block that stays bad is given up. */
static size_t answer(struct state *s, uint64_t now_ms, uint8_t *out)
{
    if (!s->reply_timed) {
        s->reply_timed = true;
        s->due_ms = now_ms + POLL_MS;
    }
    if (now_ms < s->due_ms)
        return 0;
    out[0] = s->reply;
    s->naks = s->reply == BCC_NAK ? (uint8_t)(s->naks + 1) : 0;
    s->reply = 0;
    if (s->naks < NAKS_MAX)
        return 1;
    s->naks = 0;
    s->asked = false;
    begin(s);
    return 0;
}

static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    *again_ms = now_ms + POLL_MS;
    if (s->heard)
        s->heard_ms = now_ms;
    s->heard = false;
    if (s->reply != 0)
        return answer(s, now_ms, out);
    if (s->asked && !s->done && now_ms - s->heard_ms >= ANSWER_MS) {
        s->asked = false;
        begin(s);
    }
    const bool alive = s->bed[0] == '\0';
    const uint64_t wait_ms = s->greeted && !alive ? FIRST_MS : CYCLE_MS;
    if ((s->asked && !s->done) || (s->started && now_ms - s->sent_ms < wait_ms))
        return 0;
    s->greeted = alive;
    s->started = s->asked = true;
    s->done = false;
    s->sent_ms = s->heard_ms = now_ms;
    forget(s);
    return request(s, alive, out);
}

/* ACK, NAK, and two questions, to any bed. */
static bool may_send(const uint8_t *bytes, size_t n)
{
    uint8_t frame[DRIVER_SEND_MAX], again[2 * DRIVER_SEND_MAX];
    size_t size, bed, rest;

    if (n == 1)
        return bytes[0] == BCC_ACK || bytes[0] == BCC_NAK;
    if (n == 0 || n > sizeof(frame))
        return false;
    memcpy(frame, bytes, n);
    size = bcc_check(frame, n);
    if (size == 0 || frame[size - TEXT_END] != BCC_ETX ||
        stuff(frame, size, again) != n || memcmp(again, bytes, n) != 0)
        return false; /* stuffed as we do it, and in no other way */
    size -= TEXT_AT + TEXT_END;
    bed = bed_size(frame + TEXT_AT, size);
    rest = size - bed - HEADER_SIZE;
    const uint8_t *what = frame + TEXT_AT + bed + HEADER_SIZE;
    return bed > 0 && ((rest == sizeof(GET) - 1 && memcmp(what, GET, rest) == 0) ||
                       (rest == sizeof(ALIVE) - 1 && memcmp(what, ALIVE, rest) == 0));
}

const struct driver bcc = {
    .name = "bcc",
    .title = "B. Braun Space, compact plus pump, BCC",
    .stable = true,
    .evidence = "maker's interface description and one independent implementation",
    .tests = "every bit flip of the description's frames, stuffed and not",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1, .parity = DRIVER_PARITY_NONE},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
