/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/zone.h"

#define SECOND INT64_C(1000) /* durations are in milliseconds */
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define KIB    INT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

static const char *const log_levels[] = {"error", "warning", "notice",
                                         "info",  "debug",   NULL};
static const char *const destination_kinds[] = {"hl7", "file", "fhir", NULL};
static const char *const processing_ids[] = {"P", "T", "D", NULL};
static const char *const patient_names[] = {"number", "nhs", NULL};
static const char *const answer_policies[] = {"retry", "park", NULL};
static const char *const defaults[] = {"none", "slug", NULL};
static const char *const visit_rules[] = {"PV1-19", "PID-18", NULL};
static const char *const admission_times[] = {"between", "PV1-44", "EVN-2", NULL};
static const char *const verdicts[] = {"accept", "error", "reject", NULL};

/* How a row is written: the key's own name is the member's. */
#define AT(type, member)                                                                 \
    .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define TEXT(t, k, h)                                                                    \
    {                                                                                    \
        .key = #k, .type = CONFIG_TEXT, AT(t, k), .help = (h)                            \
    }
#define TEXT_OR(t, k, preset, h)                                                         \
    {                                                                                    \
        .key = #k, .type = CONFIG_TEXT, AT(t, k), .preset_text = (preset), .help = (h)   \
    }
#define PATH(t, k, must, h)                                                              \
    {                                                                                    \
        .key = #k, .type = CONFIG_PATH, AT(t, k), .required = (must), .help = (h)        \
    }
#define BOOLEAN(t, k, p, h)                                                              \
    {                                                                                    \
        .key = #k, .type = CONFIG_BOOLEAN, AT(t, k), .preset = (p), .help = (h)          \
    }
#define INTEGER(t, k, low, high, p, h)                                                   \
    {                                                                                    \
        .key = #k, .type = CONFIG_INTEGER, AT(t, k), .minimum = (low),                   \
        .maximum = (high), .preset = (p), .help = (h)                                    \
    }
#define CHOICE(t, k, list, p, h)                                                         \
    {                                                                                    \
        .key = #k, .type = CONFIG_CHOICE, AT(t, k), .choices = (list), .preset = (p),    \
        .help = (h)                                                                      \
    }
#define DURATION(t, k, member, low, high, p, h)                                          \
    {                                                                                    \
        .key = (k), .type = CONFIG_DURATION, AT(t, member), .minimum = (low),            \
        .maximum = (high), .preset = (p), .help = (h)                                    \
    }
#define SIZE(t, k, low, high, p, h)                                                      \
    {                                                                                    \
        .key = #k, .type = CONFIG_SIZE, AT(t, k), .minimum = (low), .maximum = (high),   \
        .preset = (p), .help = (h)                                                       \
    }
#define SECTION(t, k, must, schema, h)                                                   \
    {                                                                                    \
        .key = #k, .type = CONFIG_SECTION, AT(t, k), .required = (must), .of = (schema), \
        .help = (h)                                                                      \
    }
#define LIST(t, k, element, must, low, high, schema, h)                                  \
    {                                                                                    \
        .key = #k, .type = CONFIG_LIST, .offset = offsetof(t, k),                        \
        .size = sizeof(element), .required = (must), .minimum = (low),                   \
        .maximum = (high), .of = (schema), .help = (h)                                   \
    }
#define END                                                                              \
    {                                                                                    \
        .key = NULL                                                                      \
    }

#define T struct ledger_config
static const struct config_field ledger_fields[] = {
    PATH(T, folder, true, "folder of the ledger; made when missing"),
    PATH(T, key, true,
         "file of 32 random bytes that seal it, 0600; made with a new ledger only"),
    SIZE(T, size_max, 16 * MIB, 1024 * GIB, 64 * GIB,
         "the ledger never grows beyond this"),
    SIZE(T, preallocate, 0, 1024 * GIB, 0, "disk space reserved at start"),
    SIZE(T, free_min, 0, 1024 * GIB, 256 * MIB,
         "nothing is taken in when the disk has less left"),
    DURATION(T, "commit", commit_ms, 1, SECOND, 5,
             "longest that a batch under load stays open"),
    END};
#undef T

