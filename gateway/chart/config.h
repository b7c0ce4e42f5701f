/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate-chart's configuration: one file for the service and one for the site's beds.
 * The tables in config.c are the manual of every key: type, limits, preset and help;
 * `wardgate-chart -T` prints them with what is in force.
 */
#ifndef CHART_CONFIG_H
#define CHART_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/ids.h"

#define CHART_DESTINATIONS_MAX 8
#define CHART_TEXT_SIZE        128 /* bytes of a text with its NUL */
#define CHART_PATH_SIZE        1024

enum destination_kind { DESTINATION_HL7, DESTINATION_FILE, DESTINATION_FHIR };

/* What a negative answer of the EPR means. Sites differ, and one real receiver means the
 * reverse of the usual. */
enum answer_policy { ANSWER_RETRY, ANSWER_PARK };

struct destination_config {
    char name[NAME_MAX_LENGTH + 1];
    int64_t kind; /* enum destination_kind */
    char host[CHART_TEXT_SIZE];
    int64_t port;
    char path[CHART_PATH_SIZE];
    char url[CHART_TEXT_SIZE];
    char ca[CHART_PATH_SIZE], certificate[CHART_PATH_SIZE], key[CHART_PATH_SIZE];
    char identifier_system[CHART_TEXT_SIZE], number_system[CHART_TEXT_SIZE],
        nhs_system[CHART_TEXT_SIZE];
    int64_t patient; /* index into number, nhs */
    int64_t parallel;
    char sending_application[CHART_TEXT_SIZE], sending_facility[CHART_TEXT_SIZE];
    char receiving_application[CHART_TEXT_SIZE], receiving_facility[CHART_TEXT_SIZE];
    int64_t processing; /* index into P, T, D */
    char charset[CHART_TEXT_SIZE];
    bool loinc, ucum, final;
    int64_t answer_ms, retry_min_ms, retry_max_ms, retries;
    int64_t on_error, on_reject; /* enum answer_policy: AE and CE, AR and CR */
};

struct broker_config {
    char host[CHART_TEXT_SIZE];
    int64_t port;
    char ca[CHART_PATH_SIZE], certificate[CHART_PATH_SIZE], key[CHART_PATH_SIZE],
        crl[CHART_PATH_SIZE];
    char socket[CHART_PATH_SIZE];
    char client_id[CHART_TEXT_SIZE];
    int64_t keepalive_ms, handshake_ms, session_expiry_ms, reconnect_min_ms,
        reconnect_max_ms;
};

struct facility_config {
    char name[CHART_TEXT_SIZE];
};

struct feed_config { /* the PAS's ADT */
    char address[CHART_TEXT_SIZE];
    int64_t port, peers;
    char zone[CHART_TEXT_SIZE];
    struct config_list facilities, place_facilities; /* struct facility_config */
    char places[CHART_PATH_SIZE]; /* the table of beds, see place_config */
    int64_t otherwise;            /* enum adt_default */
    int64_t visit;                /* enum adt_visit_rule */
    int64_t admitted;             /* enum adt_admitted */
    bool update_moves, prior_untrusted, nhs_elsewhere;
    int64_t foreign, content; /* answers, index into accept, error, reject */
};

struct ledger_config {
    char folder[CHART_PATH_SIZE], key[CHART_PATH_SIZE];
    int64_t size_max, preallocate, free_min, commit_ms;
};

struct interval_config {
    int64_t code, interval_ms;
};

struct charting_config {
    int64_t interval_ms, grace_ms, live_ms;
    struct config_list intervals; /* struct interval_config */
};

struct chart_config {
    char site[NAME_MAX_LENGTH + 1];
    char control[CHART_PATH_SIZE];
    int64_t log_level; /* index into error, warning, notice, info, debug */
    struct ledger_config ledger;
    struct broker_config broker;
    struct feed_config adt;
    struct charting_config charting;
    struct config_list destinations; /* struct destination_config */
};

struct place_config {               /* one line of the table of beds */
    char location[CHART_TEXT_SIZE]; /* leading components of PV1-3, see adt_map_entry */
    char place[NAME_MAX_LENGTH + 1];
};

struct places_config {
    struct config_list places; /* struct place_config */
};

extern const struct config_field chart_schema[];
extern const struct config_field places_schema[];

/* Both read path (or text, then path is only its name in errors) into a struct that the
 * caller zeroed. *config owns the lists; free it with config_free when the struct is no
 * longer used. Return 0, or -1 and "file:line: key: message". */
int chart_config_load(const char *path, const char *text, struct chart_config *into,
                      struct config **config, char error[CONFIG_ERROR_SIZE]);
int places_config_load(const char *path, const char *text, struct places_config *into,
                       struct config **config, char error[CONFIG_ERROR_SIZE]);

#endif
