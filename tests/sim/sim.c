/* SPDX-License-Identifier: Apache-2.0
 *
 * The seeded ward: one seed is one day of four beds, their patients, their devices, a
 * gateway, a broker and the hospital's record, with late, lost, doubled and reordered
 * ADT, outages, crashes on both sides and faults of the clock. When all ADT has arrived
 * and all links are up again, P1-P5 must hold.
 *
 *   sim [--days N] [--seed S] [--verbose]      days S, S+1, ... S+N-1; exit 1 if a
 * promise is broken
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "chart/chart.h"
#include "epr.h"
#include "gateway.h"
#include "random.h"
#include "ward.h"

#define SECOND        INT64_C(1000000)
#define MINUTE        (60 * SECOND)
#define HOUR          (60 * MINUTE)
#define STEP          (2 * SECOND)
#define SETTLE        (3 * HOUR) /* after the last ADT message, nothing fails any more */
#define READING_EVERY (5 * MINUTE)
#define READING_DENSE                                                                    \
    (25 * SECOND) /* several in a charting interval: all but the newest are kept */
#define READING_FULL     (10 * SECOND) /* overflows a small store while the link is cut */
#define SMALL_HIGH_WATER 20            /* percent of the smallest map */
#define UNDER_WAY_MAX    64

struct under_way { /* a message that the record is thinking about */
    char control[64];
    char *bytes;
    size_t size;
    int64_t due_us;
};

struct day {
    struct chance chance;
    struct ward ward;
    struct epr epr;
    struct gateway gateway;
    struct served served[EPR_SERIALS_MAX];
    size_t next_serial;
    uint64_t counter[WARD_BEDS]; /* the devices' own sample counters */
    bool known[WARD_BEDS];       /* a reading of the bed's device was committed */
    char folder[96];
    struct ledger *ledger;
    struct adt_site *site;
    struct chart *chart; /* NULL: the service is down */
    struct under_way under_way[UNDER_WAY_MAX];
    size_t under_way_count, next_message;
    int64_t now_us, chart_due_us, sample_us[WARD_BEDS];
    int64_t chart_back_us, gateway_back_us, link_back_us, epr_back_us;
    uint64_t chart_crashes, gateway_crashes, broker_kills, outages, clock_steps,
        withdrawals;
    bool calm, dense, small; /* small: a store that the dense hours overflow */
};

static void must(bool held, const char *what)
{
    if (!held) {
        fprintf(stderr, "simulator: %s\n", what);
        abort();
    }
}

/* --- what the chart service lets out --- */

static void publish(void *context, const char *gateway, const uint8_t *payload, size_t n)
{
    struct day *day = context;

    must(strcmp(gateway, GATEWAY_NAME) == 0, "a receipt for a gateway that is none");
    link_send(&day->gateway.down, &day->chance, payload, n, 0, false, day->now_us,
              !day->calm);
}

static void send_message(void *context, size_t destination, const char *control,
                         const char *bytes, size_t n)
{
    struct day *day = context;
    struct under_way *message = &day->under_way[day->under_way_count++];

    (void)destination;
    must(day->under_way_count <= UNDER_WAY_MAX,
         "more messages under way than the window");
    snprintf(message->control, sizeof message->control, "%s", control);
    message->bytes = malloc(n + 1);
    must(message->bytes != NULL, "out of memory");
    memcpy(message->bytes, bytes, n);
    message->bytes[n] = '\0';
    message->size = n;
    message->due_us = day->now_us + (day->calm || !chance_percent(&day->chance, 5)
                                         ? 0
                                         : chance_between(&day->chance, 1, 60) * SECOND);
}

static void adt_answer(void *context, uint64_t peer, const char *bytes, size_t n)
{
    (void)context, (void)peer, (void)bytes,
        (void)n; /* lost on half of all days: the feed doubles messages anyway */
}

static void event(void *context, const char *text)
{
    (void)context, (void)text;
}

/* --- the chart service's power --- */

