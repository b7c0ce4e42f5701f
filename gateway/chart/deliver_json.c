/* SPDX-License-Identifier: Apache-2.0
 *
 * One charted reading as one line of JSON: the embedded default EPR, and what a script
 * can read.
 */
#include "base/zone.h"
#include "chart/deliver.h"
#include "chart/json_write.h"
#include "wire/terms.h"

static void write_patient(struct json_writer *w, const struct deliver_patient *p)
{
    json_raw(w, ",\"patient\":{\"mrn\":");
    json_text(w, p->mrn);
    json_member(w, "authority", p->authority);
    json_member(w, "nhs", p->nhs);
    json_member(w, "family", p->family);
    json_member(w, "given", p->given);
    json_member(w, "birth", p->birth);
    json_member(w, "sex", p->sex);
    json_raw(w, "}");
    json_member(w, "visit", p->visit);
    json_member(w, "location", p->location);
}

/* Values are text, so that no reader's binary fractions eat the device's digits. */
static void write_observation(struct json_writer *w, const wardgate_Observation *o)
{
    char digits[64];
    const struct term *term = term_by_code(o->code);
    const struct unit_term *unit = unit_by_code(o->unit);
    json_number(w, "{\"code\":", o->code);
    json_member(w, "term", term ? term->refid : NULL);
    if (o->which_value == wardgate_Observation_mantissa_tag) {
        if (decimal_text(o->value.mantissa, o->exponent, digits, sizeof digits) < 0)
            w->full = true; /* never a value cut short */
        json_member(w, "value", digits);
    } else if (o->which_value == wardgate_Observation_coded_tag) {
        json_number(w, ",\"coded\":", o->value.coded);
    } else {
        json_raw(w, ",\"text\":");
        json_text(w, o->value.text);
    }
    if (o->unit)
        json_number(w, ",\"unit\":", o->unit);
    json_member(w, "ucum", unit ? unit->ucum : NULL);
    if (o->quality)
        json_number(w, ",\"quality\":", o->quality);
    if (o->site)
        json_number(w, ",\"site\":", o->site);
    json_raw(w, "}");
}

/* The control id comes first: the file EPR finds it without parsing. */
static void write_head(struct json_writer *w, const struct deliver_message *m,
                       const char *control)
{
    static const char *const kinds[] = {"result", "withdrawal", "correction"};
    char text[ZONE_TEXT_SIZE], filler[DELIVER_FILLER_SIZE], hex[2 * EPOCH_SIZE + 1];
    json_raw(w, "{\"control\":\"");
    json_raw(w, control);
    json_raw(w, "\"");
    json_member(w, "kind", kinds[m->kind]);
    json_member(w, "filler",
                deliver_filler(m->gateway, &m->epoch, m->record->seq, m->generation,
                               filler));
    if (m->replaces)
        json_member(w, "replaces",
                    deliver_filler(m->gateway, &m->epoch, m->record->seq, m->replaces,
                                   filler));
    json_member(w, "gateway", m->gateway);
    json_member(w, "epoch", hex_text(m->epoch.bytes, EPOCH_SIZE, hex));
    json_number(w, ",\"seq\":", m->record->seq);
    json_member(w, "place", m->record->place);
    json_member(w, "device", m->record->device.id);
    if (m->record->has_sample)
        json_number(w, ",\"sample\":", m->record->sample);
    json_member(w, "time", utc_text(m->utc_us, text));
    json_number(w, ",\"uncertainty_ms\":", m->uncertainty_ms);
    json_member(w, "made", utc_text(m->made_utc_us, text));
}

int deliver_json(const struct deliver_message *m, char *out, size_t capacity)
{
    struct json_writer w = {.out = out, .capacity = capacity};
    char control[DELIVER_CONTROL_SIZE];
    int charted = 0;
    if (deliver_control(m, control) != 0)
        return DELIVER_TOO_LARGE;
    write_head(&w, m, control);
    write_patient(&w, &m->patient);
    json_raw(&w, ",\"observations\":[");
    for (int i = 0; i < m->record->observations_count && i < 32; i++) {
        const wardgate_Observation *o = &m->record->observations[i];
        if (!(m->observations >> i & 1u) || !deliver_chartable(o))
            continue;
        json_put(&w, ",", charted++ ? 1 : 0);
        write_observation(&w, o);
    }
    json_raw(&w, "]}\n");
    return charted == 0 ? DELIVER_NOTHING : w.full ? DELIVER_TOO_LARGE : (int)w.size;
}
