/* SPDX-License-Identifier: Apache-2.0
 *
 * One charted reading as a FHIR R4 transaction Bundle: an Observation a value, systolic
 * and diastolic pressure as one with components. Each writer below reads like its part of
 * the resource.
 *
 * - A result is created only if no Observation has its identifier (ifNoneExist): a lost
 * answer never doubles it. A withdrawal or correction updates the one with that
 * identifier. If the original never arrived, the update makes it, withdrawn already, and
 * one that comes late finds it there.
 * - The patient is named by identifier. The EPR must find exactly one or refuse all.
 */
#include "chart/deliver_fhir.h"

#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "base/zone.h"
#include "chart/json_write.h"
#include "wire/terms.h"

#define TEXT_SIZE       256                        /* longer than any device's text */
#define IDENTIFIER_SIZE (DELIVER_FILLER_SIZE + 12) /* "." and any int */
#define ROWS_MAX        32                         /* bits of the mask */
#define NONE            (-1)

#define QUALITY_QUESTIONABLE 0x02u
#define QUALITY_CALIBRATING  0x40u

struct bundle {
    struct json_writer w;
    const struct deliver_message *m;
    int count;     /* of entries */
    bool unusable; /* a value has no decimal text: better nothing than one cut short */
};

/* --- Texts --- */

/* Text from elsewhere: FHIR's strings know no control characters. */
static void text_of(struct json_writer *w, const char *text)
{
    char clean[TEXT_SIZE];
    size_t n = 0;
    for (const char *c = text; *c && n < sizeof clean - 1; c++)
        clean[n++] = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    clean[n] = '\0';
    json_text(w, clean);
}

/* A blank text is no FHIR string at all. */
static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

/* Part of a search inside a JSON string: what separates there is escaped as FHIR wants
 * it, everything but the usual characters of identifiers and addresses as URLs want it.
 * A number with an ampersand must not become two conditions. */
static void token(struct json_writer *w, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~:/";
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (strchr("|,$\\", *p))
            json_raw(w, "%5C");
        if (strchr(plain, *p))
            json_put(w, (const char *)p, 1);
        else
            json_put(w, (const char[]){'%', hex[*p >> 4], hex[*p & 15]}, 3);
    }
}

static void search(struct json_writer *w, const char *system, const char *value)
{
    json_raw(w, "identifier=");
    token(w, system);
    json_raw(w, "|");
    token(w, value);
}

static void coding(struct json_writer *w, bool first, const char *system,
                   const char *code, const char *display)
{
    json_raw(w, first ? "{\"system\":\"" : ",{\"system\":\"");
    json_raw(w, system);
    json_raw(w, "\"");
    json_member(w, "code", code);
    json_member(w, "display", display);
    json_raw(w, "}");
}

/* --- Values --- */

static bool is_quantity(const wardgate_Observation *o)
{
    return o->which_value == wardgate_Observation_mantissa_tag;
}

/* The last gate: what may not be charted is not written, whatever the mask says. */
static bool is_written(const struct deliver_message *m, int i)
{
    const wardgate_Observation *o = &m->record->observations[i];
    return (m->observations >> i & 1u) && deliver_chartable(o) &&
           (o->which_value != wardgate_Observation_text_tag || !is_blank(o->value.text));
}

static int rows(const struct deliver_message *m)
{
    int n = (int)m->record->observations_count;
    return n < ROWS_MAX ? n : ROWS_MAX;
}

/* A unit without UCUM goes out as its MDC number: dropping it would make the value mean
 * anything. */