static void chart_on(struct day *day)
{
    static const struct chart_destination destination = {.name = "epr",
                                                         .style = {.sending_application =
                                                                       "WARDGATE",
                                                                   .processing = "P"},
                                                         .window = 1,
                                                         .retry_min_us = 2 * SECOND,
                                                         .retry_max_us = 60 * SECOND,
                                                         .retries = 1000,
                                                         .park_on_reject = true};
    struct adt_map_entry map[WARD_BEDS];
    char locations[WARD_BEDS][32], error[LEDGER_ERROR_SIZE], ledger_folder[128], key[128];
    struct adt_rules rules = {.map = map, .map_count = WARD_BEDS};
    struct chart_options options = {.destinations = &destination,
                                    .destination_count = 1,
                                    .live_us = 10 * MINUTE,
                                    .ops = {publish, send_message, adt_answer, event},
                                    .context = day};

    for (unsigned bed = 0; bed < WARD_BEDS; bed++) {
        snprintf(locations[bed], sizeof locations[bed], "GSU^GSU^Bed %u", bed + 1);
        map[bed] = (struct adt_map_entry){locations[bed], ward_place((int)bed)};
    }
    snprintf(ledger_folder, sizeof ledger_folder, "%s/ledger", day->folder);
    snprintf(key, sizeof key, "%s/ledger.key", day->folder);
    must(adt_site_new(&rules, &day->site, error) == 0, "the site's rules");
    if (ledger_open(&(struct ledger_options){.folder = ledger_folder,
                                             .key_path = key,
                                             .size_max = 64 << 20},
                    &day->ledger, error) != 0) {
        fprintf(stderr, "simulator: %s\n", error);
        abort();
    }
    options.ledger = day->ledger;
    options.site = day->site;
    if (chart_open(&options, day->now_us, &day->chart, error) != 0) {
        fprintf(stderr, "simulator: %s\n", error);
        abort();
    }
    chart_link(day->chart, 0, true);
    day->chart_due_us = day->now_us;
}

static void chart_off(struct day *day)
{
    struct chart_counts counts;

    chart_count(day->chart, &counts);
    day->withdrawals += counts.withdrawals;
    chart_close(day->chart);
    ledger_close(day->ledger);
    adt_site_free(day->site);
    day->chart = NULL;
    day->ledger = NULL;
    day->site = NULL;
    /* What was under way has reached the record or has not; nobody will hear its answer.
     */
    for (size_t i = 0; i < day->under_way_count; i++) {
        char control[64];

        if (chance_percent(&day->chance, 50))
            epr_apply(&day->epr, day->under_way[i].bytes, day->under_way[i].size,
                      control);
        free(day->under_way[i].bytes);
    }
    day->under_way_count = 0;
}

/* --- one step --- */

static void record_answers(struct day *day)
{
    for (size_t i = 0; i < day->under_way_count;) {
        struct under_way message = day->under_way[i];
        unsigned fate = day->calm ? 100 : (unsigned)chance_below(&day->chance, 100);
        char control[64];
        bool refused;

        if (message.due_us > day->now_us || (day->now_us < day->epr_back_us)) {
            i++;
            continue;
        }
        day->under_way[i] = day->under_way[--day->under_way_count];
        refused = fate >= 6 && epr_refuses(&day->epr, message.bytes);
        if (fate >= 3 && !refused) /* else refused before it is read */
            epr_apply(&day->epr, message.bytes, message.size, control);
        if (fate < 3)
            chart_answer(day->chart, 0, message.control, "AE", day->now_us);
        else if (fate < 6) /* the acknowledgement is lost */
            chart_no_answer(day->chart, 0, message.control, fate < 5, day->now_us);
        else if (refused) /* "duplicate": it took the one whose answer was lost */
            chart_answer(day->chart, 0, message.control, "AR", day->now_us);
        else
            chart_answer(day->chart, 0, message.control, "AA", day->now_us);
        free(message.bytes);
        day->chart_due_us = day->now_us;
    }
}

static bool dense_hours(const struct day *day)
{
    int64_t hours = (day->now_us - day->ward.begin_us) / HOUR;

    return hours >= 10 && hours < 12;
}

/* The device has something new; a gateway without power misses it, and must say so later.
 */
