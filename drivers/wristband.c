/* SPDX-License-Identifier: Apache-2.0
 *
 * A scan is one line: perhaps a symbology identifier ("]d2"), then application
 * identifiers with their values, those of variable length ended by GS or the end.
 *
 *   ]d2 8018 952123499900000180 GS 8019 1 GS 91 ... GS 93 ... CR LF
 *
 * Every single wrong digit is found by modulus 10, neighbours in the wrong order by
 * modulus 11. What is wrong in a part that is read over does no harm, unless it is long
 * enough to have swallowed another scan: such a scan is refused.
 */
#include "drivers/wristband.h"

#include "drivers/text.h"

#include <string.h>

#define GSRN_SIZE  18
#define RUN_MAX    13         /* digits in a row; the longest is a location's number */
#define VALUE_MAX  90         /* bytes of a value, as GS1 allows */
#define SILENCE_MS UINT32_MAX /* a scanner may well be silent for days */

struct state {
    bool overrun; /* longer than any scan, or with a byte that none has */
    size_t have;
    uint8_t scan[WRISTBAND_SCAN_MAX];
};

/* Written through a volatile pointer: no compiler may find the store needless. */
static void wipe(void *secret, size_t n)
{
    volatile uint8_t *at = secret;

    while (n-- > 0)
        *at++ = 0;
}

bool wristband_gs1_valid(const uint8_t *digits, size_t n)
{
    unsigned sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (unsigned)(digits[i] - '0') * ((n - i) % 2 == 0 ? 3U : 1U);
    return sum % 10 == 0;
}

/* Weights 10 to 2, the check digit has 1: the whole is a multiple of 11. A sum that would
 * need a check digit of 10 has none. */
bool wristband_nhs_valid(const uint8_t digits[WRISTBAND_NHS_SIZE])
{
    unsigned sum = 0, any = 0;

    for (unsigned i = 0; i < WRISTBAND_NHS_SIZE; i++) {
        sum += (unsigned)(digits[i] - '0') * (WRISTBAND_NHS_SIZE - i);
        any |= (unsigned)(digits[i] - '0');
    }
    return any != 0 && sum % 11 == 0;
}

/* Values that are read over: up to GS or the end. A bracket begins another scan's
 * symbology identifier, a long run of digits its number. */
static bool read_over(struct text *t)
{
    struct text value = text_until(t, WRISTBAND_GS);
    size_t run = 0;

    for (size_t i = 0; i < value.left; i++) {
        run = value.at[i] >= '0' && value.at[i] <= '9' ? run + 1 : 0;
        if (value.at[i] == ']' || run > RUN_MAX)
            return false;
    }
    return value.left > 0 && value.left <= VALUE_MAX;
}

/* The eighteen digits; NULL if they are not that, or are not right. */
static const uint8_t *read_gsrn(struct text *t)
{
    const uint8_t *digits = t->at;

    if (t->left < GSRN_SIZE)
        return NULL;
    for (size_t i = 0; i < GSRN_SIZE; i++)
        if (digits[i] < '0' || digits[i] > '9')
            return NULL;
    t->at += GSRN_SIZE;
    t->left -= GSRN_SIZE;
    if (!wristband_gs1_valid(digits, GSRN_SIZE) ||
        !wristband_nhs_valid(digits + WRISTBAND_PREFIX_SIZE))
        return NULL;
    return digits;
}

/* What else a band may hold: activity, local number, baby, name; local use; and the
 * newer identifiers for birth, sex and names. */
static bool skip_other(struct text *t)
{
    static const char *const known[] = {"8019", "91",   "92",   "93",   "98",   "99",
                                        "7241", "7250", "7251", "7252", "7253", "7254",
                                        "7255", "7256", "7257", "7258", "7259"};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (text_skip(t, known[i]))
            return read_over(t);
    return false;
}

/* A whole scan; the GSRN in it, or NULL. There is exactly one. */
static const uint8_t *read_scan(struct text *t)
{
    static const char gs[] = {WRISTBAND_GS, '\0'};
    const uint8_t *gsrn = NULL;

    if (text_skip(t, "]"))
        if (!text_skip(t, "d2") && !text_skip(t, "C1") && !text_skip(t, "Q3"))
            return NULL;
    text_skip(t, gs);
    while (t->left > 0) {
        if (text_skip(t, "8018")) {
            if (gsrn != NULL || (gsrn = read_gsrn(t)) == NULL)
                return NULL;
        } else if (!skip_other(t)) {
            return NULL;
        }
        text_skip(t, gs); /* fixed in length, and yet one must follow */
    }
    return gsrn;
}

/* The end of a scan: what it says, if it may be said, and then nothing of it is left. */
static void take(struct state *s, const struct driver_scan_sink *sink)
{
    char prefix[WRISTBAND_PREFIX_SIZE + 1] = "";
    uint8_t id[WRISTBAND_ID_SIZE] = WRISTBAND_ID_MARK;
    const struct driver_scan scan = {prefix, id, sizeof(id)};
    struct text t = text_make(s->scan, s->have);
    const uint8_t *gsrn = s->overrun ? NULL : read_scan(&t);

    if (gsrn != NULL) {
        memcpy(prefix, gsrn, WRISTBAND_PREFIX_SIZE);
        memcpy(id + sizeof(WRISTBAND_ID_MARK) - 1, gsrn + WRISTBAND_PREFIX_SIZE,
               WRISTBAND_NHS_SIZE);
        if (sink->scan != NULL)
            sink->scan(sink->context, &scan);
    } else {
        sink->fault(sink->context, DRIVER_FAULT_VALUE, s->have);
    }
    wipe(id, sizeof(id));
    wipe(s->scan, sizeof(s->scan));
    s->have = 0;
    s->overrun = false;
}

static void scan(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_scan_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++)
        if (bytes[i] == '\r' || bytes[i] == '\n') {
            if (s->have > 0)
                take(s, sink);
        } else {
            s->overrun |= s->have == sizeof(s->scan) || bytes[i] == 0x7F ||
                          (bytes[i] < ' ' && bytes[i] != WRISTBAND_GS);
            if (s->have < sizeof(s->scan))
                s->scan[s->have++] = bytes[i];
        }
}

/* Nothing of a scan goes to a sink for sets. */
static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    const struct driver_scan_sink nobody = {sink->context, NULL, sink->fault};

    scan(state, bytes, n, &nobody);
}

/* Also the end of a scan that was begun. */
static void init(void *state)
{
    wipe(state, sizeof(struct state));
}

const struct driver wristband = {
    .name = "wristband",
    .title = "Barcode scanner that reads NHS wristbands (GS1)",
    .stable = true,
    .evidence = "GS1 General Specifications and the NHS data dictionary (DCB1077)",
    .tests = "drivers_wristband_test: every bit flip, split and digit; bus_scan_test, "
             "tests/system/wristband: nothing in clear behind the port",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .scan = scan,
};
