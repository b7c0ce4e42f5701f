/* SPDX-License-Identifier: Apache-2.0
 *
 * ORU^R01 after IHE DEV TF-2 (PCD-01): MSH PID PV1 OBR { OBX }. Each writer below reads
 * like its segment's table.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/zone.h"
#include "chart/deliver.h"
#include "chart/hl7.h"
#include "wire/terms.h"

#define PROFILE_OID   "1.3.6.1.4.1.19376.1.6.1.1.1"
#define TIME_SIZE     64
#define LOCATION_SIZE 256
#define TEXT_SIZE     256 /* longer than any name, number or device text */

#define MDC_MONITOR_MDS        69965
#define MDC_TIME_SYNC_PROTOCOL 68220
#define MDC_TIME_SYNC_ACCURACY 68221
#define MDC_TIME_SYNC_NONE     532224
#define MDC_TIME_SYNC_NTPV4    532226
#define MDC_DIM_MICRO_SEC      264339

#define QUALITY_QUESTIONABLE 0x02u
#define QUALITY_CALIBRATING  0x40u

/* Text from elsewhere. The writer escapes what HL7 takes for structure and refuses
 * control characters; a reading must not be lost over a tab in a name, so those become
 * blanks. */
static const char *clean(const char *text, char out[TEXT_SIZE])
{
    size_t n = 0;
    for (const char *c = text ? text : ""; *c && n < TEXT_SIZE - 1; c++)
        out[n++] = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    out[n] = '\0';
    return out;
}

static void put_text(struct hl7_writer *w, size_t field, const char *text)
{
    char cleaned[TEXT_SIZE];
    hl7_put(w, field, clean(text, cleaned));
}

static void put_text_component(struct hl7_writer *w, size_t component, const char *text)
{
    char cleaned[TEXT_SIZE];
    hl7_put_component(w, component, clean(text, cleaned));
}

/* A field of components: put3(w, 4, "a", "b", "c") is a^b^c. */
static void put3(struct hl7_writer *w, size_t field, const char *first,
                 const char *second, const char *third)
{
    hl7_put(w, field, first);
    hl7_put_component(w, 2, second);
    hl7_put_component(w, 3, third);
}

/* "code^REFID^MDC"; the number is what counts, the name is for people. */
static void put_code(struct hl7_writer *w, size_t field, uint32_t code, const char *refid)
{
    char number[16];
    snprintf(number, sizeof number, "%" PRIu32, code);
    put3(w, field, number, refid, "MDC");
}

/* Components 4 to 6 of a CWE: the same thing in another system. */
static void put_alternate(struct hl7_writer *w, const char *code, const char *title,
                          const char *system)
{
    hl7_put_component(w, 4, code);
    hl7_put_component(w, 5, title);
    hl7_put_component(w, 6, system);
}

/* Milliseconds and +0000, always: a time without a zone is two instants once a year. */
static void put_time(struct hl7_writer *w, size_t field, int64_t utc_us)
{
    char text[TIME_SIZE];
    struct civil t;
    civil_from_utc(utc_us, &t);
    snprintf(text, sizeof text, "%04d%02u%02u%02u%02u%02u.%03" PRIu32 "+0000",
             (int)t.year, t.month, t.day, t.hour, t.minute, t.second,
             t.microsecond / 1000);
    hl7_put(w, field, text);
}

/* HL7's tables have letters where some systems send words: the first letter is the same.
 */
static void put_letter(struct hl7_writer *w, size_t field, const char *word,
                       const char *allowed)
{
    char letter[2] = {word && *word ? *word : 'U', '\0'};
    if (letter[0] >= 'a' && letter[0] <= 'z')
        letter[0] = (char)(letter[0] - 'a' + 'A');
    hl7_put(w, field, strchr(allowed, letter[0]) ? letter : "U");
}

static void write_msh(struct hl7_writer *w, const struct deliver_message *m,
                      const char *control)
{
    hl7_segment(w, "MSH");
    hl7_put(w, 3, m->style.sending_application);
    hl7_put(w, 4, m->style.sending_facility);
    hl7_put(w, 5, m->style.receiving_application);
    hl7_put(w, 6, m->style.receiving_facility);
    put_time(w, 7, m->made_utc_us);
    put3(w, 9, "ORU", "R01", "ORU_R01");
    hl7_put(w, 10, control);
    hl7_put(w, 11, m->style.processing);
    hl7_put(w, 12, "2.6");
    hl7_put(w, 15,
            "AL"); /* accept acknowledgement always, application acknowledgement never */
    hl7_put(w, 16, "NE");
    hl7_put(w, 18, m->style.charset);
    put3(w, 21, "IHE_PCD_001", "IHE PCD", PROFILE_OID);
    hl7_put_component(w, 4, "ISO");
}