static void serve(struct day *day, int bed)
{
    size_t serial = day->next_serial;
    int patient = ward_patient_at(&day->ward, bed, day->now_us);
    int64_t every = !day->dense || !dense_hours(day) ? READING_EVERY
                    : day->small                     ? READING_FULL
                                                     : READING_DENSE;

    day->sample_us[bed] =
        day->now_us + chance_between(&day->chance, every / 2, every * 3 / 2);
    if (patient == WARD_NOBODY && !chance_percent(&day->chance, 10))
        return; /* an empty bed's device mostly says nothing */
    if (day->gateway.store == NULL && !day->known[bed])
        return; /* a device that the gateway never met is not missed */
    must(++day->next_serial < EPR_SERIALS_MAX, "too many readings for one day");
    day->counter[bed]++;
    day->served[serial] = (struct served){bed, patient, day->now_us, 0};
    if (day->gateway.store == NULL)
        return;
    day->served[serial].seq =
        gateway_sample(&day->gateway, bed, serial, day->counter[bed], day->now_us);
    if (!day->calm && day->known[bed] && chance_percent(&day->chance, 1)) {
        gateway_power_off(&day->gateway); /* before it was committed */
        day->gateway_back_us =
            day->now_us + chance_between(&day->chance, 1, 600) * SECOND;
        day->gateway_crashes++;
    }
}

static void fail_sometimes(struct day *day)
{
    int64_t now = day->now_us;

    /* One fault of each kind every few hours. */
    if (chance_below(&day->chance, 3 * HOUR / STEP) == 0 && day->gateway.store != NULL) {
        gateway_power_off(&day->gateway);
        day->gateway_back_us =
            now + chance_between(&day->chance, 1,
                                 chance_percent(&day->chance, 80) ? 60 : 3000) *
                      SECOND;
        day->gateway_crashes++;
    }
    if (chance_below(&day->chance, 3 * HOUR / STEP) == 0 && day->chart != NULL) {
        chart_off(day);
        day->chart_back_us =
            now + chance_between(&day->chance, 1,
                                 chance_percent(&day->chance, 80) ? 60 : 3000) *
                      SECOND;
        day->chart_crashes++;
    }
    if (chance_below(&day->chance, 2 * HOUR / STEP) == 0) {
        link_forget(&day->gateway.up);
        link_forget(&day->gateway.down);
        day->broker_kills++;
        day->link_back_us = now + chance_between(&day->chance, 1, 300) * SECOND;
    }
    if (chance_below(&day->chance, 6 * HOUR / STEP) == 0) {
        day->link_back_us = now + chance_between(&day->chance, 1, 120) * MINUTE;
        day->outages++;
    }
    if (chance_below(&day->chance, 6 * HOUR / STEP) == 0)
        day->epr_back_us = now + chance_between(&day->chance, 1, 90) * MINUTE;
    if (chance_below(&day->chance, 6 * HOUR / STEP) == 0 && day->gateway.store != NULL) {
        int64_t by = chance_percent(&day->chance, 50)
                         ? chance_between(&day->chance, -10, 10) * SECOND
                         : chance_between(&day->chance, -365, 365) * 24 * HOUR;

        gateway_step_clock(&day->gateway, by,
                           now + chance_between(&day->chance, 1, 1800) * SECOND);
        day->clock_steps++;
    }
}

static void run_gateway(struct day *day, bool readings)
{
    if (day->gateway.store == NULL && day->now_us >= day->gateway_back_us)
        gateway_power_on(&day->gateway, day->now_us);
    for (int bed = 0; readings && bed < WARD_BEDS; bed++)
        if (day->now_us >= day->sample_us[bed])
            serve(day, bed);
    if (day->gateway.store == NULL)
        return;
    if (day->small && !day->calm && dense_hours(day) && day->link_back_us <= day->now_us)
        day->link_back_us = day->now_us + STEP;
    gateway_connect(&day->gateway, day->now_us >= day->link_back_us, day->now_us);
    gateway_run(&day->gateway, day->now_us);
    for (int bed = 0; bed < WARD_BEDS; bed++)
        day->known[bed] = day->known[bed] || day->counter[bed] > 0;
}

