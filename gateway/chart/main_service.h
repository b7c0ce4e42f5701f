/* SPDX-License-Identifier: Apache-2.0
 *
 * The program around the core: everything that it holds, and how its parts are started
 * and ended. One thread, one sd-event loop.
 */
#ifndef CHART_MAIN_SERVICE_H
#define CHART_MAIN_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/control.h"
#include "chart/chart.h"
#include "chart/config.h"
#include "chart/epr_file.h"
#include "chart/fhir_client.h"
#include "chart/mllp.h"
#include "chart/overdue.h"
#include "link/mqtt.h"
#include "link/tls_link.h"

#define RECEIPTS_WAITING_MAX                                                             \
    1024 /* receipts that wait for room in MQTT's window; the oldest goes first */

struct receipt_waiting {
    char gateway[NAME_MAX_LENGTH + 1];
    size_t n;
    uint8_t *payload;
};

struct outlet { /* one destination's line */
    struct service *service;
    size_t index;
    struct mllp_client *client;
    struct fhir_client *fhir;
    struct epr_file *file;
    char control[DELIVER_CONTROL_SIZE]; /* under way over MLLP; "" = none */
    bool broken;                        /* the last send failed at once */
    char appended[CHART_WINDOW_MAX]
                 [DELIVER_CONTROL_SIZE]; /* to the file, not yet synced */
    size_t appended_count;
    bool file_failed;
    int64_t file_retry_us;
};

struct service {
    sd_event *loop;
    const char *config_path;
    struct config *parsed, *places_parsed;
    struct chart_config config;
    struct places_config places;
    struct adt_site *site;
    struct ledger *ledger;
    struct chart *chart;
    struct mqtt *mqtt;
    struct tls_link *tls;
    struct mllp_server *adt;
    struct control_server *control;
    struct outlet outlets[CHART_DESTINATIONS_MAX];
    size_t outlets_count;
    struct receipt_waiting waiting[RECEIPTS_WAITING_MAX]; /* a ring */
    size_t waiting_first, waiting_count;
    uint64_t receipts_dropped, dropped_inputs;
    sd_event_source *soon, *later;
    int64_t batch_since_us; /* when the first input of the open batch came; 0 = none */
    int64_t started_us;
    int64_t floor_us;       /* certificates are not judged at an earlier time */
    int64_t floor_known_us; /* when the floor was last looked at, on the loop's clock */
    struct overdue overdue;
    bool stopping;
};

/* --- main_service.c --- */
/* Builds the site's rules from a configuration. parsed is the table of beds as it was
 * read, for the lines of errors; NULL without a table. Returns 0, or -1 with an error
 * text. */
int service_site(const struct chart_config *config, const struct places_config *places,
                 const struct config *parsed, struct adt_site **out,
                 char error[CONFIG_ERROR_SIZE]);
/* Loads both files into the service. Returns 0, or -1 with an error text and the service
 * as it was. */
int service_load(struct service *service, const char *path,
                 char error[CONFIG_ERROR_SIZE]);
/* The ledger that the configuration names. Its texts are the service's. */
struct ledger_options service_ledger(const struct service *service);
/* Opens everything in order, ends it in reverse. Returns 0 or -1 (logged). service_stop
 * takes what was started only. */
int service_start(struct service *service);
/* What the time is at least, from the floor that the build gives: the wall clock if it is
 * disciplined; otherwise the newest time that the ledger wrote down, if that is later. So
 * a server whose clock begins at 1970, or is set back, opens nothing to an expired
 * certificate; and a ledger that was written by a clock in the future stops nobody whose
 * clock is right now. */
int64_t service_floor(struct ledger *ledger, const struct instant *now, int64_t build_us);
void service_stop(struct service *service);
/* SIGHUP: what can change without a restart does. Logged. */
void service_reload(struct service *service);
/* Something came in: the core runs when the loop has nothing more urgent, or at once when
 * much has come. */
void service_soon(struct service *service);
void service_run(struct service *service);

/* --- main_lines.c --- */
int lines_open(struct service *service); /* ADT listener, destinations, broker */
void lines_close(struct service *service);
void lines_publish(void *context, const char *gateway, const uint8_t *payload, size_t n);
void lines_send(void *context, size_t destination, const char *control, const char *bytes,
                size_t n);
void lines_adt_answer(void *context, uint64_t peer, const char *bytes, size_t n);
void lines_after_run(struct service *service); /* syncs files, hands their answers back */

/* --- control_missing.c: what does not exist, and what does not come --- */
void verb_losses(void *context, const json_t *request, struct control_peer *peer);
/* For `status`: the newest lines of each. */
json_t *missing_losses(struct service *service);
json_t *missing_overdue(struct service *service);
/* For `held`: what does not come, as lines of the worklist. Returns how many. */
int missing_held(struct service *service, struct control_peer *peer);

/* --- control.c --- */
extern const struct control_verb chart_verbs[]; /* context: struct service */

#endif