static void quantity(struct bundle *b, const wardgate_Observation *o)
{
    char digits[64], number[16];
    const struct unit_term *unit = unit_by_code(o->unit);
    bool ucum = unit && unit->ucum;
    if (decimal_text(o->value.mantissa, o->exponent, digits, sizeof digits) < 0)
        b->unusable = true;
    json_raw(&b->w, ",\"valueQuantity\":{\"value\":");
    json_raw(&b->w, b->unusable ? "0" : digits);
    if (o->unit) {
        snprintf(number, sizeof number, "%u", (unsigned)o->unit);
        json_member(&b->w, "unit", ucum ? unit->ucum : unit ? unit->refid : number);
        json_member(&b->w, "system", ucum ? FHIR_UCUM : FHIR_MDC);
        json_member(&b->w, "code", ucum ? unit->ucum : number);
    }
    json_raw(&b->w, "}");
}

static void value(struct bundle *b, const wardgate_Observation *o)
{
    char number[16];
    if (is_quantity(o)) {
        quantity(b, o);
    } else if (o->which_value == wardgate_Observation_coded_tag) {
        const struct term *term = term_by_code(o->value.coded);
        snprintf(number, sizeof number, "%u", (unsigned)o->value.coded);
        json_raw(&b->w, ",\"valueCodeableConcept\":{");
        if (term) {
            json_raw(&b->w, "\"coding\":[");
            coding(&b->w, true, FHIR_MDC, number, term->refid);
            json_raw(&b->w, "]}");
        } else { /* an enumeration of the device's own: no system knows it */
            json_raw(&b->w, "\"text\":\"");
            json_raw(&b->w, number);
            json_raw(&b->w, "\"}");
        }
    } else {
        json_raw(&b->w, ",\"valueString\":");
        text_of(&b->w, o->value.text);
    }
}

/* FHIR's own LOINC code first, then the more specific one, MDC, SNOMED CT. */
static void code(struct json_writer *w, uint32_t mdc, const char *loinc)
{
    char number[16];
    const struct term *term = term_by_code(mdc);
    snprintf(number, sizeof number, "%u", (unsigned)mdc);
    json_raw(w, "\"code\":{\"coding\":[");
    if (loinc)
        coding(w, true, FHIR_LOINC, loinc, NULL);
    if (term && term->loinc && (!loinc || strcmp(term->loinc, loinc) != 0)) {
        coding(w, !loinc, FHIR_LOINC, term->loinc, NULL);
        loinc = term->loinc;
    }
    coding(w, !loinc, FHIR_MDC, number, term ? term->refid : NULL);
    if (term && term->snomed)
        coding(w, false, FHIR_SNOMED, term->snomed, NULL);
    json_raw(w, "]");
    json_member(w, "text", term ? term->title : NULL);
    json_raw(w, "}");
}

/* --- Parts of an Observation --- */

/* How far a value is to be believed (HL7 uv-pocd); and what is only a test says so on
 * itself, whatever becomes of it. */
static void meta(struct json_writer *w, const struct deliver_message *m,
                 const char *profile, uint32_t quality)
{
    bool doubted = quality & (QUALITY_QUESTIONABLE | QUALITY_CALIBRATING);
    bool test = strcmp(m->style.processing ? m->style.processing : "P", "P") != 0;
    json_raw(w, ",\"meta\":{");
    if (profile) {
        json_raw(w, "\"profile\":[\"" FHIR_DEFINITIONS);
        json_raw(w, profile);
        json_raw(w, "\"],");
    }
    json_raw(w, "\"security\":[");
    coding(w, true, "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
           doubted ? "UNCERTREL" : "RELIABLE", NULL);
    if (test)
        coding(w, false, "http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST",
               NULL);
    json_raw(w, "]}");
}

static void identifier_of(const struct deliver_message *m, uint32_t generation,
                          int ordinal, char out[IDENTIFIER_SIZE])
{
    char filler[DELIVER_FILLER_SIZE];
    deliver_filler(m->gateway, &m->epoch, m->record->seq, generation, filler);
    snprintf(out, IDENTIFIER_SIZE, "%s.%d", filler, ordinal);
}

