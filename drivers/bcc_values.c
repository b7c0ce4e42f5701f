/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames and information of BCC; see bcc.h.
 */
#include "drivers/bcc.h"

#include "drivers/checksum.h"
#include "drivers/decimal.h"
#include "drivers/observe.h"
#include "drivers/text.h"

#include <string.h>

#define FRAME_REST  14 /* bytes of a frame that are not its text */
#define CHECK_MOST  255
#define VALUE_MAX   20    /* characters of a number */
#define TIME_NONE   65535 /* from here on there is no end in sight */
#define SYSTEM      "50100"
#define PUMPS       "501"
#define OFF         "00050"
#define MDC_DIM_SEC 264320

/* Parameters that are given, and the technical limits of each in its unit. */
static const struct parameter {
    const char *name;
    uint32_t code, unit;
    int32_t most;
} parameters[BCC_VALUES] = {
    {"INRT", 157784, 265266, 1800},            /* rate, mL/h */
    {"INVI", 157993, 263762, 99999},           /* volume infused, mL */
    {"INVTB", 157884, 263762, 99999},          /* volume to be infused, mL */
    {"INRMT", 157916, MDC_DIM_SEC, TIME_NONE}, /* time left, s */
};

/* Five digits. */
static void put_number(uint8_t *out, size_t value)
{
    for (size_t i = BCC_DIGITS; i-- > 0; value /= 10)
        out[i] = (uint8_t)('0' + value % 10);
}

size_t bcc_frame(const char *text, size_t n, uint8_t *out)
{
    out[0] = BCC_SOH;
    put_number(out + 1, n + FRAME_REST);
    out[6] = BCC_STX;
    memcpy(out + 7, text, n);
    out[7 + n] = BCC_ETX;
    put_number(out + 8 + n, checksum_sum8(out, 8 + n));
    out[8 + n + BCC_DIGITS] = BCC_EOT;
    return n + FRAME_REST;
}

/* True if n bytes without stuffing are a frame. */
static bool whole(const uint8_t *frame, size_t n)
{
    struct text t = text_make(frame, n);
    uint32_t length, check;

    if (n < FRAME_REST || frame[0] != BCC_SOH || frame[6] != BCC_STX ||
        frame[n - 1] != BCC_EOT || (frame[n - 7] != BCC_ETX && frame[n - 7] != BCC_ETB))
        return false;
    t = text_make(frame + 1, BCC_DIGITS);
    length = text_digits(&t, BCC_DIGITS, BCC_DIGITS);
    if (t.failed || length != n)
        return false;
    t = text_make(frame + n - 1 - BCC_DIGITS, BCC_DIGITS);
    check = text_digits(&t, BCC_DIGITS, BCC_DIGITS);
    return !t.failed && check <= CHECK_MOST && check == checksum_sum8(frame, n - 6);
}

/* Strictly from left to right. 0 if there is what stuffing never makes. */
static size_t unstuff(uint8_t *frame, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t c = frame[i];
        const bool stuffed = c == 'E' || c == 'e';
        if (c == 'D' || c == 'd' || (stuffed && ++i == n))
            return 0;
        if (stuffed && frame[i] == c - 'E' + 'X')
            c--; /* D or d */
        else if (stuffed && frame[i] != c)
            return 0;
        frame[size++] = c;
    }
    return size;
}

/* A frame that is whole as it is was not stuffed, or had nothing to stuff: the length
 * tells the two apart. */
size_t bcc_check(uint8_t *frame, size_t n)
{
    if (whole(frame, n))
        return n;
    n = unstuff(frame, n);
    return whole(frame, n) ? n : 0;
}

/* "12.50", or one of the words for no value. */
static bool number(struct text value, const struct parameter *p, struct observation *o)
{
    char digits[VALUE_MAX + 1] = "";
    struct decimal d;

    o->kind = OBSERVATION_ABSENT;
    o->code = p->code;
    o->unit = p->unit;
    o->mantissa = 0;
    o->exponent = 0;
    o->quality = text_is(&value, "_NA") ? QUALITY_QUESTIONABLE : 0;
    if (text_is(&value, "_NV") || text_is(&value, "_NA"))
        return true;
    if (value.left == 0 || value.left > VALUE_MAX)
        return false;
    memcpy(digits, value.at, value.left);
    if (strlen(digits) != value.left || decimal_parse(digits, &d) != DECIMAL_OK)
        return false;
    if (p->most == TIME_NONE && decimal_compare(d, (struct decimal){TIME_NONE, 0}) >= 0)
        return true;
    o->kind = OBSERVATION_NUMERIC;
    o->mantissa = d.mantissa;
    o->exponent = (int8_t)d.exponent;
    if (d.mantissa < 0 || decimal_compare(d, (struct decimal){p->most, 0}) > 0)
        o->quality = QUALITY_OUT_OF_RANGE;
    return true;
}

/* What a pump says: of the first one it is kept, and that there is another. */
static bool pump(const uint8_t *address, struct text name, struct text value,
                 struct bcc_answer *answer)
{
    if (!answer->pump)
        memcpy(answer->address, address, BCC_ADDRESS);
    answer->pump = true;
    answer->several |= memcmp(answer->address, address, BCC_ADDRESS) != 0;
    if (text_is(&name, "DSSTATUS"))
        answer->off |= text_is(&value, OFF);
    for (size_t i = 0; i < BCC_VALUES; i++)
        if (text_is(&name, parameters[i].name)) {
            answer->has[i] = true;
            return number(value, &parameters[i], &answer->values[i]);
        }
    return true;
}

bool bcc_information(const uint8_t *text, size_t n, struct bcc_answer *answer)
{
    struct text all = text_make(text, n);

    do {
        struct text part = text_until(&all, BCC_RS);
        text_digits(&part, 1, 9); /* seconds since the station was switched on */
        text_expect(&part, ",");
        struct text address = text_until(&part, ',');
        text_expect(&part, ",");
        struct text name = text_until(&part, ',');
        text_expect(&part, ","); /* behind it all is value */
        if (part.failed || address.left != BCC_ADDRESS || name.left == 0)
            return false;
        if (text_is(&address, SYSTEM))
            answer->error |= text_is(&name, "GNERR");
        else if (memcmp(address.at, PUMPS, sizeof(PUMPS) - 1) == 0 &&
                 !pump(address.at, name, part, answer))
            return false;
    } while (text_skip(&all, "\x1E"));
    return text_done(&all);
}

void bcc_values(const struct bcc_answer *answer, struct observation_set *out)
{
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < BCC_VALUES && !answer->several; i++) {
        const struct observation *value = &answer->values[i];
        struct observation *o;
        if (!answer->has[i])
            continue;
        o = observe_absent(out, value->code, value->unit, value->quality);
        if (o == NULL || answer->off)
            continue;
        *o = *value;
    }
}
