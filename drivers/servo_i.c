/* SPDX-License-Identifier: Apache-2.0
 *
 * The session with a Servo ventilator; see servo_i.h. One request at a time; what comes
 * while nothing is asked, or does not fit the request, counts for nothing.
 */
#include "drivers/servo_i.h"

#include "drivers/checksum.h"
#include "drivers/text.h"

#include <string.h>

#define XON          0x11
#define XOFF         0x13
#define CHECK_SIZE   2   /* hex digits before the EOT */
#define REPLY_MAX    160 /* characters, the check and the EOT too */
#define VERSION_MOST 5
#define POLL_MS      100
#define ANSWER_MS    2000  /* the first character comes within 500 ms */
#define SETTLE_MS    500   /* until a definition is in force */
#define RETRY_MS     3000  /* after an error, or no answer */
#define CYCLE_MS     5000  /* between two readings */
#define HOLD_MS      10000 /* the longest XOFF */
#define MISSES_MAX   3
#define ESCAPE_EVERY 3 /* attempts: what runs may be a stream that somebody left on */
#define SILENCE_MS   20000

#define ERROR_STANDBY    17
#define ERROR_CHECKSUM   18
#define ERROR_RANGE      12
#define ERROR_NO_DATA    13
#define ERROR_NO_CHANNEL 15

enum step { ENTER, HIGHEST, USE, CONFIGURE, DEFINE, READ };

/* asked: a request waits for its answer. wait_ms: nothing is sent this long after it. */
struct state {
    enum step step;
    bool asked, held;
    bool started; /* sent_ms is meaningful */
    uint64_t sent_ms;
    uint32_t wait_ms;
    uint8_t channel; /* index, of CONFIGURE */
    uint8_t version, misses, attempts;
    struct servo_i_device device;
    size_t have, raw;
    uint8_t reply[REPLY_MAX];
};

static const char hex[] = "0123456789ABCDEF";

/* Puts check and end behind n characters. Returns the whole length. */
static size_t finish(uint8_t *out, size_t n)
{
    uint8_t check = checksum_xor8(out, n);

    out[n] = (uint8_t)hex[check >> 4];
    out[n + 1] = (uint8_t)hex[check & 15];
    out[n + 2] = SERVO_I_EOT;
    return n + CHECK_SIZE + 1;
}

/* Three digits. */
static size_t put_number(uint8_t *out, unsigned number)
{
    out[0] = (uint8_t)('0' + number / 100 % 10);
    out[1] = (uint8_t)('0' + number / 10 % 10);
    out[2] = (uint8_t)('0' + number % 10);
    return 3;
}

/* From the beginning, in a moment. What is known of the device is asked again. */
static void begin(struct state *s)
{
    s->step = ENTER;
    s->asked = false;
    s->misses = 0;
    s->wait_ms = RETRY_MS;
    memset(&s->device, 0, sizeof(s->device));
}

/* The next step, soon. */
static void go(struct state *s, enum step step)
{
    s->step = step;
    s->wait_ms = step == READ ? SETTLE_MS : POLL_MS;
}

/* After the last channel: a device none of whose channels is as the manual lists them is
 * asked anew, which costs nothing. */
static void next_channel(struct state *s)
{
    bool any = false;

    s->wait_ms = POLL_MS;
    if (++s->channel < SERVO_I_CHANNELS)
        return;
    for (size_t i = 0; i < SERVO_I_CHANNELS; i++)
        any |= s->device.scale[i].unit != 0;
    if (any)
        go(s, DEFINE);
    else
        begin(s);
}

/* "ER17": the device does not do what was asked. */
static void refused(struct state *s, uint32_t error, const struct driver_sink *sink)
{
    struct observation_set set;

    s->wait_ms = RETRY_MS;
    if (error == ERROR_STANDBY && s->step == READ) {
        s->misses = 0;
        s->wait_ms = CYCLE_MS;
        if (servo_i_values(NULL, 0, &s->device, &set) && set.count > 0)
            sink->set(sink->context, &set);
    } else if (s->step == CONFIGURE && (error == ERROR_RANGE || error == ERROR_NO_DATA ||
                                        error == ERROR_NO_CHANNEL)) {
        next_channel(s); /* this ventilator does not have it */
    } else if (error != ERROR_STANDBY && error != ERROR_CHECKSUM) {
        begin(s);
    }
}

/* The values that were asked for. */
static bool values(struct state *s, const struct driver_sink *sink)
{
    struct observation_set set;

    s->wait_ms = CYCLE_MS;
    if (s->have == 0 || !servo_i_values(s->reply, s->have, &s->device, &set))
        return false;
    s->misses = 0;
    if (set.count > 0)
        sink->set(sink->context, &set);
    return true;
}

/* The highest version: that one, or the highest that this driver knows. */
static bool highest(struct state *s, struct text *t)
{
    uint32_t version = text_digits(t, 3, 3);

    if (!text_done(t) || version == 0)
        return false;
    s->version = (uint8_t)(version < VERSION_MOST ? version : VERSION_MOST);
    go(s, USE);
    return true;
}

/* The answer to what was asked; false if it is not that. */
static bool answered(struct state *s, const struct driver_sink *sink)
{
    struct text t = text_make(s->reply, s->have);

    s->asked = false;
    s->wait_ms = RETRY_MS;
    if (text_skip(&t, "ER")) {
        uint32_t error = text_digits(&t, 2, 2);
        if (text_done(&t))
            refused(s, error, sink);
        return text_done(&t);
    }
    switch (s->step) {
    case ENTER: /* 1 in place of 0: the interface has no contact with the ventilator */
        if (!text_is(&t, "Servo-i0") && !text_is(&t, "Servo-s0"))
            return text_is(&t, "Servo-i1") || text_is(&t, "Servo-s1");
        s->attempts = 0;
        go(s, HIGHEST);
        return true;
    case HIGHEST:
        return highest(s, &t);
    case CONFIGURE:
        if (!servo_i_configuration(s->reply, s->have, s->channel,
                                   &s->device.scale[s->channel]))
            return false;
        next_channel(s);
        return true;
    case READ:
        return values(s, sink);
    case USE:
    case DEFINE:
    default:
        if (!text_is(&t, "*"))
            return false;
        s->channel = 0;
        go(s, s->step == USE ? CONFIGURE : READ);
        return true;
    }
}