#define T struct broker_config
static const struct config_field broker_fields[] = {
    {.key = "host",
     .type = CONFIG_TEXT,
     AT(T, host),
     .required = true,
     .minimum = 1,
     .help = "name or address, as its certificate has it"},
    INTEGER(T, port, 1, 65535, 8883, "TCP port"),
    PATH(T, ca, true, "PEM of the site's device CA"),
    PATH(T, certificate, true, "PEM of this service's certificate"),
    PATH(T, key, true, "PEM of its key, 0600"),
    PATH(T, crl, false, "PEM of revoked certificates; a missing file is none"),
    PATH(T, socket, true, "private socket between MQTT and TLS; its folder is 0700"),
    TEXT_OR(T, client_id, "wardgate-chart",
            "MQTT client id; the broker keeps the session by it"),
    DURATION(T, "keepalive", keepalive_ms, 5 * SECOND, HOUR, 30 * SECOND,
             "MQTT keep-alive"),
    DURATION(T, "handshake", handshake_ms, SECOND, MINUTE, 10 * SECOND,
             "longest TCP and TLS handshake"),
    DURATION(T, "session_expiry", session_expiry_ms, MINUTE, INT64_C(30) * 24 * HOUR,
             72 * HOUR, "how long the broker keeps what came while the service was away"),
    DURATION(T, "reconnect_min", reconnect_min_ms, 100, MINUTE, SECOND,
             "first wait before connecting again"),
    DURATION(T, "reconnect_max", reconnect_max_ms, SECOND, HOUR, 30 * SECOND,
             "longest such wait"),
    END};
#undef T

static const struct config_field facility_fields[] = {{.key = "name",
                                                       .type = CONFIG_TEXT,
                                                       AT(struct facility_config, name),
                                                       .required = true,
                                                       .minimum = 1,
                                                       .help = "as the PAS writes it"},
                                                      END};

#define T struct feed_config
static const struct config_field feed_fields[] = {
    TEXT_OR(T, address, "127.0.0.1",
            "address to listen on; MLLP is clear text: loopback or a private segment"),
    INTEGER(T, port, 0, 65535, 2575, "TCP port; 0 = any free one"),
    INTEGER(T, peers, 1, 64, 8, "connections at a time"),
    TEXT_OR(T, zone, "Europe/London",
            "zone of times that name none: POSIX rule, Europe/London or UTC"),
    LIST(T, facilities, struct facility_config, false, 0, 32, facility_fields,
         "MSH-4 accepted; none = any"),
    LIST(T, place_facilities, struct facility_config, false, 0, 32, facility_fields,
         "PV1-3.4 accepted; none = any"),
    PATH(T, places, false, "table of beds: which location of the PAS is which bed"),
    CHOICE(T, otherwise, defaults, 0,
           "a bed that the table does not name: none, or named ward-room-bed"),
    CHOICE(T, visit, visit_rules, 0, "the field that tells visits apart"),
    CHOICE(T, admitted, admission_times, 0,
           "when an admission was, if EVN-6 does not say: at one of the two fields, or "
           "somewhere between them (readings of that time are held)"),
    BOOLEAN(T, update_moves, false, "an A08 with another location moves the patient"),
    BOOLEAN(T, prior_untrusted, false,
            "PV1-6 of transfers and PV1-3 of discharges are often wrong here: they are "
            "not compared with what is known"),
    BOOLEAN(T, nhs_elsewhere, false,
            "PID-19 is no NHS number here: it is looked for in PID-3 alone"),
    CHOICE(T, foreign, verdicts, 0, "answer to another hospital's message"),
    CHOICE(T, content, verdicts, 1, "answer to a message with an error in it"),
    END};
#undef T

#define T struct interval_config
static const struct config_field interval_fields[] = {
    {.key = "code",
     .type = CONFIG_INTEGER,
     AT(T, code),
     .required = true,
     .minimum = 1,
     .maximum = UINT32_MAX,
     .help = "MDC code of the quantity"},
    DURATION(T, "interval", interval_ms, 0, 24 * HOUR, MINUTE,
             "0s = every reading; must divide a day"),
    END};
#undef T

#define T struct charting_config
static const struct config_field charting_fields[] = {
    DURATION(T, "interval", interval_ms, 0, 24 * HOUR, MINUTE,
             "the newest valid value of each so long is charted; 0s = every reading; "
             "must divide a day"),
    DURATION(T, "grace", grace_ms, SECOND, HOUR, 15 * SECOND,
             "how long an interval waits for late readings"),
    DURATION(T, "live", live_ms, SECOND, HOUR, 5 * MINUTE,
             "older readings are backlog and go after live ones"),
    LIST(T, intervals, struct interval_config, false, 0, 64, interval_fields,
         "quantities with an interval of their own"),
    END};
#undef T