static void identifier(struct json_writer *w, const char *system, const char *text)
{
    json_raw(w, "{\"system\":");
    json_text(w, system);
    json_raw(w, ",\"value\":");
    json_text(w, text);
    json_raw(w, "}");
}

/* Which box it came through, and what it replaces: the withdrawn one, by identifier,
 * since the EPR's own number for it is not known here. */
static void extensions(struct json_writer *w, const struct deliver_message *m,
                       int ordinal)
{
    char replaced[IDENTIFIER_SIZE];
    json_raw(w, ",\"extension\":[{\"url\":\"" FHIR_DEFINITIONS
                "observation-gatewayDevice\",\"valueReference\":{\"display\":");
    json_text(w, m->gateway);
    json_raw(w, "}}");
    if (m->kind == DELIVER_RESULT && m->replaces) {
        identifier_of(m, m->replaces, ordinal, replaced);
        json_raw(w, ",{\"url\":\"" FHIR_DEFINITIONS
                    "observation-replaces\",\"valueReference\":{\"type\":\"Observation\","
                    "\"identifier\":");
        identifier(w, m->style.identifier_system, replaced);
        json_raw(w, "}}");
    }
    json_raw(w, "]");
}

/* Final is for results only: no rule makes a withdrawal final. */
static const char *status(const struct deliver_message *m)
{
    static const char *const corrections[] = {
        [DELIVER_WITHDRAWAL] = "entered-in-error", [DELIVER_CORRECTION] = "corrected"};
    return m->kind == DELIVER_RESULT ? (m->style.final ? "final" : "preliminary")
                                     : corrections[m->kind];
}

static void subject(struct json_writer *w, const struct deliver_message *m)
{
    const struct deliver_patient *p = &m->patient;
    bool nhs = m->style.by_nhs && p->nhs && *p->nhs;
    json_raw(w, ",\"subject\":{\"reference\":\"Patient?");
    search(w, nhs ? m->style.nhs_system : m->style.number_system, nhs ? p->nhs : p->mrn);
    json_raw(w, "\",\"type\":\"Patient\"}");
    if (m->record->has_subject &&
        m->record->subject.role == wardgate_Subject_Role_FETUS) {
        json_number(w, ",\"focus\":[{\"display\":\"Fetus ", m->record->subject.number);
        json_raw(w, "\"}]");
    }
}

/* The EPR need not know the device: it is named, not referred to. */
static void device(struct json_writer *w, const struct deliver_message *m)
{
    char name[2 * NAME_MAX_LENGTH + 2];
    const char *identity = m->record->device.identity;
    snprintf(name, sizeof name, "%s/%s", m->gateway, m->record->device.id);
    json_raw(w, ",\"device\":{\"type\":\"Device\",\"identifier\":");
    identifier(w, m->style.identifier_system, name);
    json_raw(w, ",\"display\":");
    text_of(w, is_blank(identity) ? m->record->device.id : identity);
    json_raw(w, "}");
}

static void note(struct json_writer *w, const struct deliver_message *m, uint32_t quality)
{
    json_number(w, ",\"note\":[{\"text\":\"time of measurement +- ", m->uncertainty_ms);
    json_raw(w, m->synced ? " ms" : " ms by a clock that was not synchronised");
    json_raw(w, quality & QUALITY_QUESTIONABLE ? "; questionable, says the device" : "");
    json_raw(w, quality & QUALITY_CALIBRATING ? "; the device was calibrating" : "");
    json_raw(w, "\"}]");
}

/* --- Entries --- */

/* The same name for the same Observation in each message about it (RFC 9562, version 8).
 */
static void full_url(struct bundle *b, const char *name)
{
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * 16 + 1];
    if (crypto_sha256(name, strlen(name), digest) != 0)
        b->unusable = true;
    digest[6] = (uint8_t)((digest[6] & 0x0f) | 0x80);
    digest[8] = (uint8_t)((digest[8] & 0x3f) | 0x80);
    hex_text(digest, 16, hex);
    json_raw(&b->w,
             b->count++ ? ",{\"fullUrl\":\"urn:uuid:" : "{\"fullUrl\":\"urn:uuid:");
    for (size_t i = 0; i < 32; i++) {
        json_put(&b->w, "-", i == 8 || i == 12 || i == 16 || i == 20);
        json_put(&b->w, hex + i, 1);
    }
    json_raw(&b->w, "\"");
}