static void run_chart(struct day *day)
{
    struct link_message message;

    if (day->chart == NULL) {
        if (day->now_us < day->chart_back_us)
            return;
        chart_on(day);
    }
    while (link_take(&day->gateway.up, day->now_us, &message)) {
        if (message.state)
            chart_state(day->chart, GATEWAY_NAME, message.bytes, message.size,
                        day->now_us);
        else
            chart_up(day->chart, GATEWAY_NAME, message.bytes, message.size, day->now_us);
        free(message.bytes);
        day->chart_due_us = day->now_us;
    }
    while (day->next_message < day->ward.message_count &&
           day->ward.messages[day->next_message].due_us <= day->now_us) {
        const char *text = day->ward.messages[day->next_message++].text;

        chart_adt(day->chart, 1, text, strlen(text), day->now_us);
        day->chart_due_us = day->now_us;
    }
    record_answers(day);
    for (int turns = 0; day->chart_due_us <= day->now_us && turns < 10000; turns++) {
        day->chart_due_us = chart_run(day->chart, day->now_us);
        record_answers(day);
    }
}

static void play(struct day *day, uint64_t seed, const char *folder)
{
    /* Days spread over 2026, those on which summer time begins and ends among them. */
    static const int64_t new_year_us = INT64_C(1767225600) * SECOND;
    unsigned which = seed % 8 == 0   ? 87
                     : seed % 8 == 1 ? 297
                                     : (unsigned)(seed * 7 % 365);
    char store_folder[128];
    int64_t calm_us, end_us; /* the last ADT message has come; all has settled */

    memset(day, 0, sizeof *day);
    day->chance.state = seed ^ UINT64_C(0x5117);
    day->next_serial = 1;
    snprintf(day->folder, sizeof day->folder, "%s", folder);
    snprintf(store_folder, sizeof store_folder, "%s/store", folder);
    must(mkdir(store_folder, 0700) == 0, "mkdir");
    ward_play(&day->ward, seed, new_year_us + (int64_t)which * 24 * HOUR);
    epr_begin(&day->epr);
    day->dense = seed % 5 == 4;
    day->small = seed % 10 == 4;
    gateway_begin(&day->gateway, store_folder, seed,
                  STORE_MAP_MIN << (seed % 10 == 0 || day->small ? 0 : 3),
                  day->small ? SMALL_HIGH_WATER : 0);
    calm_us = day->ward.messages[day->ward.message_count - 1].due_us;
    if (calm_us < day->ward.end_us + HOUR)
        calm_us = day->ward.end_us + HOUR;
    end_us = calm_us + SETTLE;
    for (day->now_us = day->ward.begin_us; day->now_us < end_us; day->now_us += STEP) {
        bool readings = day->now_us < day->ward.end_us;

        day->calm = day->now_us >= calm_us;
        if (!day->calm)
            fail_sometimes(day);
        else
            day->link_back_us = day->epr_back_us = day->gateway_back_us =
                day->chart_back_us = 0;
        run_gateway(day, readings || (day->calm && day->now_us < calm_us + 20 * MINUTE));
        run_chart(day);
    }
}

/* --- many days --- */

static void remove_folder(const char *folder)
{
    char path[512];
    DIR *listing = opendir(folder);
    struct dirent *entry;

    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (unlink(path) != 0)
            remove_folder(path);
    }
    if (listing != NULL)
        closedir(listing);
    rmdir(folder);
}

struct totals {
    struct audit audit;
    uint64_t days, broken, crashes, kills, outages, steps, withdrawals, adt, repeats;
};

static void add_up(struct totals *totals, const struct day *day,
                   const struct audit *audit)
{
    uint64_t *sums = (uint64_t *)&totals->audit;
    const uint64_t *terms = (const uint64_t *)audit;

    for (size_t i = 0; i < sizeof *audit / sizeof *sums; i++)
        sums[i] += terms[i];
    totals->days++;
    totals->crashes += day->gateway_crashes + day->chart_crashes;
    totals->kills += day->broker_kills;
    totals->outages += day->outages;
    totals->steps += day->clock_steps;
    totals->withdrawals += day->withdrawals;
    totals->adt += day->ward.message_count;
    totals->repeats += day->epr.repeated;
}