/* An EOT: what came before it is a reply, or noise. */
static void end(struct state *s, const struct driver_sink *sink)
{
    uint8_t check[REPLY_MAX + CHECK_SIZE + 1];

    if (s->have <= CHECK_SIZE || s->have == sizeof(s->reply)) {
        sink->fault(sink->context, DRIVER_FAULT_LENGTH, s->raw);
        return;
    }
    s->have -= CHECK_SIZE;
    memcpy(check, s->reply, s->have);
    finish(check, s->have);
    if (memcmp(check + s->have, s->reply + s->have, CHECK_SIZE) != 0)
        sink->fault(sink->context, DRIVER_FAULT_CHECKSUM, s->raw);
    else if (!s->asked || !answered(s, sink))
        sink->fault(sink->context, DRIVER_FAULT_VALUE, s->raw);
}

/* Flow control goes first; it may stand anywhere. A byte that no reply has spoils the
 * one that it stands in: there it takes all the room. */
static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        const uint8_t c = bytes[i];
        if (c == XON || c == XOFF) {
            s->held = c == XOFF;
            continue;
        }
        s->raw++;
        if (c == SERVO_I_EOT) {
            end(s, sink);
            s->have = s->raw = 0;
        } else if (c < 0x20 || c > 0x7E) {
            s->have = sizeof(s->reply);
        } else if (s->have < sizeof(s->reply)) {
            s->reply[s->have++] = c;
        }
    }
}

/* All zero: nothing asked, nothing known. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

/* Puts the request of the step there. */
static size_t request(struct state *s, uint8_t *out)
{
    static const char *const texts[] = {"RCTY", "RHVE", "SPVE", "RCCO", "SDADB", "RADAB"};
    size_t n = strlen(texts[s->step]);

    if (s->step == ENTER && ++s->attempts % ESCAPE_EVERY == 0) {
        out[0] = SERVO_I_ESC;
        out[1] = SERVO_I_EOT;
        return 2;
    }
    memcpy(out, texts[s->step], n);
    if (s->step == USE)
        n += put_number(out + n, s->version);
    if (s->step == CONFIGURE)
        n += put_number(out + n, servo_i_channel(s->channel));
    for (size_t i = 0; i < SERVO_I_CHANNELS && s->step == DEFINE; i++)
        if (s->device.scale[i].unit != 0)
            n += put_number(out + n, servo_i_channel(i));
    return finish(out, n);
}

/* A request whose answer stays away is repeated, and after some of them the session
 * begins again: the ventilator was switched off, or is another one. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    *again_ms = now_ms + POLL_MS;
    if (s->held && now_ms - s->sent_ms < HOLD_MS)
        return 0;
    if (s->asked) {
        if (now_ms - s->sent_ms < ANSWER_MS)
            return 0;
        s->asked = false;
        s->have = s->raw = 0;
        s->wait_ms = RETRY_MS;
        if (++s->misses >= MISSES_MAX)
            begin(s);
    }
    if (s->started && now_ms - s->sent_ms < s->wait_ms)
        return 0;
    s->started = s->asked = true;
    s->held = false;
    s->sent_ms = now_ms;
    return request(s, out);
}

/* "200201...": channels that are read, each once, in order. */
static bool channel_list(struct text *t)
{
    size_t next = 0, i;

    do {
        i = servo_i_find(text_digits(t, 3, 3));
        if (t->failed || i < next || i == SERVO_I_CHANNELS)
            return false;
        next = i + 1;
    } while (t->left > 0);
    return true;
}

/* Five questions, and three commands to the interface itself that reach no setting of the
 * ventilator: its protocol version, which values a question reads, and the end of what
 * runs. */
static bool may_send(const uint8_t *bytes, size_t n)
{
    uint8_t whole[DRIVER_SEND_MAX];
    struct text t;

    if (n == 2)
        return bytes[0] == SERVO_I_ESC && bytes[1] == SERVO_I_EOT;
    if (n <= CHECK_SIZE + 1 || n > sizeof(whole))
        return false;
    memcpy(whole, bytes, n - CHECK_SIZE - 1);
    if (finish(whole, n - CHECK_SIZE - 1) != n || memcmp(whole, bytes, n) != 0)
        return false;
    t = text_make(bytes, n - CHECK_SIZE - 1);
    if (text_is(&t, "RCTY") || text_is(&t, "RHVE") || text_is(&t, "RADAB"))
        return true;
    if (text_skip(&t, "SDADB"))
        return channel_list(&t);
    if (text_skip(&t, "RCCO"))
        return servo_i_find(text_digits(&t, 3, 3)) < SERVO_I_CHANNELS && text_done(&t);
    if (!text_skip(&t, "SPVE"))
        return false;
    uint32_t version = text_digits(&t, 3, 3);
    return text_done(&t) && version >= 1 && version <= VERSION_MOST;
}

const struct driver servo_i = {
    .name = "servo-i",
    .title = "Maquet Servo-i, Servo-s ventilator, CIE",
    .stable = true,
    .evidence = "maker's reference manual and one independent implementation",
    .tests = "every bit flip of every answer, scales and units against the manual's",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1, .parity = DRIVER_PARITY_EVEN},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