/* Number first, since every patient has one; the NHS number where it is known and valid.
 */
static void write_pid(struct hl7_writer *w, const struct deliver_patient *p)
{
    bool named = (p->family && *p->family) || (p->given && *p->given);
    hl7_segment(w, "PID");
    put_text(w, 3, p->mrn);
    put_text_component(w, 4, p->authority);
    hl7_put_component(w, 5, "MR");
    if (p->nhs && *p->nhs) {
        hl7_put_repetition(w, p->nhs);
        hl7_put_component(w, 4, "NHS");
        hl7_put_component(w, 5, "NH");
    }
    put_text(w, 5, p->family);
    put_text_component(w, 2, p->given);
    hl7_put_component(w, 7, named ? "L" : "U");
    put_text(w, 7, p->birth);
    put_letter(w, 8, p->sex, "MFOAN");
}

/* PV1-3 goes back as the PAS wrote it, its own components standing; but nothing in it may
 * end the field or begin a segment. */
static void write_pv1(struct hl7_writer *w, const struct deliver_patient *p)
{
    char location[LOCATION_SIZE];
    size_t n = 0;
    for (const char *c = p->location ? p->location : ""; *c && n < sizeof location; c++)
        if ((unsigned char)*c >= 0x20 && *c != '|' && *c != 0x7f)
            location[n++] = *c;
    hl7_segment(w, "PV1");
    put_letter(w, 2, p->category, "IOEPRB");
    hl7_put_raw(w, 3, location, n);
    put_text(w, 19, p->visit);
}

/* One OBR a message: one device's set at one instant. */
static void write_obr(struct hl7_writer *w, const struct deliver_message *m)
{
    char filler[DELIVER_FILLER_SIZE];
    hl7_segment(w, "OBR");
    hl7_put(w, 1, "1");
    hl7_put(w, 3,
            deliver_filler(m->gateway, &m->epoch, m->record->seq, m->generation, filler));
    hl7_put_component(w, 2, m->style.sending_application);
    put_code(w, 4, MDC_MONITOR_MDS, "MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS");
    put_time(w, 7, m->utc_us);        /* the interval that OBR-7 closes ... */
    put_time(w, 8, m->utc_us + 1000); /* ... and OBR-8 leaves open */
    hl7_put(w, 25, m->kind == DELIVER_RESULT ? "R" : "C");
    if (m->replaces) { /* the filler's half of the parent; there is no placer's */
        hl7_put(w, 29, "");
        hl7_put_component(w, 2, "");
        hl7_put_subcomponent(w, 1,
                             deliver_filler(m->gateway, &m->epoch, m->record->seq,
                                            m->replaces, filler));
        hl7_put_subcomponent(w, 2, m->style.sending_application);
    }
}

static void write_obx_head(struct hl7_writer *w, int set, const char *type, uint32_t code,
                           const char *refid)
{
    hl7_segment(w, "OBX");
    hl7_put_unsigned(w, 1, (uint64_t)set);
    hl7_put(w, 2, type);
    put_code(w, 3, code, refid);
}

/* OBX-18: the device as its gateway names it. */
static void put_device(struct hl7_writer *w, const struct deliver_message *m)
{
    put_text(w, 18, m->record->device.id);
    hl7_put_component(w, 2, m->gateway);
}

/* Two rows of ours on how far the times may be trusted (0.0.0.x speaks of the gateway),
 * then the device's own row: OBX-4 ascends. Returns how many. */
static int write_context(struct hl7_writer *w, const struct deliver_message *m)
{
    write_obx_head(w, 1, "CWE", MDC_TIME_SYNC_PROTOCOL, "MDC_TIME_SYNC_PROTOCOL");
    hl7_put(w, 4, "0.0.0.1");
    if (m->synced)
        put_code(w, 5, MDC_TIME_SYNC_NTPV4, "MDC_TIME_SYNC_NTPV4");
    else
        put_code(w, 5, MDC_TIME_SYNC_NONE, "MDC_TIME_SYNC_NONE");
    hl7_put(w, 11, "R");

    write_obx_head(w, 2, "NM", MDC_TIME_SYNC_ACCURACY, "MDC_TIME_SYNC_ACCURACY");
    hl7_put(w, 4, "0.0.0.2");
    hl7_put_unsigned(w, 5, (uint64_t)m->uncertainty_ms * 1000);
    put_code(w, 6, MDC_DIM_MICRO_SEC, "MDC_DIM_MICRO_SEC");
    hl7_put(w, 11, "R");

    write_obx_head(w, 3, "", MDC_MONITOR_MDS, "MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS");
    hl7_put(w, 4, "1.0.0.0");
    hl7_put(w, 11, "X");
    put_device(w, m);
    if (m->record->device.identity[0]) {
        char identity[TEXT_SIZE];
        hl7_put_repetition(w, clean(m->record->device.identity, identity));
    }
    return 3;
}