/* Everything before the value. */
static void begin(struct bundle *b, int ordinal, const char *profile, uint32_t quality)
{
    char name[IDENTIFIER_SIZE];
    identifier_of(b->m, b->m->generation, ordinal, name);
    full_url(b, name);
    json_raw(&b->w, ",\"resource\":{\"resourceType\":\"Observation\"");
    meta(&b->w, b->m, profile, quality);
    extensions(&b->w, b->m, ordinal);
    json_raw(&b->w, ",\"identifier\":[");
    identifier(&b->w, b->m->style.identifier_system, name);
    json_raw(&b->w, "]");
    json_member(&b->w, "status", status(b->m));
}

static void category(struct json_writer *w, const char *word)
{
    json_raw(w, ",\"category\":[{\"coding\":[");
    coding(w, true, "http://terminology.hl7.org/CodeSystem/observation-category", word,
           NULL);
    json_raw(w, "]}],");
}

/* The time that is charted is that of the measurement; issued is when this was made. */
static void circumstances(struct bundle *b)
{
    char text[ZONE_TEXT_SIZE];
    subject(&b->w, b->m);
    json_member(&b->w, "effectiveDateTime", utc_text(b->m->utc_us, text));
    json_member(&b->w, "issued", utc_text(b->m->made_utc_us, text));
}

/* What the EPR is to do with it. */
static void end(struct bundle *b, int ordinal)
{
    char name[IDENTIFIER_SIZE];
    identifier_of(b->m, b->m->generation, ordinal, name);
    bool create = b->m->kind == DELIVER_RESULT;
    json_raw(&b->w, create ? "},\"request\":{\"method\":\"POST\",\"url\":\"Observation\","
                             "\"ifNoneExist\":\""
                           : "},\"request\":{\"method\":\"PUT\",\"url\":\"Observation?");
    search(&b->w, b->m->style.identifier_system, name);
    json_raw(&b->w, "\"}}");
}

/* A pressure on its own is a vital sign without a profile of its own. */
static bool is_pressure(const wardgate_Observation *o)
{
    const struct fhir_panel *panel;
    for (size_t i = 0; (panel = fhir_panel_at(i)) != NULL; i++)
        for (size_t j = 0; j < FHIR_PARTS; j++)
            if (panel->parts[j] == o->code)
                return is_quantity(o) && fhir_is_mmhg(o->unit);
    return false;
}

/* The ordinal is the observation's place in the reading: the same in every message. */
static void single(struct bundle *b, int i)
{
    const wardgate_Observation *o = &b->m->record->observations[i];
    bool fetus = b->m->record->has_subject &&
                 b->m->record->subject.role == wardgate_Subject_Role_FETUS;
    const struct fhir_vital *vital =
        is_quantity(o) && !fetus ? fhir_vital(o->code, o->unit) : NULL;
    bool pressure = !vital && !fetus && is_pressure(o);
    begin(b, i + 1, vital ? vital->profile : pressure ? "vitalsigns" : NULL, o->quality);
    category(&b->w, vital || pressure ? "vital-signs" : fhir_category(o->code));
    code(&b->w, o->code, vital ? vital->loinc : NULL);
    circumstances(b);
    value(b, o);
    note(&b->w, b->m, o->quality);
    if (o->site) {
        const struct term *term = term_by_code(o->site);
        char number[16];
        snprintf(number, sizeof number, "%u", (unsigned)o->site);
        json_raw(&b->w, ",\"bodySite\":{\"coding\":[");
        coding(&b->w, true, FHIR_MDC, number, term ? term->refid : NULL);
        json_raw(&b->w, "]}");
    }
    device(&b->w, b->m);
    end(b, i + 1);
}

