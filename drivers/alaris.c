/* SPDX-License-Identifier: Apache-2.0
 *
 *   !INF^serial^alarm^mode^rate^ml/h^drug^infused^ml^pressure^mmHg^time^EVENT^17|CRC4<CR>
 *
 * The check is the CRC-16 of the text between ! and |, which finds every single bit and
 * every burst up to 16. A unit in other words than these is no unit that is known.
 */
#include "drivers/alaris.h"

#include "drivers/checksum.h"
#include "drivers/decimal.h"
#include "drivers/observe.h"
#include "drivers/text.h"

#include <string.h>

#define MDC_FLOW_FLUID_PUMP       157784
#define MDC_VOL_FLUID_DELIV_TOTAL 157993
#define MDC_DIM_MILLI_L           263762
#define MDC_DIM_MILLI_L_PER_HR    265266

#define MESSAGE_MAX  200 /* bytes between ! and CR */
#define CHECK_SIZE   5   /* | and four digits */
#define FIELDS       14  /* of INF, its name included */
#define RATE_FIELD   4
#define VOLUME_FIELD 7
#define RATE_MAX     9999
#define VOLUME_MAX   99999
#define ASK_MS       2000
#define SILENCE_MS   15000

struct state {
    bool inside; /* ! was read */
    bool asked;
    uint64_t asked_ms;
    size_t have, dropped;
    uint8_t message[MESSAGE_MAX];
};

static const uint8_t question[] = {'!', 'I', 'N', 'F', '|', '4', '9', '6', '1', '\r'};

/* Upper case only, as pumps write it. */
static void check_write(const uint8_t *body, size_t n, uint8_t out[4])
{
    static const char digits[] = "0123456789ABCDEF";
    uint16_t crc = checksum_ccitt_more(CHECKSUM_CCITT_START, body, n);

    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)digits[crc >> (12 - 4 * i) & 15];
}

/* A number and, in the field behind it, its unit. An empty number or a dash is none. */
static void put(struct observation_set *set, const struct text fields[FIELDS], size_t at,
                uint32_t code, uint32_t unit, const char *unit_text, int64_t most,
                unsigned quality)
{
    char number[DECIMAL_TEXT_MAX] = "";
    struct decimal value = {0, 0};
    bool has = fields[at].left > 0 && !text_is(&fields[at], "-");

    if (has && fields[at].left < sizeof(number)) {
        memcpy(number, fields[at].at, fields[at].left);
        if (decimal_parse(number, &value) != DECIMAL_OK ||
            decimal_compare(value, (struct decimal){0, 0}) < 0 ||
            decimal_compare(value, (struct decimal){most, 0}) > 0 ||
            !text_is(&fields[at + 1], unit_text))
            quality |= QUALITY_INVALID;
    } else if (has) {
        quality |= QUALITY_INVALID;
    }
    observe(set, code, unit, has, value.mantissa, value.exponent, has ? quality : 0);
}

/* A message whose check is right. Answers to what others have asked say nothing. */
static void take(const struct state *s, size_t n, const struct driver_sink *sink)
{
    struct text t = text_make(s->message, n), fields[FIELDS];
    struct observation_set set;

    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = text_until(&t, ALARIS_FIELD);
        if (i + 1 < FIELDS)
            text_expect(&t, "^");
    }
    if (!text_is(&fields[0], "INF"))
        return;
    if (!text_done(&t)) {
        sink->fault(sink->context, DRIVER_FAULT_LENGTH, s->have + 2);
        return;
    }
    memset(&set, 0, sizeof(set));
    put(&set, fields, RATE_FIELD, MDC_FLOW_FLUID_PUMP, MDC_DIM_MILLI_L_PER_HR, "ml/h",
        RATE_MAX, QUALITY_QUESTIONABLE);
    put(&set, fields, VOLUME_FIELD, MDC_VOL_FLUID_DELIV_TOTAL, MDC_DIM_MILLI_L, "ml",
        VOLUME_MAX, 0);
    sink->set(sink->context, &set);
}

/* CR: is it one? */
static void end(struct state *s, const struct driver_sink *sink)
{
    size_t n = s->have >= CHECK_SIZE ? s->have - CHECK_SIZE : 0;
    uint8_t check[4];

    check_write(s->message, n, check);
    if (s->have > CHECK_SIZE && s->message[n] == ALARIS_CHECK &&
        memcmp(s->message + n + 1, check, sizeof(check)) == 0)
        take(s, n, sink);
    else
        sink->fault(sink->context, DRIVER_FAULT_CHECKSUM, s->have + 2);
    s->inside = false;
}

static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++)
        if (bytes[i] == ALARIS_START) {
            s->dropped += s->inside ? s->have + 1 : 0;
            s->inside = true;
            s->have = 0;
        } else if (!s->inside) {
            s->dropped++;
        } else if (bytes[i] == '\r') {
            end(s, sink);
        } else if (bytes[i] == ALARIS_CANCEL || s->have == MESSAGE_MAX) {
            s->dropped += s->have + 2;
            s->inside = false;
        } else {
            s->message[s->have++] = bytes[i];
        }
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* All zero: nothing asked. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

/* Every two seconds, answered or not. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    if (s->asked && now_ms - s->asked_ms < ASK_MS) {
        *again_ms = s->asked_ms + ASK_MS;
        return 0;
    }
    s->asked = true;
    s->asked_ms = now_ms;
    *again_ms = now_ms + ASK_MS;
    memcpy(out, question, sizeof(question));
    return sizeof(question);
}

/* The question and nothing else. */
static bool may_send(const uint8_t *bytes, size_t n)
{
    return n == sizeof(question) && memcmp(bytes, question, n) == 0;
}

const struct driver alaris = {
    .name = "alaris",
    .title = "BD Alaris and Asena syringe pumps, read only",
    .stable = false,
    .evidence = "check from two implementations, fields from one",
    .tests = "driver_conformance: every bit flip; drivers_alaris_test",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 38400, .data_bits = 8, .stop_bits = 1},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
