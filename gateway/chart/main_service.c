/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/deliver_fhir.h"
#include "chart/main_service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "chart/ledger_log.h"

#define IDLE_US                                                                          \
    (500 * US_PER_MS) /* longest sleep: the wall clock may step under a timer */
#define TIMER_SLACK_US US_PER_MS
#define FLOOR_EVERY_US (60 * US_PER_S) /* the clock's discipline is asked so often */

static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING,
                                        LOG_LEVEL_NOTICE, LOG_LEVEL_INFO,
                                        LOG_LEVEL_DEBUG};
static const char *const processing_ids[] = {"P", "T", "D"};

/* --- Configuration --- */

/* A list of {name: ...} as the array of texts that adt_rules wants; NULL when it is
 * empty. */
static const char **names_of(const struct config_list *list)
{
    const struct facility_config *item = list->items;
    const char **names = list->count ? calloc(list->count + 1, sizeof *names) : NULL;
    for (size_t i = 0; names && i < list->count; i++)
        names[i] = item[i].name;
    return names;
}

/* Names the line of a wrong entry, and that of the one before that it contradicts. */
static void tell_entry(const struct config *parsed, const struct place_config *place,
                       const struct adt_wrong *wrong, const char *reason,
                       char error[CONFIG_ERROR_SIZE])
{
    char first[CONFIG_ERROR_SIZE] = "";
    if (wrong->earlier == ADT_NO_ENTRY) {
        config_error(parsed, place[wrong->entry].location, error, "%.240s", reason);
        return;
    }
    config_error(parsed, place[wrong->earlier].location, first, "%s", "");
    char *end = strstr(first, ": "); /* "file:line" */
    if (end)
        *end = '\0';
    config_error(parsed, place[wrong->entry].location, error,
                 "%.240s; the other is at %.160s", reason, first);
}

int service_site(const struct chart_config *config, const struct places_config *places,
                 const struct config *parsed, struct adt_site **out,
                 char error[CONFIG_ERROR_SIZE])
{
    const struct feed_config *f = &config->adt;
    const struct place_config *place = places->places.items;
    size_t n = places->places.count;
    char reason[256] = "out of memory";
    struct adt_wrong wrong = {.entry = ADT_NO_ENTRY};
    const char **facilities = names_of(&f->facilities),
               **place_facilities = names_of(&f->place_facilities);
    struct adt_map_entry *map = calloc(n + 1, sizeof *map);
    int result = -1;
    if (map && (facilities || !f->facilities.count) &&
        (place_facilities || !f->place_facilities.count)) {
        for (size_t i = 0; i < n; i++)
            map[i] = (struct adt_map_entry){.location = place[i].location,
                                            .place = place[i].place};
        const struct adt_rules rules = {.zone = f->zone,
                                        .facilities = facilities,
                                        .place_facilities = place_facilities,
                                        .map = map,
                                        .map_count = n,
                                        .nhs_elsewhere = f->nhs_elsewhere,
                                        .visit = (enum adt_visit_rule)f->visit,
                                        .admitted = (enum adt_admitted)f->admitted,
                                        .prior_untrusted = f->prior_untrusted,
                                        .otherwise = (enum adt_default)f->otherwise,
                                        .update_moves = f->update_moves,
                                        .foreign = (enum hl7_verdict)f->foreign,
                                        .content = (enum hl7_verdict)f->content};
        result = adt_site_compile(&rules, out, &wrong, reason);
    }
    if (result != 0 && parsed && wrong.entry != ADT_NO_ENTRY)
        tell_entry(parsed, place, &wrong, reason, error);
    else if (result != 0)
        snprintf(error, CONFIG_ERROR_SIZE, "%.240s: %.240s",
                 f->places[0] ? f->places : "adt", reason);
    free(map);
    free(place_facilities);
    free(facilities);
    return result;
}

/* Both files or none: a new table of beds with old rules is a mixture that nobody has
 * checked. */