#define T struct destination_config
static const struct config_field destination_fields[] = {
    {.key = "name",
     .type = CONFIG_NAME,
     AT(T, name),
     .required = true,
     .minimum = 1,
     .help = "never to be changed: control ids derive from it"},
    CHOICE(T, kind, destination_kinds, DESTINATION_HL7,
           "hl7 = ORU^R01 over MLLP, file = JSON lines, fhir = R4 Bundles over HTTPS"),
    TEXT(T, host, "hl7: numeric address, or localhost"),
    INTEGER(T, port, 0, 65535, 0, "hl7: TCP port"),
    PATH(T, path, false, "file: where to write"),
    TEXT(T, url, "fhir: base of the server, https only"),
    PATH(T, ca, false,
         "fhir: PEM of the CA that its certificate must be of, the only one"),
    PATH(T, certificate, false, "fhir: PEM of this service's certificate"),
    PATH(T, key, false, "fhir: PEM of its key, 0600"),
    TEXT(T, identifier_system,
         "fhir: URI of the numbers that wardgate gives its results"),
    TEXT(T, number_system, "fhir: URI under which the server knows the PAS's numbers"),
    TEXT_OR(T, nhs_system, "https://fhir.nhs.uk/Id/nhs-number",
            "fhir: URI under which it knows NHS numbers"),
    CHOICE(T, patient, patient_names, 0,
           "fhir: what names the patient: the PAS's number, or the NHS number where one "
           "is known"),
    INTEGER(T, parallel, 1, 16, 4, "fhir: Bundles unanswered at a time"),
    TEXT_OR(T, sending_application, "WARDGATE", "MSH-3"),
    TEXT(T, sending_facility, "MSH-4"),
    TEXT(T, receiving_application, "MSH-5"),
    TEXT(T, receiving_facility, "MSH-6"),
    CHOICE(T, processing, processing_ids, 0, "MSH-11"),
    TEXT_OR(T, charset, "UNICODE UTF-8", "MSH-18"),
    BOOLEAN(T, loinc, false, "add LOINC to OBX-3"),
    BOOLEAN(T, ucum, false, "add UCUM to OBX-6"),
    BOOLEAN(T, final, false,
            "OBX-11 F instead of R: only where a person validates on the device"),
    DURATION(T, "answer", answer_ms, 100, 10 * MINUTE, 30 * SECOND,
             "longest wait for an acknowledgement"),
    DURATION(T, "retry_min", retry_min_ms, 10, HOUR, SECOND,
             "first wait before a message is tried again"),
    DURATION(T, "retry_max", retry_max_ms, 10, 24 * HOUR, 5 * MINUTE,
             "longest such wait; it doubles up to there"),
    INTEGER(T, retries, 1, 1000, 8, "attempts before a message becomes a dead letter"),
    CHOICE(T, on_error, answer_policies, ANSWER_RETRY,
           "AE and CE, HTTP 409, 412, 500: retry, or park as a dead letter at once"),
    CHOICE(T, on_reject, answer_policies, ANSWER_PARK, "AR and CR, HTTP 400, 422"),
    END};
#undef T

#define T struct chart_config
const struct config_field chart_schema[] = {
    {.key = "site",
     .type = CONFIG_NAME,
     AT(T, site),
     .required = true,
     .minimum = 1,
     .help = "the site's name in topics"},
    PATH(T, control, true, "socket for the wardgate tool, 0600"),
    CHOICE(T, log_level, log_levels, 3, "what is logged to stderr"),
    SECTION(T, ledger, true, ledger_fields, "what was received and what became of it"),
    SECTION(T, broker, true, broker_fields, "where the gateways' readings come from"),
    SECTION(T, adt, true, feed_fields, "the PAS's feed: who is in which bed"),
    SECTION(T, charting, false, charting_fields, "how much is charted"),
    LIST(T, destinations, struct destination_config, true, 1, CHART_DESTINATIONS_MAX,
         destination_fields, "where charted readings go"),
    END};
#undef T

#define T struct place_config
static const struct config_field place_fields[] = {
    {.key = "location",
     .type = CONFIG_TEXT,
     AT(T, location),
     .required = true,
     .minimum = 1,
     .help = "leading components of PV1-3, bed included: WARD^ROOM^BED"},
    {.key = "place",
     .type = CONFIG_NAME,
     AT(T, place),
     .required = true,
     .minimum = 1,
     .help = "the bed's name in the gateways' configuration"},
    END};
#undef T

const struct config_field places_schema[] = {LIST(struct places_config, places,
                                                  struct place_config, true, 0, 100000,
                                                  place_fields, "the site's beds"),
                                             END};

/* http would carry patients in clear text, and no certificate would say to whom. A server
 * that nothing is known of but its address is given nothing. */