/* OBX-2 says what OBX-5 is. False: the value has no text, so nothing may be sent. */
static bool put_value(struct hl7_writer *w, const wardgate_Observation *o)
{
    char digits[64];
    const struct term *term;
    switch (o->which_value) {
    case wardgate_Observation_mantissa_tag:
        if (decimal_text(o->value.mantissa, o->exponent, digits, sizeof digits) < 0)
            return false; /* never a value cut short */
        hl7_put(w, 5, digits);
        return true;
    case wardgate_Observation_coded_tag:
        term = term_by_code(o->value.coded);
        hl7_put_unsigned(w, 5, o->value.coded);
        hl7_put_component(w, 2, term ? term->refid : "");
        hl7_put_component(w, 3, term ? "MDC" : "99WARDGATE");
        return true;
    default:
        put_text(w, 5, o->value.text);
        return true;
    }
}

/* An unknown unit goes out as its number: dropping it would make the value mean anything.
 */
static void put_unit(struct hl7_writer *w, uint32_t code, bool ucum)
{
    const struct unit_term *unit = unit_by_code(code);
    if (code == 0)
        return;
    put_code(w, 6, code, unit ? unit->refid : "");
    if (ucum && unit && unit->ucum)
        put_alternate(w, unit->ucum, unit->ucum, "UCUM");
}

/* F is for results only: no rule makes a withdrawal final. */
static const char *status_of(const struct deliver_message *m)
{
    static const char *const corrections[] = {
        [DELIVER_WITHDRAWAL] = "W", [DELIVER_CORRECTION] = "C"};
    return m->kind == DELIVER_RESULT ? (m->style.final ? "F" : "R")
                                     : corrections[m->kind];
}

/* A row a value. The time and the device are on each, for receivers that do not inherit
 * them from the OBR or the device's row. */
static bool write_obx(struct hl7_writer *w, const struct deliver_message *m,
                      const wardgate_Observation *o, int set, int ordinal)
{
    static const char *const types[] = {[wardgate_Observation_mantissa_tag] = "NM",
                                        [wardgate_Observation_coded_tag] = "CWE",
                                        [wardgate_Observation_text_tag] = "ST"};
    const struct term *term = term_by_code(o->code), *site = term_by_code(o->site);
    char containment[16];
    snprintf(containment, sizeof containment, "1.0.0.%d", ordinal);
    write_obx_head(w, set, types[o->which_value], o->code, term ? term->refid : "");
    if (m->style.loinc && term && term->loinc)
        put_alternate(w, term->loinc, term->title, "LN");
    hl7_put(w, 4, containment);
    if (!put_value(w, o))
        return false;
    put_unit(w, o->unit, m->style.ucum);
    if (o->quality & QUALITY_QUESTIONABLE)
        hl7_put(w, 8, "QUES");
    if (o->quality & QUALITY_CALIBRATING) {
        if (o->quality & QUALITY_QUESTIONABLE)
            hl7_put_repetition(w, "CAL");
        else
            hl7_put(w, 8, "CAL");
    }
    hl7_put(w, 11, status_of(m));
    put_time(w, 14, m->utc_us);
    put_device(w, m);
    if (o->site)
        put_code(w, 20, o->site, site ? site->refid : "");
    return true;
}

/* Observations that may not be charted are left out here again, whatever the mask says:
 * this is the last gate. */
int deliver_hl7(const struct deliver_message *m, char *out, size_t capacity)
{
    char control[DELIVER_CONTROL_SIZE];
    struct hl7_writer w;
    if (deliver_control(m, control) != 0)
        return DELIVER_TOO_LARGE;
    hl7_writer(&w, out, capacity);
    write_msh(&w, m, control);
    write_pid(&w, &m->patient);
    write_pv1(&w, &m->patient);
    write_obr(&w, m);

    int set = write_context(&w, m), charted = 0;
    for (int i = 0; i < m->record->observations_count && i < 32; i++) {
        const wardgate_Observation *o = &m->record->observations[i];
        if (!(m->observations >> i & 1u) || !deliver_chartable(o))
            continue;
        if (!write_obx(
                &w, m, o, ++set,
                i + 1)) /* the ordinal stays with the observation in every message */
            return DELIVER_TOO_LARGE;
        charted++;
    }
    int n = hl7_finish(&w);
    return charted == 0 ? DELIVER_NOTHING : n < 0 ? DELIVER_TOO_LARGE : n;
}