static int load_files(const char *path, struct chart_config *config,
                      struct config **parsed, struct places_config *places,
                      struct config **places_parsed, struct adt_site **site,
                      char error[CONFIG_ERROR_SIZE])
{
    *parsed = *places_parsed = NULL;
    if (chart_config_load(path, NULL, config, parsed, error) != 0)
        return -1;
    /* A file that is not there is a mistake of the line that names it. */
    if (config->adt.places[0] && access(config->adt.places, R_OK) != 0) {
        config_error(*parsed, config->adt.places, error, "%.240s: %s", config->adt.places,
                     strerror(errno));
        config_free(*parsed);
        return -1;
    }
    if ((config->adt.places[0] && places_config_load(config->adt.places, NULL, places,
                                                     places_parsed, error) != 0) ||
        service_site(config, places, *places_parsed, site, error) != 0) {
        config_free(*places_parsed);
        config_free(*parsed);
        return -1;
    }
    return 0;
}

int service_load(struct service *s, const char *path, char error[CONFIG_ERROR_SIZE])
{
    s->config_path = path;
    return load_files(path, &s->config, &s->parsed, &s->places, &s->places_parsed,
                      &s->site, error);
}

/* --- Reloading --- */

/* What is only read at start; a change is named, so that nobody waits for it to work. */
static void warn_of_restart(const struct chart_config *old,
                            const struct chart_config *new)
{
    const struct {
        const char *name;
        bool changed;
    } parts[] = {
        {"site", strcmp(old->site, new->site) != 0},
        {"control", strcmp(old->control, new->control) != 0},
        {"ledger", memcmp(&old->ledger, &new->ledger, sizeof old->ledger) != 0},
        {"broker", memcmp(&old->broker, &new->broker, sizeof old->broker) != 0},
        {"adt.port", old->adt.port != new->adt.port ||
                         strcmp(old->adt.address, new->adt.address) != 0},
        {"charting", old->charting.interval_ms != new->charting.interval_ms ||
                         old->charting.grace_ms != new->charting.grace_ms ||
                         old->charting.intervals.count != new->charting.intervals.count},
        {"destinations",
         old->destinations.count != new->destinations.count ||
             memcmp(old->destinations.items, new->destinations.items,
                    old->destinations.count * sizeof(struct destination_config)) != 0}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].changed)
            log_warning("reload: %s has changed; that takes a restart", parts[i].name);
}

/* Only the table of beds, the feed's rules, the log level and the certificates change
 * under way. The rest of the old configuration stays in force, and so does its memory. */
void service_reload(struct service *s)
{
    struct chart_config config = {.log_level = 0};
    struct places_config places = {.places = {NULL, 0}};
    struct config *parsed, *places_parsed;
    struct adt_site *site;
    char error[CONFIG_ERROR_SIZE];
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
               (unsigned long long)clock_monotonic_us());
    if (load_files(s->config_path, &config, &parsed, &places, &places_parsed, &site,
                   error) != 0) {
        log_error("reload: %s", error);
        log_error("reload: the old configuration stays in force");
        sd_notify(0, "READY=1");
        return;
    }
    warn_of_restart(&s->config, &config);
    log_set_level(levels[config.log_level]);
    s->config.log_level = config.log_level;
    chart_set_site(s->chart, site, config.adt.otherwise != ADT_DEFAULT_NONE,
                   clock_utc_us());
    adt_site_free(s->site);
    s->site = site;
    config_free(places_parsed);
    config_free(parsed);
    tls_link_drop(s->tls); /* the next connection reads the certificates again */
    log_notice("reload: done");
    sd_notify(0, "READY=1");
    service_soon(s);
}

/* --- Running the core --- */

static int on_soon(sd_event_source *source, void *context)
{
    (void)source;
    service_run(context);
    return 0;
}

static int on_later(sd_event_source *source, uint64_t due_us, void *context)
{
    (void)source, (void)due_us;
    service_run(context);
    return 0;
}

void service_soon(struct service *s)
{
    if (s->soon)
        sd_event_source_set_enabled(s->soon, SD_EVENT_ONESHOT);
}

int64_t service_floor(struct ledger *ledger, const struct instant *now, int64_t build_us)
{
    struct ledger_change change;
    int64_t floor_us = build_us, adt_us = 0;
    uint8_t *raw;
    size_t n;
    if (now->sync == CLOCK_SYNCED)
        return now->utc_us > floor_us ? now->utc_us : floor_us;
    if (ledger_change_get(ledger, ledger_changes(ledger), &change) == 0 &&
        change.when_us > floor_us)
        floor_us = change.when_us;
    if (ledger_adt_read(ledger, ledger_adt_last(ledger), &raw, &n, &adt_us) == 0)
        free(raw);
    return adt_us > floor_us ? adt_us : floor_us;
}

