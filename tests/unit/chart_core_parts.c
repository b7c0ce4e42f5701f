/* SPDX-License-Identifier: Apache-2.0 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/zone.h"
#include "chart_core_parts.h"
#include "wire/envelope.h"

#define CODE_RATE 147842
#define UNIT_RATE 264864

/* --- What the core lets out --- */

static void on_publish(void *context, const char *gateway, const uint8_t *payload,
                       size_t n)
{
    struct ward *w = context;
    (void)payload;
    assert_string_equal(gateway, "gw-1");
    assert_true(n > 0);
    w->receipts++;
}

static void on_send(void *context, size_t destination, const char *control,
                    const char *bytes, size_t n)
{
    struct ward *w = context;
    if (w->quiet) { /* one slot is enough: the window is one */
        if (w->sent_count > 0)
            free(w->sent[--w->sent_count].bytes);
    }
    assert_true(w->sent_count < SENT_MAX);
    struct sent_message *m = &w->sent[w->sent_count++];
    m->destination = destination;
    snprintf(m->control, sizeof m->control, "%s", control);
    m->bytes = malloc(n + 1);
    assert_non_null(m->bytes);
    memcpy(m->bytes, bytes, n);
    m->bytes[n] = '\0';
    m->n = n;
    m->answered = m->taken = false;
}

static void on_adt_answer(void *context, uint64_t peer, const char *bytes, size_t n)
{
    struct ward *w = context;
    (void)peer;
    w->adt_answers += n > 0;
    w->adt_silences += n == 0;
    snprintf(w->last_answer, sizeof w->last_answer, "%.*s", (int)n, n ? bytes : "");
}

static void on_event(void *context, const char *text)
{
    struct ward *w = context;
    w->events++;
    (void)text;
}

/* --- Life --- */

static void start(struct ward *w)
{
    char error[LEDGER_ERROR_SIZE], folder[160], key[160];
    snprintf(folder, sizeof folder, "%s/ledger", w->folder);
    snprintf(key, sizeof key, "%s/key", w->folder);
    const struct ledger_options ledger = {.folder = folder,
                                          .key_path = key,
                                          .size_max = w->size_max ? w->size_max
                                                                  : UINT64_C(256) << 20};
    if (ledger_open(&ledger, &w->ledger, error) != 0)
        fail_msg("ledger: %s", error);
    w->options.ledger = w->ledger;
    if (chart_open(&w->options, w->now_us, &w->chart, error) != 0)
        fail_msg("chart: %s", error);
    for (size_t i = 0; i < w->options.destination_count; i++)
        chart_link(w->chart, i, true);
}