static void one_day(struct totals *totals, struct day *day, uint64_t seed, bool verbose)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                       : getenv("TMPDIR")            ? getenv("TMPDIR")
                                                     : "/tmp";
    char folder[96];
    struct audit audit;

    snprintf(folder, sizeof folder, "%s/wardgate-sim.XXXXXX", base);
    must(mkdtemp(folder) != NULL, "mkdtemp");
    play(day, seed, folder);
    audit_day(&audit, day->ledger, &day->epr, &day->ward, &day->gateway, day->served,
              day->next_serial, verbose ? stdout : NULL);
    chart_off(day);
    gateway_end(&day->gateway);
    add_up(totals, day, &audit);
    if (!audit_clean(&audit)) {
        totals->broken++;
        printf("broken: --seed %lu: lost %lu, duplicates %lu, wrong patient %lu, wrong "
               "value %lu, wrong time %lu, pending %lu, "
               "held needlessly %lu, books %lu, missing of a device %lu\n",
               (unsigned long)seed, (unsigned long)audit.lost,
               (unsigned long)audit.duplicates, (unsigned long)audit.wrong_patient,
               (unsigned long)audit.wrong_value, (unsigned long)audit.wrong_time,
               (unsigned long)audit.pending, (unsigned long)audit.held_needlessly,
               (unsigned long)audit.books, (unsigned long)audit.missing_wrong);
    }
    remove_folder(folder);
}

static void report(const struct totals *t)
{
    const struct audit *a = &t->audit;

    printf("{\"days\": %lu, \"broken\": %lu, \"served\": %lu, \"decoded\": %lu, "
           "\"in_gap\": %lu, \"charted\": %lu, \"kept\": %lu, \"held\": %lu, "
           "\"held_needlessly\": %lu, "
           "\"rejected\": %lu, \"pending\": %lu, \"gaps\": %lu, \"full_gaps\": %lu, "
           "\"lost\": %lu, "
           "\"duplicates\": %lu, \"wrong_patient\": %lu, \"wrong_value\": %lu, "
           "\"wrong_time\": %lu, \"may_stand\": %lu, \"adt\": %lu, \"withdrawals\": %lu, "
           "\"repeats\": %lu, "
           "\"crashes\": %lu, \"broker_kills\": %lu, \"outages\": %lu, "
           "\"clock_steps\": %lu}\n",
           (unsigned long)t->days, (unsigned long)t->broken, (unsigned long)a->served,
           (unsigned long)a->decoded, (unsigned long)a->in_gap, (unsigned long)a->charted,
           (unsigned long)a->kept, (unsigned long)a->held,
           (unsigned long)a->held_needlessly, (unsigned long)a->rejected,
           (unsigned long)a->pending, (unsigned long)a->gaps, (unsigned long)a->full_gaps,
           (unsigned long)a->lost, (unsigned long)a->duplicates,
           (unsigned long)a->wrong_patient, (unsigned long)a->wrong_value,
           (unsigned long)a->wrong_time, (unsigned long)a->may_stand,
           (unsigned long)t->adt, (unsigned long)t->withdrawals,
           (unsigned long)t->repeats, (unsigned long)t->crashes, (unsigned long)t->kills,
           (unsigned long)t->outages, (unsigned long)t->steps);
}

int main(int argc, char **argv)
{
    unsigned long days = 20, seed = 1;
    bool verbose = false, first = false;
    struct totals totals = {0};
    struct day *day;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--days") == 0 && i + 1 < argc)
            days = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--first") == 0)
            first = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else {
            fprintf(stderr, "usage: sim [--days N] [--seed S] [--first] [--verbose]\n");
            return 64;
        }
    }
    day = calloc(1, sizeof *day);
    must(day != NULL, "out of memory");
    for (unsigned long i = 0; i < days && !(first && totals.broken > 0); i++)
        one_day(&totals, day, seed + i, verbose);
    report(&totals);
    free(day);
    return totals.broken != 0;
}
