/* SPDX-License-Identifier: Apache-2.0
 *
 * One charted reading as one line of JSON: the embedded default EPR, and what a script
 * can read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/zone.h"
#include "chart/deliver.h"
#include "wire/terms.h"

struct writer {
    char *out;
    size_t size, capacity;
    bool full;
};

/* Full once is full for good; the caller looks when all is written. */
static void put(struct writer *w, const char *bytes, size_t n)
{
    if (w->full || n > w->capacity - w->size) {
        w->full = true;
        return;
    }
    memcpy(w->out + w->size, bytes, n);
    w->size += n;
}

static void raw(struct writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void number(struct writer *w, const char *before, uint64_t n)
{
    char digits[24];
    raw(w, before);
    snprintf(digits, sizeof digits, "%" PRIu64, n);
    raw(w, digits);
}

/* Bytes of the UTF-8 character at p, 0 if it is none. */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

static void escape(struct writer *w, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    raw(w, "\\u00");
    put(w, (const char[]){hex[c >> 4], hex[c & 15]}, 2);
}

/* A JSON string. A byte that is not UTF-8 is taken for Latin-1, which is what old feeds
 * send. */
static void string(struct writer *w, const char *text)
{
    put(w, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)(text ? text : ""); *p;) {
        size_t n = utf8_length(p);
        if (*p == '"' || *p == '\\')
            put(w, (const char[]){'\\', (char)*p}, 2);
        else if (*p < 0x20 || n == 0)
            escape(w, *p);
        else
            put(w, (const char *)p, n);
        p += n ? n : 1;
    }
    put(w, "\"", 1);
}

/* What is not known is not there: "" would be a value. */
static void member(struct writer *w, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    raw(w, ",\"");
    raw(w, name);
    raw(w, "\":");
    string(w, text);
}

static void write_patient(struct writer *w, const struct deliver_patient *p)
{
    raw(w, ",\"patient\":{\"mrn\":");
    string(w, p->mrn);
    member(w, "authority", p->authority);
    member(w, "nhs", p->nhs);
    member(w, "family", p->family);
    member(w, "given", p->given);
    member(w, "birth", p->birth);
    member(w, "sex", p->sex);
    raw(w, "}");
    member(w, "visit", p->visit);
    member(w, "location", p->location);
}

/* Values are text, so that no reader's binary fractions eat the device's digits. */
static void write_observation(struct writer *w, const wardgate_Observation *o)
{
    char digits[64];
    const struct term *term = term_by_code(o->code);
    const struct unit_term *unit = unit_by_code(o->unit);
    number(w, "{\"code\":", o->code);
    member(w, "term", term ? term->refid : NULL);
    if (o->which_value == wardgate_Observation_mantissa_tag) {
        if (decimal_text(o->value.mantissa, o->exponent, digits, sizeof digits) < 0)
            w->full = true; /* never a value cut short */
        member(w, "value", digits);
    } else if (o->which_value == wardgate_Observation_coded_tag) {
        number(w, ",\"coded\":", o->value.coded);
    } else {
        raw(w, ",\"text\":");
        string(w, o->value.text);
    }
    if (o->unit)
        number(w, ",\"unit\":", o->unit);
    member(w, "ucum", unit ? unit->ucum : NULL);
    if (o->quality)
        number(w, ",\"quality\":", o->quality);
    if (o->site)
        number(w, ",\"site\":", o->site);
    raw(w, "}");
}

/* The control id comes first: the file EPR finds it without parsing. */
static void write_head(struct writer *w, const struct deliver_message *m,
                       const char *control)
{
    static const char *const kinds[] = {"result", "withdrawal", "correction"};
    char text[ZONE_TEXT_SIZE], filler[DELIVER_FILLER_SIZE], hex[2 * EPOCH_SIZE + 1];
    raw(w, "{\"control\":\"");
    raw(w, control);
    raw(w, "\"");
    member(w, "kind", kinds[m->kind]);
    member(w, "filler",
           deliver_filler(m->gateway, &m->epoch, m->record->seq, m->generation, filler));
    if (m->replaces)
        member(w, "replaces",
               deliver_filler(m->gateway, &m->epoch, m->record->seq, m->replaces,
                              filler));
    member(w, "gateway", m->gateway);
    member(w, "epoch", hex_text(m->epoch.bytes, EPOCH_SIZE, hex));
    number(w, ",\"seq\":", m->record->seq);
    member(w, "place", m->record->place);
    member(w, "device", m->record->device.id);
    if (m->record->has_sample)
        number(w, ",\"sample\":", m->record->sample);
    member(w, "time", utc_text(m->utc_us, text));
    number(w, ",\"uncertainty_ms\":", m->uncertainty_ms);
    member(w, "made", utc_text(m->made_utc_us, text));
}

int deliver_json(const struct deliver_message *m, char *out, size_t capacity)
{
    struct writer w = {.out = out, .capacity = capacity};
    char control[DELIVER_CONTROL_SIZE];
    int charted = 0;
    if (deliver_control(m, control) != 0)
        return DELIVER_TOO_LARGE;
    write_head(&w, m, control);
    write_patient(&w, &m->patient);
    raw(&w, ",\"observations\":[");
    for (int i = 0; i < m->record->observations_count && i < 32; i++) {
        const wardgate_Observation *o = &m->record->observations[i];
        if (!(m->observations >> i & 1u) || !deliver_chartable(o))
            continue;
        put(&w, ",", charted++ ? 1 : 0);
        write_observation(&w, o);
    }
    raw(&w, "]}\n");
    return charted == 0 ? DELIVER_NOTHING : w.full ? DELIVER_TOO_LARGE : (int)w.size;
}