void ward_open(struct ward *w, uint32_t interval_s, size_t destinations)
{
    static const struct adt_map_entry map[] = {{"4A^BAY1^BED1", "bed-1"},
                                               {"4A^BAY1^BED2", "bed-2"},
                                               {"4A^BAY1^BED3", "bed-3"}};
    const struct adt_rules rules = {.zone = "Europe/London", .map = map, .map_count = 3};
    const char *names[] = {"epr", "copy"};
    char error[256];
    uint64_t size_max = w->size_max;
    memset(w, 0, sizeof *w);
    w->size_max = size_max;
    snprintf(w->folder, sizeof w->folder, "%s/wardgate-core-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(w->folder));
    if (adt_site_new(&rules, &w->site, error) != 0)
        fail_msg("site: %s", error);
    w->now_us = T0;
    w->answer = "CA";
    w->boot = 77;
    memset(w->epoch.bytes, 0xe1, EPOCH_SIZE);
    for (size_t i = 0; i < destinations; i++)
        w->destinations[i] =
            (struct chart_destination){.name = names[i],
                                       .window = 1,
                                       .retry_min_us = SECOND_US,
                                       .retry_max_us = 8 * SECOND_US,
                                       .retries = 3,
                                       .park_on_reject = true,
                                       .style = {.sending_application = "WARDGATE",
                                                 .processing = "T",
                                                 .charset = "UNICODE UTF-8"}};
    static struct due_interval interval;
    interval = (struct due_interval){.interval_s = interval_s};
    w->options = (struct chart_options){.site = w->site,
                                        .intervals = &interval,
                                        .interval_count = 1,
                                        .live_us = 300 * SECOND_US,
                                        .destinations = w->destinations,
                                        .destination_count = destinations,
                                        .context = w,
                                        .ops = {.publish = on_publish,
                                                .send = on_send,
                                                .adt_answer = on_adt_answer,
                                                .event = on_event}};
    start(w);
}

static void stop(struct ward *w)
{
    chart_close(w->chart);
    ledger_close(w->ledger);
}

void ward_restart(struct ward *w)
{
    stop(w);
    for (size_t i = 0; i < w->sent_count; i++) /* what was under way will come again */
        w->sent[i].answered = true;
    start(w);
}

static int remove_one(const char *path, const struct stat *status, int type,
                      struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

void ward_close(struct ward *w)
{
    stop(w);
    adt_site_free(w->site);
    for (size_t i = 0; i < w->sent_count; i++)
        free(w->sent[i].bytes);
    nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static bool answer_all(struct ward *w)
{
    bool any = false;
    for (size_t i = 0; i < w->sent_count && w->answer; i++)
        if (!w->sent[i].answered) {
            w->sent[i].answered = any = true;
            chart_answer(w->chart, w->sent[i].destination, w->sent[i].control, w->answer,
                         w->now_us);
        }
    return any;
}

void ward_settle(struct ward *w)
{
    for (int i = 0; i < 100000; i++) {
        int64_t next = chart_run(w->chart, w->now_us);
        if (!answer_all(w) && next > w->now_us)
            return;
    }
    fail_msg("the core never came to rest");
}

void ward_pass(struct ward *w, int64_t seconds)
{
    ward_settle(w);
    for (; seconds > 0; seconds--) {
        w->now_us += SECOND_US;
        ward_settle(w);
    }
}

/* --- Gateways --- */

static void send_record(struct ward *w, const wardgate_Record *record)
{
    static uint8_t bytes[RECORD_SIZE_MAX], item[RECORD_SIZE_MAX + ENVELOPE_ITEM_OVERHEAD],
        out[ENVELOPE_SIZE_MAX];
    struct envelope_writer writer;
    const uint8_t *payload;
    int n = record_encode(record, bytes, sizeof bytes);
    assert_true(n > 0);
    n = envelope_item(bytes, (size_t)n, item, sizeof item);
    assert_true(n > 0);
    assert_int_equal(envelope_begin(&writer, out, sizeof out, "gw-1", &w->epoch), 0);
    assert_int_equal(envelope_add(&writer, item, (size_t)n), 0);
    n = envelope_end(&writer, &payload);
    assert_true(n > 0);
    chart_up(w->chart, "gw-1", payload, (size_t)n, w->now_us);
}

static wardgate_Record reading(struct ward *w, uint64_t seq, const char *place,
                               int64_t rate)
{
    wardgate_Record r = wardgate_Record_init_zero;
    r.seq = seq;
    r.kind = wardgate_Record_Kind_READING;
    r.has_device = r.has_time = true;
    snprintf(r.device.id, sizeof r.device.id, "mon-%s", place);
    snprintf(r.place, sizeof r.place, "%s", place);
    r.time.boot = w->boot;
    r.observations_count = 1;
    r.observations[0].code = CODE_RATE;
    r.observations[0].unit = UNIT_RATE;
    if (rate >= 0) {
        r.observations[0].which_value = wardgate_Observation_mantissa_tag;
        r.observations[0].value.mantissa = rate;
    }
    return r;
}

static wardgate_Record timed(struct ward *w, uint64_t seq, const char *place,
                             int64_t at_us, int64_t rate)
{
    wardgate_Record r = reading(w, seq, place, rate);
    r.time.monotonic_us = (uint64_t)(at_us - T0 + INT64_C(86400) * SECOND_US);
    r.time.utc_us = at_us;
    r.time.sync = wardgate_TimeBlock_Sync_SYNCED;
    r.time.uncertainty_ms = 50;
    return r;
}

void ward_reading(struct ward *w, uint64_t seq, const char *place, int64_t at_us,
                  int64_t rate)
{
    wardgate_Record r = timed(w, seq, place, at_us, rate);
    send_record(w, &r);
}

void ward_reading_of_fetus(struct ward *w, uint64_t seq, uint32_t number,
                           const char *place, int64_t at_us, int64_t rate)
{
    wardgate_Record r = timed(w, seq, place, at_us, rate);
    r.has_subject = true;
    r.subject.role = wardgate_Subject_Role_FETUS;
    r.subject.number = number;
    send_record(w, &r);
}

void ward_reading_untimed(struct ward *w, uint64_t seq, const char *place,
                          uint64_t monotonic_us, int64_t rate)
{
    wardgate_Record r = reading(w, seq, place, rate);
    r.time.boot = w->boot + 1;
    r.time.monotonic_us = monotonic_us;
    r.time.utc_us = 1000;
    send_record(w, &r);
}

void ward_clock_fix(struct ward *w, uint64_t seq, uint64_t monotonic_us, int64_t utc_us)
{
    wardgate_Record r = wardgate_Record_init_zero;
    r.seq = seq;
    r.kind = wardgate_Record_Kind_CLOCK_FIX;
    r.has_clock_fix = true;
    r.clock_fix.boot = w->boot + 1;
    r.clock_fix.monotonic_us = monotonic_us;
    r.clock_fix.utc_us = utc_us;
    r.clock_fix.uncertainty_ms = 50;
    send_record(w, &r);
}

/* --- The PAS --- */

static const char *local(int64_t utc_us, char out[40])
{
    struct zone zone;
    struct civil t;
    assert_int_equal(zone_parse("Europe/London", &zone), 0);
    civil_from_utc(utc_us + zone_offset_s(&zone, utc_us) * SECOND_US, &t);
    snprintf(out, 40, "%04d%02u%02u%02u%02u%02u", (int)t.year, t.month, t.day, t.hour,
             t.minute, t.second);
    return out;
}

static const char *location(const char *bed, char out[64])
{
    snprintf(out, 64, "%s%s%s", *bed ? "4A^BAY1^BED" : "", bed, *bed ? "^HOMERTON" : "");
    return out;
}

void ward_adt_raw(struct ward *w, const char *message)
{
    chart_adt(w->chart, 1, message, strlen(message),
              w->adt_known_us ? w->adt_known_us : w->now_us);
    w->adt_known_us = 0;
}

void ward_adt(struct ward *w, const char *event, const char *mrn, const char *visit,
              const char *bed, const char *prior_bed, int64_t occurred_us)
{
    char text[1024], when[40], now[40], place[64], prior[64];
    snprintf(text, sizeof text,
             "MSH|^~\\&|PAS|HOMERTON|TIE|WARD|%s||ADT^%s|Q%u|P|2.3.1\r"
             "EVN|%s|%s||||%s\r"
             "PID|||%s^^^HOMERTON^CNN||NAME%s^GIVEN||19700101|F\r"
             "PV1||I|%s|||%s|||||||||||||%s\r",
             local(w->now_us, now), event, ++w->adt_serial, event, now,
             local(occurred_us, when), mrn, mrn, location(bed, place),
             location(prior_bed, prior), visit);
    ward_adt_raw(w, text);
}

/* --- Looking --- */

struct ledger_books ward_books(struct ward *w)
{
    struct ledger_books books;
    ledger_books(w->ledger, &books);
    return books;
}

void ward_expect(struct ward *w, uint64_t charted, uint64_t kept, uint64_t held,
                 uint64_t rejected, uint64_t pending)
{
    struct ledger_books b = ward_books(w), again;
    uint64_t wrong;
    assert_int_equal(b.states[LEDGER_CHARTED], charted);
    assert_int_equal(b.states[LEDGER_KEPT], kept);
    assert_int_equal(b.states[LEDGER_HELD], held);
    assert_int_equal(b.states[LEDGER_REJECTED], rejected);
    assert_int_equal(ledger_pending(&b), pending);
    assert_int_equal(b.readings, charted + kept + held + rejected + pending);
    assert_int_equal(ledger_recount(w->ledger, &again, &wrong), 0);
    assert_int_equal(wrong, 0);
}

struct ledger_entry ward_entry(struct ward *w, uint64_t seq)
{
    struct ledger_id id = {.seq = seq};
    struct ledger_entry entry;
    assert_int_equal(ledger_source(w->ledger, "gw-1", &w->epoch, &id.source), 0);
    assert_int_equal(ledger_get(w->ledger, id, &entry), 0);
    return entry;
}

const char *ward_field(struct ward *w, size_t message, const char *segment, int nth,
                       int field)
{
    static char value[512];
    assert_true(message < w->sent_count);
    const char *s = w->sent[message].bytes;
    for (; *s; s = strchr(s, '\r') + 1)
        if (strncmp(s, segment, 3) == 0 && nth-- == 0)
            break;
    if (strcmp(segment, "MSH") == 0)
        field--;
    for (; *s && field > 0 && *s != '\r'; field--)
        s += 1 + strcspn(s + (*s == '|'), "|\r") - (*s != '|');
    size_t n = *s == '|' ? strcspn(s + 1, "|\r") : 0;
    snprintf(value, sizeof value, "%.*s", (int)n, n ? s + 1 : "");
    return value;
}

size_t ward_sent_with(struct ward *w, uint64_t seq, char status, const char *mrn)
{
    char filler[64], number[64];
    size_t n = 0;
    snprintf(filler, sizeof filler, ".%llu.", (unsigned long long)seq);
    snprintf(number, sizeof number, "%s^", mrn);
    for (size_t i = 0; i < w->sent_count; i++)
        n += strstr(ward_field(w, i, "OBR", 0, 3), filler) &&
             ward_field(w, i, "OBX", 3, 11)[0] == status &&
             strncmp(ward_field(w, i, "PID", 0, 3), number, strlen(number)) == 0;
    return n;
}