/* While the clock is right the floor follows it: one that is set back later finds it
 * there. */
static void raise_floor(struct service *s)
{
    struct instant now;
    int64_t monotonic_us = (int64_t)clock_monotonic_us();
    if (!s->tls || monotonic_us - s->floor_known_us < FLOOR_EVERY_US)
        return;
    s->floor_known_us = monotonic_us;
    clock_now(&now);
    if (now.sync == CLOCK_SYNCED)
        tls_link_floor(s->tls, now.utc_us);
}

/* The wall clock decides what is due, the loop's own clock when to look: a step of the
 * wall clock delays nothing for more than IDLE_US. */
void service_run(struct service *s)
{
    int64_t now_us = clock_utc_us();
    s->batch_since_us = 0;
    int64_t next_us = chart_run(s->chart, now_us);
    lines_after_run(s);
    raise_floor(s);
    (void)overdue_look(&s->overdue, s->ledger, (int64_t)clock_monotonic_us());
    if (next_us <= now_us) {
        service_soon(s);
        return;
    }
    uint64_t wait_us =
        next_us - now_us < IDLE_US ? (uint64_t)(next_us - now_us) : (uint64_t)IDLE_US;
    uint64_t now;
    if (sd_event_now(s->loop, CLOCK_MONOTONIC, &now) >= 0) {
        sd_event_source_set_time(s->later, now + wait_us);
        sd_event_source_set_enabled(s->later, SD_EVENT_ONESHOT);
    }
}

/* Warnings, since each wants somebody to look. */
static void on_event(void *context, const char *text)
{
    (void)context;
    log_warning("%s", text);
}

/* --- Starting --- */

struct ledger_options service_ledger(const struct service *s)
{
    const struct ledger_config *l = &s->config.ledger;
    return (struct ledger_options){.folder = l->folder,
                                   .key_path = l->key,
                                   .size_max = (uint64_t)l->size_max,
                                   .preallocate = (uint64_t)l->preallocate,
                                   .free_min = (uint64_t)l->free_min};
}

static int open_ledger(struct service *s)
{
    char error[LEDGER_ERROR_SIZE];
    const struct ledger_options options = service_ledger(s);
    if (ledger_open(&options, &s->ledger, error) == 0)
        return 0;
    log_error("ledger: %s", error);
    return -1;
}

/* One message at a time over MLLP, a batch for a file. */
static size_t window_of(const struct destination_config *d)
{
    return d->kind == DESTINATION_FILE   ? CHART_WINDOW_MAX
           : d->kind == DESTINATION_FHIR ? (size_t)d->parallel
                                         : 1;
}

static struct chart_destination destination_of(const struct destination_config *d)
{
    static int (*const writers[])(const struct deliver_message *message, char *out,
                                  size_t capacity) = {[DESTINATION_HL7] = deliver_hl7,
                                                      [DESTINATION_FILE] = deliver_json,
                                                      [DESTINATION_FHIR] = deliver_fhir};
    const struct chart_destination destination = {
        .name = d->name,
        .write = writers[d->kind],
        .window = window_of(d),
        .retry_min_us = d->retry_min_ms * 1000,
        .retry_max_us = d->retry_max_ms * 1000,
        .retries = (uint32_t)d->retries,
        .park_on_error = d->on_error == ANSWER_PARK,
        .park_on_reject = d->on_reject == ANSWER_PARK,
        .style = {.sending_application = d->sending_application,
                  .sending_facility = d->sending_facility,
                  .receiving_application = d->receiving_application,
                  .receiving_facility = d->receiving_facility,
                  .processing = processing_ids[d->processing],
                  .charset = d->charset,
                  .loinc = d->loinc,
                  .ucum = d->ucum,
                  .final = d->final,
                  .identifier_system = d->identifier_system,
                  .number_system = d->number_system,
                  .nhs_system = d->nhs_system,
                  .by_nhs = d->patient == 1}};
    return destination;
}