static int check_fhir(const struct config *config, const struct destination_config *d,
                      char error[CONFIG_ERROR_SIZE])
{
    if (!d->url[0])
        return config_error(config, d->name, error,
                            "a destination of kind fhir needs url");
    if (strncmp(d->url, "https://", 8) != 0 || !d->url[8] || strpbrk(d->url, "?#@ "))
        return config_error(config, d->url, error,
                            "must be https://HOST[:PORT][/PATH] and no more");
    if (!d->ca[0] || !d->certificate[0] || !d->key[0])
        return config_error(config, d->name, error,
                            "a destination of kind fhir needs ca, certificate and key");
    if (!d->identifier_system[0])
        return config_error(config, d->name, error,
                            "a destination of kind fhir needs identifier_system");
    if (d->patient == 0 && !d->number_system[0])
        return config_error(config, d->name, error,
                            "needs number_system, or patient: nhs");
    return 0;
}

/* A name used twice would make two destinations share control ids, and the second would
 * get nothing. */
static int check_destination(const struct config *config, const struct config_list *all,
                             size_t i, char error[CONFIG_ERROR_SIZE])
{
    const struct destination_config *d =
        (const struct destination_config *)all->items + i;
    const struct destination_config *other = all->items;
    for (size_t j = 0; j < i; j++)
        if (strcmp(other[j].name, d->name) == 0)
            return config_error(config, d->name, error,
                                "another destination has this name");
    if (d->kind == DESTINATION_FILE && !d->path[0])
        return config_error(config, d->name, error,
                            "a destination of kind file needs path");
    if (d->kind == DESTINATION_HL7 && (!d->host[0] || d->port == 0))
        return config_error(config, d->name, error,
                            "a destination of kind hl7 needs host and port");
    if (d->kind == DESTINATION_FHIR && check_fhir(config, d, error) != 0)
        return -1;
    if (d->retry_min_ms > d->retry_max_ms)
        return config_error(config, &d->retry_min_ms, error,
                            "must not be more than retry_max");
    return 0;
}

/* Intervals begin at midnight UTC; one that does not divide a day would leave a short one
 * at its end. */
static bool divides_a_day(int64_t interval_ms)
{
    return interval_ms == 0 ||
           (interval_ms % SECOND == 0 && 24 * HOUR % interval_ms == 0);
}

/* What the table can't say: values that depend on each other. */
static int check(const struct config *config, const struct chart_config *c,
                 char error[CONFIG_ERROR_SIZE])
{
    struct zone zone;
    if (zone_parse(c->adt.zone, &zone) != 0)
        return config_error(config, c->adt.zone, error,
                            "not a zone: give Europe/London, UTC or a POSIX rule such as "
                            "GMT0BST,M3.5.0/1,M10.5.0");
    if (c->broker.reconnect_min_ms > c->broker.reconnect_max_ms)
        return config_error(config, &c->broker.reconnect_min_ms, error,
                            "must not be more than reconnect_max");
    if (!divides_a_day(c->charting.interval_ms))
        return config_error(config, &c->charting.interval_ms, error,
                            "must be whole seconds that divide a day");
    const struct interval_config *row = c->charting.intervals.items;
    for (size_t i = 0; i < c->charting.intervals.count; i++) {
        if (!divides_a_day(row[i].interval_ms))
            return config_error(config, &row[i].interval_ms, error,
                                "must be whole seconds that divide a day");
        for (size_t j = 0; j < i; j++)
            if (row[j].code == row[i].code)
                return config_error(config, &row[i].code, error,
                                    "this code has an interval already");
    }
    if (c->adt.otherwise == 0 && !c->adt.places[0])
        return config_error(config, c->adt.places, error,
                            "without a table of beds and with otherwise: none no reading "
                            "could be charted");
    for (size_t i = 0; i < c->destinations.count; i++)
        if (check_destination(config, &c->destinations, i, error) != 0)
            return -1;
    return 0;
}

/* All or nothing: a file with one mistake changes nothing. */
int chart_config_load(const char *path, const char *text, struct chart_config *into,
                      struct config **config, char error[CONFIG_ERROR_SIZE])
{
    if (config_load(path, text, chart_schema, into, config, error) != 0)
        return -1;
    if (check(*config, into, error) != 0) {
        config_free(*config);
        *config = NULL;
        return -1;
    }
    return 0;
}

int places_config_load(const char *path, const char *text, struct places_config *into,
                       struct config **config, char error[CONFIG_ERROR_SIZE])
{
    return config_load(path, text, places_schema, into, config, error);
}