/* Where the parts of a pressure stand in the reading; false unless systolic and diastolic
 * are both to be written, in the unit that the profile fixes. */
static bool find_parts(const struct deliver_message *m, const struct fhir_panel *panel,
                       int at[FHIR_PARTS])
{
    for (size_t j = 0; j < FHIR_PARTS; j++) {
        at[j] = NONE;
        for (int i = 0; i < rows(m) && at[j] == NONE; i++) {
            const wardgate_Observation *o = &m->record->observations[i];
            if (o->code == panel->parts[j] && is_quantity(o) && fhir_is_mmhg(o->unit) &&
                is_written(m, i))
                at[j] = i;
        }
        if (at[j] == NONE && j < FHIR_PARTS_MUST)
            return false;
    }
    return true;
}

/* One Observation for the parts of a pressure; its ordinal is the first of theirs.
 * Returns the mask of what it holds. */
static uint32_t joined(struct bundle *b, const struct fhir_panel *panel,
                       const int at[FHIR_PARTS])
{
    uint32_t mask = 0, quality = 0;
    int first = ROWS_MAX;
    for (size_t j = 0; j < FHIR_PARTS; j++) {
        if (at[j] == NONE)
            continue;
        mask |= UINT32_C(1) << at[j];
        quality |= b->m->record->observations[at[j]].quality;
        first = at[j] < first ? at[j] : first;
    }
    begin(b, first + 1, "bp", quality);
    category(&b->w, "vital-signs");
    code(&b->w, panel->code, FHIR_PANEL_LOINC);
    circumstances(b);
    note(&b->w, b->m, quality);
    device(&b->w, b->m);
    json_raw(&b->w, ",\"component\":[");
    for (size_t j = 0; j < FHIR_PARTS; j++) {
        if (at[j] == NONE)
            continue;
        json_raw(&b->w, j ? ",{" : "{");
        code(&b->w, panel->parts[j], panel->loinc[j]);
        quantity(b, &b->m->record->observations[at[j]]);
        json_raw(&b->w, "}");
    }
    json_raw(&b->w, "]");
    end(b, first + 1);
    return mask;
}

/* Nobody can be named in a way that the EPR knows: no Bundle. */
static bool is_nameable(const struct deliver_message *m)
{
    const struct deliver_patient *p = &m->patient;
    if (m->style.by_nhs && p->nhs && *p->nhs)
        return true;
    return m->style.number_system && *m->style.number_system && p->mrn && *p->mrn;
}

int deliver_fhir(const struct deliver_message *m, char *out, size_t capacity)
{
    struct bundle b = {.w = {.out = out, .capacity = capacity}, .m = m};
    char control[DELIVER_CONTROL_SIZE];
    const struct fhir_panel *panel;
    uint32_t written = 0;
    int at[FHIR_PARTS];
    if (!is_nameable(m))
        return DELIVER_NOBODY;
    if (deliver_control(m, control) != 0)
        return DELIVER_TOO_LARGE;

    json_raw(&b.w, "{\"resourceType\":\"Bundle\",\"identifier\":");
    identifier(&b.w, m->style.identifier_system, control);
    json_raw(&b.w, ",\"type\":\"transaction\",\"entry\":[");
    for (size_t i = 0; (panel = fhir_panel_at(i)) != NULL; i++)
        if (find_parts(m, panel, at))
            written |= joined(&b, panel, at);
    for (int i = 0; i < rows(m); i++)
        if (is_written(m, i) && !(written >> i & 1u))
            single(&b, i);
    json_raw(&b.w, "]}");
    if (b.count == 0)
        return DELIVER_NOTHING;
    return b.w.full || b.unusable ? DELIVER_TOO_LARGE : (int)b.w.size;
}