/* The charting intervals: the configured rows, and one for every other code. */
static struct due_interval *intervals_of(const struct charting_config *c, size_t *count)
{
    const struct interval_config *row = c->intervals.items;
    struct due_interval *table = calloc(c->intervals.count + 1, sizeof *table);
    *count = c->intervals.count + 1;
    for (size_t i = 0; table && i < c->intervals.count; i++)
        table[i] =
            (struct due_interval){.code = (uint32_t)row[i].code,
                                  .interval_s = (uint32_t)(row[i].interval_ms / 1000)};
    if (table)
        table[c->intervals.count] =
            (struct due_interval){.interval_s = (uint32_t)(c->interval_ms / 1000)};
    return table;
}

static int open_chart(struct service *s)
{
    char error[LEDGER_ERROR_SIZE];
    struct chart_destination destinations[CHART_DESTINATIONS_MAX];
    const struct destination_config *d = s->config.destinations.items;
    size_t interval_count;
    struct due_interval *intervals = intervals_of(&s->config.charting, &interval_count);
    for (size_t i = 0; i < s->config.destinations.count; i++)
        destinations[i] = destination_of(&d[i]);
    const struct chart_options options = {
        .ledger = s->ledger,
        .site = s->site,
        .any_place = s->config.adt.otherwise != ADT_DEFAULT_NONE,
        .intervals = intervals,
        .interval_count = intervals ? interval_count : 0,
        .grace_us = s->config.charting.grace_ms * 1000,
        .live_us = s->config.charting.live_ms * 1000,
        .destinations = destinations,
        .destination_count = s->config.destinations.count,
        .ops = {.publish = lines_publish,
                .send = lines_send,
                .adt_answer = lines_adt_answer,
                .event = on_event},
        .context = s};
    int result = intervals ? chart_open(&options, clock_utc_us(), &s->chart, error) : -1;
    if (result != 0)
        log_error("%s", intervals ? error : "out of memory");
    free(intervals);
    return result;
}

static int open_timers(struct service *s)
{
    int error = sd_event_add_defer(s->loop, &s->soon, on_soon, s);
    if (error >= 0) /* readings that can be read now come first: they share the commit */
        error = sd_event_source_set_priority(s->soon, SD_EVENT_PRIORITY_IDLE);
    if (error >= 0)
        error =
            sd_event_add_time_relative(s->loop, &s->later, CLOCK_MONOTONIC,
                                       (uint64_t)IDLE_US, TIMER_SLACK_US, on_later, s);
    if (error < 0)
        log_error("event loop: %s", strerror(-error));
    return error < 0 ? -1 : 0;
}

int service_start(struct service *s)
{
    struct instant now;
    log_set_level(levels[s->config.log_level]);
    s->started_us = clock_utc_us();
    /* What is asked before what answers, what may say no before what takes anything in.
     */
    if (open_timers(s) != 0 || open_ledger(s) != 0 || open_chart(s) != 0)
        return -1;
    clock_now(&now);
    s->floor_us = service_floor(s->ledger, &now, s->floor_us);
    int error = control_open(s->loop, s->config.control, chart_verbs, s, &s->control);
    if (error != 0) {
        log_error("control: %s: %s", s->config.control, strerror(-error));
        return -1;
    }
    if (lines_open(s) != 0)
        return -1;
    sd_event_set_watchdog(s->loop, true);
    sd_notify(0, "READY=1");
    log_notice("ready");
    return 0;
}

/* What has come is receipted if the disk allows it; all else is in the ledger. */
void service_stop(struct service *s)
{
    sd_notify(0, "STOPPING=1");
    s->stopping = true;
    if (s->chart)
        chart_run(
            s->chart,
            clock_utc_us()); /* what was taken in is receipted, if the disk allows it */
    if (s->control)
        control_close(s->control);
    lines_close(s);
    sd_event_source_disable_unref(s->soon);
    sd_event_source_disable_unref(s->later);
    overdue_free(&s->overdue);
    chart_close(s->chart);
    ledger_close(s->ledger);
    adt_site_free(s->site);
    config_free(s->places_parsed);
    config_free(s->parsed);
}
