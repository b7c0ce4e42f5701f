/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "chart/adt.h"
#include "chart/match.h"

static struct hl7_message message;
static struct adt_result result;

static struct adt_site *site_with(const struct adt_rules *rules)
{
    struct adt_site *site;
    char error[256];

    if (adt_site_new(rules, &site, error) != 0)
        fail_msg("%s", error);
    return site;
}

static const struct adt_event *read_one(struct adt_site *site, const char *text)
{
    assert_int_equal(hl7_parse(text, strlen(text), &message, NULL), HL7_OK);
    adt_read(site, &message, &result);
    if (result.outcome != ADT_APPLY)
        fail_msg("%s", result.fault.text);
    assert_int_equal(result.verdict, HL7_ACCEPT);
    assert_true(result.count > 0);
    return &result.events[0];
}

static int64_t utc(int year, int month, int day, int hour, int minute, int second)
{
    struct civil civil = {year,
                          (uint8_t)month,
                          (uint8_t)day,
                          (uint8_t)hour,
                          (uint8_t)minute,
                          (uint8_t)second,
                          0};
    int64_t us;

    assert_true(civil_to_utc(&civil, &us));
    return us;
}

/* The shape that Homerton's Millennium feed had: 2.3.1, words, two double quotes
 * everywhere, NHS number in PID-19, Z segments. */
static void test_homerton(void **state)
{
    static const char text[] =
        "MSH|^~\\&|HOMERTON_TIE|HOMERTON|WARDGATE|HOMERTON|20260722101503||ADT^A02|"
        "Q12T34X56|P|2.3.1\r"
        "EVN|A02|20260722101502|\"\"|\"\"\r"
        "PID|1|7654321|7654321^^^Homerton Case Note Number^CNN~998877^^^Person ID^Person "
        "ID|\"\"|O'BRIEN\\T\\SONS^MARY^\"\"^\"\"||19500101000000|Female|\"\"||1 "
        "ROAD^\"\"||||||\"\"|5551234^^^Homerton FIN^Encounter "
        "No.|9434765919|||||||||||\"\"\r"
        "ZPI|1|\"\"\r"
        "PV1|1|Inpatient|GSU^Bay 1^Bed 3^HOMERTON UNIVER^\"\"^Bed(s)^Homerton "
        "UH|22||GSU^Bay 2^Bed 1^HOMERTON UNIVER^^Bed(s)^Homerton "
        "UH|\"\"|\"\"||\"\"|\"\"|||||||Inpatient|44556^0^\"\"^^Attendance "
        "No.||||||||||||||||||||HOMERTON UNIVER||Active|||20260720080000|\"\"\r"
        "ZVI|\"\"\rOBX|1|ST|X^Y||text\r";
    static const struct adt_map_entry map[] = {
        {"GSU^Bay 1^Bed 3", "gsu-1-3"},
        {"gsu^BAY  2^bed 1^Homerton Univer", "gsu-2-1"},
    };
    static const char *const mine[] = {"HOMERTON", NULL}, *const places[] = {
                                                              "HOMERTON UNIVER", NULL};
    struct adt_rules rules = {.facilities = mine,
                              .place_facilities = places,
                              .map = map,
                              .map_count = 2};
    struct adt_site *site = site_with(&rules);
    const struct adt_event *e = read_one(site, text);

    (void)state;
    assert_int_equal(e->kind, ADT_TRANSFER);
    assert_string_equal(e->trigger, "A02");
    assert_int_equal(e->flags, 0);
    assert_string_equal(e->patient.number, "7654321");
    assert_string_equal(e->patient.authority, "Homerton Case Note Number");
    assert_string_equal(e->nhs, "9434765919");
    assert_string_equal(e->family, "O'BRIEN&SONS");
    assert_string_equal(e->given, "MARY");
    assert_string_equal(e->birth, "19500101");
    assert_string_equal(e->sex, "Female");
    assert_string_equal(e->account, "5551234");
    assert_string_equal(e->visit, "44556");
    assert_string_equal(e->visit_key, "V:44556");
    assert_string_equal(e->category, "Inpatient");
    assert_string_equal(e->location,
                        "GSU^Bay 1^Bed 3^HOMERTON UNIVER^^Bed(s)^Homerton UH");
    assert_string_equal(e->place, "gsu-1-3");
    assert_true(e->has_from);
    assert_string_equal(e->from_place, "gsu-2-1");
    /* Summer time: an hour before the local figures. */
    assert_int_equal(e->occurred.low_us, utc(2026, 7, 22, 9, 15, 2));
    assert_int_equal(e->occurred.high_us, e->occurred.low_us);
    adt_site_free(site);
}

#define HEAD(event)                                                                      \
    "MSH|^~\\&|S|F|R|F|20260722101500+0100||ADT^" event                                  \
    "^ADT_A01|C1|P|2.5.1\rEVN||20260722101500+0100\r"
#define PID           "PID|1||77^^^X^MR||DOE^JO\r"
#define PV1_AT(where) "PV1|1|I|" where "||||||||||||||||V9\r"

static void test_kinds(void **state)
{
    static const struct {
        const char *text;
        enum adt_kind kind;
        uint32_t flags;
        const char *place;
        int from;
        const char *from_place;
    } cases[] = {
        {HEAD("A01") PID PV1_AT("W^R^1"), ADT_ADMIT, 0, "w-r-1", 0, ""},
        {HEAD("A04") PID PV1_AT("AE^^C1"), ADT_ADMIT, 0, "ae-c1", 0, ""},
        {HEAD("A01") PID PV1_AT("W^R"), ADT_ADMIT, ADT_NO_BED, "", 0, ""},
        {HEAD("A01") PID PV1_AT(""), ADT_ADMIT, ADT_NO_LOCATION, "", 0, ""},
        {HEAD("A01") PID PV1_AT("\"\"^\"\"^\"\""), ADT_ADMIT, ADT_NO_LOCATION, "", 0, ""},
        {HEAD("A01") PID PV1_AT("^^3"), ADT_ADMIT, ADT_UNMAPPED, "", 0, ""},
        {HEAD("A02") PID "PV1|1|I|W^R^1|||W^R^2|||||||||||||V9\r", ADT_TRANSFER, 0,
         "w-r-1", 1, "w-r-2"},
        {HEAD("A02") PID "PV1|1|I|W^R^1|||W^R|||||||||||||V9\r", ADT_TRANSFER, 0, "w-r-1",
         0, ""},
        {HEAD("A02") PID "PV1|1|I||||W^R^2|||||||||||||V9\r", ADT_TRANSFER,
         ADT_NO_LOCATION, "", 1, "w-r-2"},
        {HEAD("A06") PID "PV1|1|I|W^R^1|||AE^^C1|||||||||||||V9\r", ADT_TRANSFER, 0,
         "w-r-1", 1, "ae-c1"},
        {HEAD("A03") PID PV1_AT("W^R^1"), ADT_DISCHARGE, 0, "", 1, "w-r-1"},
        {HEAD("A03") PID PV1_AT("W"), ADT_DISCHARGE, 0, "", 0, ""},
        {HEAD("A08") PID PV1_AT("W^R^9"), ADT_UPDATE, 0, "w-r-9", 0, ""},
        {HEAD("A08") PID, ADT_UPDATE, 0, "", 0, ""},
        {HEAD("A11") PID PV1_AT("W^R^1"), ADT_CANCEL_ADMIT, 0, "", 0, ""},
        {HEAD("A12") PID PV1_AT("W^R^1"), ADT_CANCEL_TRANSFER, 0, "w-r-1", 0, ""},
        {HEAD("A13") PID PV1_AT("W^R^1"), ADT_CANCEL_DISCHARGE, 0, "w-r-1", 0, ""},
        {HEAD("A21") PID PV1_AT("W^R^1"), ADT_LEAVE, 0, "", 0, ""},
        {HEAD("A22") PID PV1_AT("W^R^1"), ADT_RETURN, 0, "w-r-1", 0, ""},
        {HEAD("A23") PID PV1_AT("W^R^1"), ADT_CANCEL_ADMIT, 0, "", 0, ""},
        {HEAD("A28") PID, ADT_UPDATE, 0, "", 0, ""},
        {HEAD("A52") PID PV1_AT("W^R^1"), ADT_CANCEL_LEAVE, 0, "", 0, ""},
        /* Tracking: the three shapes of A09, and A10's. */
        {HEAD("A09") PID "PV1|1|I|W^R^1|||W^R^2|||||||||||||V9\r", ADT_TRANSFER, 0,
         "w-r-1", 1, "w-r-2"},
        {HEAD("A09") PID "PV1|1|I||||W^R^2|||||||||||||V9|||||||||||||||||||||||W^R^5\r",
         ADT_DEPART, 0, "", 0, ""},
        {HEAD("A09") PID "PV1|1|I|W^R^2|||W^R^2|||||TH^1^A||||||||V9\r", ADT_TEMPORARY, 0,
         "th-1-a", 0, ""},
        {HEAD("A09") PID "PV1|1|I|W^R^2||||||||||||||||V9\r", ADT_DEPART, 0, "", 0, ""},
        {HEAD("A10") PID "PV1|1|I|W^R^2||||||||||||||||V9\r", ADT_TRANSFER, 0, "w-r-2", 0,
         ""},
        {HEAD("A10") PID "PV1|1|I|W^R^2||||||||TH^1^A||||||||V9\r", ADT_TEMPORARY, 0,
         "th-1-a", 0, ""},
        {HEAD("A10") PID
         "PV1|1|I|W^R^2||||||||||||||||V9||||||||||||||||||||||||TH^1^A\r",
         ADT_RETURN, 0, "w-r-2", 0, ""},
    };
    struct adt_rules rules = {.otherwise = ADT_DEFAULT_SLUG};
    struct adt_site *site = site_with(&rules);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct adt_event *e = read_one(site, cases[i].text);

        if (e->kind != cases[i].kind || e->flags != cases[i].flags ||
            strcmp(e->place, cases[i].place) != 0 ||
            e->has_from != (cases[i].from != 0) ||
            strcmp(e->from_place, cases[i].from_place) != 0)
            fail_msg("case %zu: kind %d flags %x place %s from %d %s", i, (int)e->kind,
                     e->flags, e->place, e->has_from, e->from_place);
        assert_int_equal(result.count, 1);
    }
    print_message("%zu kinds and shapes\n", i);
    adt_site_free(site);
}

static void test_several_patients(void **state)
{
    struct adt_rules rules = {.otherwise = ADT_DEFAULT_SLUG};
    struct adt_site *site = site_with(&rules);
    const struct adt_event *e;

    (void)state;
    e = read_one(site, HEAD("A17") PID "PV1|1|I|W^R^1|||W^R^2|||||||||||||V9\rPID|2||78^^"
                                       "^X^MR\rPV1|1|I|W^R^2|||W^R^1|||||||||||||V8\r");
    assert_int_equal(result.count, 2);
    assert_int_equal(e[1].kind, ADT_SWAP);
    assert_string_equal(e[0].place, "w-r-1");
    assert_string_equal(e[1].place, "w-r-2");
    assert_string_equal(e[1].from_place, "w-r-1");
    assert_string_equal(e[1].patient.number, "78");
    assert_true(e[0].id != e[1].id);

    e = read_one(site, HEAD("A40") PID
                 "MRG|12^^^X^MR~9434765919^^^^NH\rPID|2||78^^^X^MR\rMRG|13\r");
    assert_int_equal(result.count, 2);
    assert_int_equal(e[0].kind, ADT_MERGE);
    assert_string_equal(e[0].prior.number, "12");
    assert_string_equal(e[1].patient.number, "78");
    assert_string_equal(e[1].prior.number, "13");
    assert_string_equal(e[1].prior.authority, "X"); /* not sent: the feed's own */
    assert_string_equal(e[1].visit_key, "");

    e = read_one(site, HEAD("A44") PID "MRG|12^^^X^MR||F1||V7\r");
    assert_int_equal(e->kind, ADT_MOVE_VISIT);
    assert_string_equal(e->visit_key, "V:V7");
    e = read_one(site, HEAD("A44") PID "MRG|12^^^X^MR||F1\r");
    assert_string_equal(e->visit_key, "F:F1");
    adt_site_free(site);
}

static void test_ignored(void **state)
{
    static const char *const triggers[] = {"A05", "A14", "A15", "A16", "A20", "A24",
                                           "A25", "A26", "A27", "A35", "A37", "A38",
                                           "A41", "A42", "A43", "A49", "A50", "A51",
                                           "A54", "A55", "A60", "A99"};
    struct adt_rules rules = {.otherwise = ADT_DEFAULT_SLUG};
    struct adt_site *site = site_with(&rules);
    char text[512], answer[512];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(triggers) / sizeof(triggers[0]); i++) {
        snprintf(text, sizeof(text),
                 "MSH|^~\\&|S|F|R|F|2026||ADT^%s|C1|P|2.4\r" PID PV1_AT("W^R^1"),
                 triggers[i]);
        assert_true(adt_receive(site, text, strlen(text), 0, 1, &message, &result, answer,
                                sizeof(answer)) > 0);
        assert_int_equal(result.outcome, ADT_IGNORE);
        assert_int_equal(result.count, 0);
        assert_true(strlen(result.fault.text) > 5);
        assert_string_equal(strstr(answer, "MSA"), "MSA|AA|C1\r");
    }
    /* No answer wanted. */
    snprintf(text, sizeof(text), "MSH|^~\\&|S|F|R|F|2026||ADT^A05|C1|P|2.4|||NE|NE\r");
    assert_int_equal(adt_receive(site, text, strlen(text), 0, 1, &message, &result,
                                 answer, sizeof(answer)),
                     0);
    /* The trigger may stand in EVN-1 alone. */
    assert_int_equal(
        read_one(
            site,
            "MSH|^~\\&|S|F|R|F|20260722101500||ADT|C1|P|2.2\rEVN|A01|20260722101500\r" PID
                PV1_AT("W^R^1"))
            ->kind,
        ADT_ADMIT);
    print_message("%zu triggers left aside\n", i);
    adt_site_free(site);
}

/* Other hospitals on the same channel; a patient who goes there from here must not stay
 * in our bed. */
static void test_foreign(void **state)
{
    static const char *const mine[] = {"HOMERTON", NULL}, *const places[] = {
                                                              "HOMERTON UNIVER", NULL};
    struct adt_rules rules = {.facilities = mine,
                              .place_facilities = places,
                              .otherwise = ADT_DEFAULT_SLUG};
    struct adt_site *site = site_with(&rules);
    const char *head =
        "MSH|^~\\&|S|homerton |R|F|20260722101500||ADT^%s|C1|P|2.3.1\r" PID "%s";
    const struct adt_event *e;
    char text[512], answer[512];

    (void)state;
    snprintf(text, sizeof(text), head, "A01",
             "PV1|1|I|W^R^1^NEWHAM GENERAL||||||||||||||||V9\r");
    assert_true(adt_receive(site, text, strlen(text), 0, 1, &message, &result, answer,
                            sizeof(answer)) > 0);
    assert_int_equal(result.outcome, ADT_FOREIGN);
    assert_string_equal(
        strstr(answer, "MSA"),
        "MSA|AA|C1\r"); /* by default it is taken off the sender's hands */
    snprintf(text, sizeof(text), head, "A03",
             "PV1|1|I|W^R^1^NEWHAM GENERAL||||||||||||||||V9\r");
    (void)adt_receive(site, text, strlen(text), 0, 1, &message, &result, answer,
                      sizeof(answer));
    assert_int_equal(result.outcome, ADT_FOREIGN);
    snprintf(text, sizeof(text), head, "A01",
             "PV1|1|I|W^R^1^homerton univer||||||||||||||||V9\r");
    assert_string_equal(read_one(site, text)->place, "w-r-1");
    snprintf(text, sizeof(text), head, "A02",
             "PV1|1|I|X^Y^1^NEWHAM GENERAL|||W^R^1^HOMERTON UNIVER|||||||||||||V9\r");
    e = read_one(site, text);
    assert_string_equal(e->place, "");
    assert_string_equal(e->from_place, "w-r-1");
    snprintf(text, sizeof(text), head, "A02",
             "PV1|1|I|W^R^1^HOMERTON UNIVER|||X^Y^1^NEWHAM GENERAL|||||||||||||V9\r");
    e = read_one(site, text);
    assert_string_equal(e->place, "w-r-1");
    assert_true(e->has_from);
    assert_string_equal(e->from_place, "");
    adt_site_free(site);
}

static void test_identity(void **state)
{
    static const struct {
        const char *pid;
        const char *number, *authority, *nhs;
        uint32_t flags;
    } cases[] = {
        {"PID|1||1^^^A^PI~2^^^B^MRN~3^^^C^CNN\r", "3", "C", "",
         0}, /* the site's order of types, not the message's */
        {"PID|1||1^^^A^PI~2^^^B^MR\r", "2", "B", "", 0},
        {"PID|1||9^^^Z^XX~1\r", "1", "", "",
         0}, /* no type is better than a foreign one */
        {"PID|1||1^^^CNN\r", "1", "CNN", "", 0},
        {"PID|1||1^^^RAL MRN^MRN~943 476 5919^^^NHSNBR^NHSNMBR\r", "1", "RAL MRN",
         "9434765919", 0},
        {"PID|1||1^^^A&1.2&ISO^MR~9990000018^^^NHS^NH\r", "1", "A", "9990000018", 0},
        {"PID|1||1^^^A^MR~9434765918^^^NHS^NH\r", "1", "A", "", ADT_NHS_INVALID},
        {"PID|1||1^^^A^MR~0000000000^^^NHS^NH\r", "1", "A", "", ADT_NHS_INVALID},
        {"PID|1||1^^^A^MR||||||||||||||||4347180555\r", "1", "A", "", ADT_NHS_INVALID},
        {"PID|1||1^^^A^MR||||||||||||||||123-45-6789\r", "1", "A", "",
         0}, /* nine digits: not ours */
        {"PID|1||1^^^A^MR||||||||||||||||\"\"\r", "1", "A", "", 0},
        {"PID|1||RQX4810265^^^RQXM1^MR||WHISKY^Foxtrot^^^^^S||19860101|M||||||||||900077|"
         "||||||||||||Y|UD~AL\r",
         "RQX4810265", "RQXM1", "", ADT_UNKNOWN_PERSON},
        {"PID|1||1^^^A^MR|||||||||||||||||||||||||||N\r", "1", "A", "", 0},
    };
    struct adt_rules rules = {.otherwise = ADT_DEFAULT_SLUG};
    struct adt_site *site = site_with(&rules);
    char text[512], long_name[101];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct adt_event *e;

        snprintf(text, sizeof(text), HEAD("A01") "%s" PV1_AT("W^R^1"), cases[i].pid);
        e = read_one(site, text);
        assert_string_equal(e->patient.number, cases[i].number);
        assert_string_equal(e->patient.authority, cases[i].authority);
        assert_string_equal(e->nhs, cases[i].nhs);
        assert_int_equal(e->flags, cases[i].flags);
    }
    /* A name too long for us is cut at a whole character; what the visit is called by
     * follows the rule. */
    for (i = 0; i < 50; i++)
        memcpy(long_name + 2 * i, "\xc3\xa9", 3);
    snprintf(text, sizeof(text),
             HEAD("A01") "PID|1||1^^^A^MR||%s|||||||||||||F7\rPV1|1|I|W^R^1\r",
             long_name);
    assert_int_equal(strlen(read_one(site, text)->family), 78);
    assert_string_equal(result.events[0].visit_key, "F:F7");
    (void)read_one(site, HEAD("A01") PID "PV1|1|I|W^R^1\r");
    assert_int_equal(result.events[0].flags, ADT_NO_VISIT);
    assert_string_equal(result.events[0].visit_key + 10, ":77");
    adt_site_free(site);

    rules.visit = ADT_VISIT_PID_18;
    rules.nhs_elsewhere = true;
    site = site_with(&rules);
    (void)read_one(site,
                   HEAD("A01") "PID|1||1^^^A^MR|||||||||||||||F7|9434765919\r" PV1_AT(
                       "W^R^1"));
    assert_string_equal(result.events[0].visit_key, "F:F7");
    assert_string_equal(result.events[0].visit, "V9");
    assert_string_equal(result.events[0].nhs, "");
    adt_site_free(site);
}

static void test_nhs(void **state)
{
    int d;
    char text[11];

    (void)state;
    assert_true(nhs_number_valid("9434765919"));
    assert_true(nhs_number_valid("9990000018"));
    assert_false(nhs_number_valid("943476591"));
    assert_false(nhs_number_valid("94347659190"));
    assert_false(nhs_number_valid("943476591a"));
    assert_false(nhs_number_valid("1231231235"));
    assert_false(nhs_number_valid(""));
    for (d = 0; d < 10; d++) { /* these pass mod 11 */
        memset(text, '0' + d, 10);
        text[10] = '\0';
        assert_false(nhs_number_valid(text));
    }
    for (d = 0; d < 10; d++) { /* no last digit is right where the check is 10 */
        snprintf(text, sizeof(text), "999000000%d", d);
        assert_false(nhs_number_valid(text));
    }
}

/* EVN-6, then the visit's own times, then EVN-2; one to the day only is passed over. */
static void test_times(void **state)
{
    static const struct {
        const char *event, *evn, *pv1_44_45;
        int hour, minute, until_hour, until_minute;
        enum adt_admitted rule;
    } cases[] = {
        {"A01", "20260722101500|||", "|", 9, 15, 9, 15, 0},
        {"A01", "20260722101500||||20260722090000", "|", 8, 0, 8, 0, 0},
        {"A01", "20260722101500|||", "20260722080000|", 7, 0, 9, 15,
         0}, /* somewhere between the two */
        {"A01", "20260722101500|||", "20260722110000|", 9, 15, 10, 0, 0},
        {"A01", "20260722101500|||", "20260722080000|", 7, 0, 7, 0, ADT_ADMITTED_PV1_44},
        {"A01", "20260722101500|||", "20260722080000|", 9, 15, 9, 15, ADT_ADMITTED_EVN_2},
        {"A01", "20260722101500||||20260722090000", "20260722080000|", 8, 0, 8, 0, 0},
        {"A01", "20260722101500||||20260722", "20260722080000|", 7, 0, 7, 0,
         ADT_ADMITTED_PV1_44},
        {"A01", "20260722101500||||20260722", "|", 9, 15, 9, 15, 0},
        {"A01", "20260722101500|||", "20260722|", 9, 15, 9, 15, 0},
        {"A03", "20260722101500|||", "20260721080000|20260722093000", 8, 30, 8, 30, 0},
        {"A02", "20260722101500|||", "20260721080000|20260722093000", 9, 15, 9, 15, 0},
        {"A01", "20260722101500+0000|||", "|", 10, 15, 10, 15, 0},
        {"A01", "202607221015|||", "|", 9, 15, 9, 16, 0},
        {"A01", "|||", "|", 9, 16, 9, 16, 0}, /* MSH-7 */
    };
    char text[512];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct adt_rules rules = {.otherwise = ADT_DEFAULT_SLUG,
                                  .admitted = cases[i].rule};
        struct adt_site *site = site_with(&rules);
        int64_t low = utc(2026, 7, 22, cases[i].hour, cases[i].minute, 0),
                high = utc(2026, 7, 22, cases[i].until_hour, cases[i].until_minute, 0);
        const struct adt_event *e;

        if (strncmp(cases[i].evn, "202607221015|", 13) == 0)
            high -= 1; /* the whole minute, not the next one */
        snprintf(text, sizeof(text),
                 "MSH|^~\\&|S|F|R|F|20260722101600||ADT^%s|C1|P|2.5.1\rEVN||%s\r" PID
                 "PV1|1|I|W^R^1||||||||||||||||V9|||||||||||||||||||||||||%s\r",
                 cases[i].event, cases[i].evn, cases[i].pv1_44_45);
        e = read_one(site, text);
        if (e->occurred.low_us != low || e->occurred.high_us != high)
            fail_msg("case %zu: %lld..%lld", i, (long long)e->occurred.low_us,
                     (long long)e->occurred.high_us);
        assert_int_equal(e->flags, low == high ? 0 : ADT_COARSE_TIME);
        adt_site_free(site);
    }
}

static void assert_span(const struct zone *zone, const char *text, int64_t low,
                        int64_t high)
{
    struct hl7_time time;
    struct adt_span span;

    assert_true(hl7_time((struct hl7_text){text, strlen(text)}, &time));
    assert_true(adt_span_of(zone, &time, &span));
    assert_int_equal(span.low_us, low);
    assert_int_equal(span.high_us, high);
}

/* 25 October repeats 01:00-02:00 local, 29 March has none. */
static void test_summer_time(void **state)
{
    struct zone zone;
    struct hl7_time time;
    struct adt_span span;

    (void)state;
    assert_int_equal(zone_parse("Europe/London", &zone), 0);
    assert_span(&zone, "20261025005959", utc(2026, 10, 24, 23, 59, 59),
                utc(2026, 10, 24, 23, 59, 59));
    assert_span(&zone, "20261025010000", utc(2026, 10, 25, 0, 0, 0),
                utc(2026, 10, 25, 1, 0, 0));
    assert_span(&zone, "20261025013000", utc(2026, 10, 25, 0, 30, 0),
                utc(2026, 10, 25, 1, 30, 0));
    assert_span(&zone, "20261025020000", utc(2026, 10, 25, 2, 0, 0),
                utc(2026, 10, 25, 2, 0, 0));
    assert_span(&zone, "20261025013000+0100", utc(2026, 10, 25, 0, 30, 0),
                utc(2026, 10, 25, 0, 30, 0));
    assert_span(&zone, "20261025013000+0000", utc(2026, 10, 25, 1, 30, 0),
                utc(2026, 10, 25, 1, 30, 0));
    assert_span(&zone, "202610250130", utc(2026, 10, 25, 0, 30, 0),
                utc(2026, 10, 25, 1, 31, 0) - 1);
    assert_span(&zone, "20261025", utc(2026, 10, 24, 23, 0, 0),
                utc(2026, 10, 26, 0, 0, 0) - 1);
    assert_span(&zone, "20260329005959", utc(2026, 3, 29, 0, 59, 59),
                utc(2026, 3, 29, 0, 59, 59));
    assert_span(&zone, "20260329013000", utc(2026, 3, 29, 0, 30, 0),
                utc(2026, 3, 29, 1, 30, 0));
    assert_span(&zone, "20260329020000", utc(2026, 3, 29, 1, 0, 0),
                utc(2026, 3, 29, 1, 0, 0));
    assert_true(hl7_time((struct hl7_text){"202610", 6}, &time));
    assert_false(
        adt_span_of(&zone, &time, &span)); /* a month is no time for anything here */
}

static void move_at(struct adt_site *site, struct census *census, const char *event,
                    const char *local, const char *bed)
{
    char text[512];

    snprintf(text, sizeof(text),
             "MSH|^~\\&|S|F|R|F|%s||ADT^%s|C%s|P|2.3.1\rEVN||%s\r" PID
             "PV1|1|I|W^R^%s||||||||||||||||V9\r",
             local, event, local, local, bed);
    (void)read_one(site, text);
    assert_int_equal(census_apply(census, result.events, result.count, 0, NULL, NULL),
                     CENSUS_OK);
}

static const char *verdict(const struct census *census, const char *place, int64_t t_us)
{
    struct match_evidence evidence = {.place = census_place_id(place),
                                      .mapped = true,
                                      .time_known = true,
                                      .low_us = t_us,
                                      .high_us = t_us};
    struct match_result match;

    match_reading(census, &evidence, &match);
    return match_reason_name(match.reason);
}

/* A transfer at 01:30 by a clock that shows 01:30 twice, or never: the hour in doubt is
 * held, before and after it nothing is. */
static void test_transfer_in_the_changed_hour(void **state)
{
    static const struct {
        const char *admitted, *moved;
        int month, day;
    } nights[] = {{"20261024230000", "20261025013000", 10, 25},
                  {"20260328230000", "20260329013000", 3, 29}};
    struct adt_rules rules = {.otherwise = ADT_DEFAULT_SLUG};
    struct adt_site *site = site_with(&rules);
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct census *census = census_new();
        int m = nights[i].month, d = nights[i].day;

        move_at(site, census, "A01", nights[i].admitted, "1");
        move_at(site, census, "A02", nights[i].moved, "2");
        assert_string_equal(verdict(census, "w-r-1", utc(2026, m, d, 0, 29, 59)),
                            "chart");
        assert_string_equal(verdict(census, "w-r-2", utc(2026, m, d, 0, 29, 59)),
                            "empty");
        assert_string_equal(verdict(census, "w-r-1", utc(2026, m, d, 0, 30, 0)),
                            "moving");
        assert_string_equal(verdict(census, "w-r-1", utc(2026, m, d, 1, 29, 59)),
                            "moving");
        assert_string_equal(verdict(census, "w-r-2", utc(2026, m, d, 1, 29, 59)),
                            "moving");
        assert_string_equal(verdict(census, "w-r-1", utc(2026, m, d, 1, 30, 0)), "empty");
        assert_string_equal(verdict(census, "w-r-2", utc(2026, m, d, 1, 30, 0)), "chart");
        /* The sender says which: nothing is in doubt. */
        census_free(census);
        census = census_new();
        move_at(site, census, "A01", nights[i].admitted, "1");
        move_at(site, census, "A02",
                i == 0 ? "20261025013000+0100" : "20260329013000+0000", "3");
        assert_string_equal(verdict(census, "w-r-3",
                                    utc(2026, m, d, i == 0 ? 0 : 1, 30, 0)),
                            "chart");
        assert_string_equal(verdict(census, "w-r-1",
                                    utc(2026, m, d, i == 0 ? 0 : 1, 29, 59)),
                            "chart");
        census_free(census);
    }
    adt_site_free(site);
}

static void test_map(void **state)
{
    static const struct adt_map_entry map[] = {
        {"GSU^Bay 1^Bed 3", "gsu-1-3"},
        {"GSU^^Bed 4", "gsu-4"},        /* any room */
        {"GSU^Side^Bed 4", "gsu-side"}, /* says more, so it counts more */
        {"GSU^Bay 1^Bed 3^ST LEONARDS", "sl-1-3"},
        {"A\\T\\E^R^1", "ae-1"},
    };
    static const struct {
        const char *location, *place;
    } cases[] = {
        {"GSU^Bay 1^Bed 3", "gsu-1-3"},
        {"gsu^bay 1^BED 3", "gsu-1-3"},
        {" GSU ^Bay  1^ Bed 3 ^HOMERTON", "gsu-1-3"},
        {"GSU^Bay 1^Bed 3^St Leonards", "sl-1-3"},
        {"GSU^Bay 9^Bed 4", "gsu-4"},
        {"GSU^Side^Bed 4^X", "gsu-side"},
        {"GSU^^Bed 4", "gsu-4"},
        {"GSU&1.2.3&ISO^Bay 1^Bed 3", "gsu-1-3"},
        {"A\\T\\E^R^1", "ae-1"},
        {"GSU^Bay 1^Bed 33", ""},
        {"GSU^Bay 1", ""},
        {"GSU", ""},
        {"", ""},
        {"GSU^Bay 1^\"\"", ""},
        {"X^Bay 1^Bed 3", ""},
    };
    static const struct {
        struct adt_map_entry entries[2];
        size_t count;
        const char *error;
    } bad[] = {
        {{{"GSU^Bay 1^Bed 3", "Gsu 1"}},
         1,
         "place \"Gsu 1\" of location \"GSU^Bay 1^Bed 3\" is not 1-47 of a-z 0-9 -"},
        {{{"GSU^Bay 1", "gsu-1"}},
         1,
         "location \"GSU^Bay 1\" of place \"gsu-1\" needs ward^room^bed"},
        {{{"^Bay 1^3", "gsu-1"}},
         1,
         "location \"^Bay 1^3\" of place \"gsu-1\" needs ward^room^bed"},
        {{{"GSU^Bay 1^3", "a"}, {"gsu^BAY 1^3", "b"}},
         2,
         "location \"gsu^BAY 1^3\" leads to two places, \"a\" and \"b\""},
    };
    struct adt_rules rules = {.map = map, .map_count = sizeof(map) / sizeof(map[0])};
    struct adt_site *site = site_with(&rules);
    char place[ADT_PLACE_SIZE], error[256];
    uint64_t count;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        adt_site_place(site, cases[i].location, place);
        if (strcmp(place, cases[i].place) != 0)
            fail_msg("%s is %s, not %s", cases[i].location, place, cases[i].place);
    }
    assert_true(adt_site_has_place(site, "gsu-side"));
    assert_false(adt_site_has_place(site, "gsu"));

    /* What no entry knows is listed, as it came, with how often. */
    for (i = 0; i < 3; i++)
        assert_int_equal(read_one(site, HEAD("A01") PID PV1_AT("GSU^Bay 7^Bed 1"))->flags,
                         ADT_UNMAPPED);
    (void)read_one(site, HEAD("A01") PID PV1_AT("ITU^^1"));
    assert_string_equal(adt_site_unmapped(site, 0, &count), "GSU^Bay 7^Bed 1");
    assert_int_equal(count, 3);
    assert_string_equal(adt_site_unmapped(site, 1, &count), "ITU^^1");
    assert_null(adt_site_unmapped(site, 2, &count));
    adt_site_free(site);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rules.map = bad[i].entries;
        rules.map_count = bad[i].count;
        assert_int_equal(adt_site_new(&rules, &site, error), -1);
        assert_string_equal(error, bad[i].error);
    }
    rules = (struct adt_rules){.zone = "Atlantis/Deep"};
    assert_int_equal(adt_site_new(&rules, &site, error), -1);
    assert_string_equal(error, "unknown time zone \"Atlantis/Deep\": expected "
                               "Europe/London, UTC or a POSIX rule");
    adt_site_free(NULL);
}

static void test_slug(void **state)
{
    static const struct {
        const char *location, *place;
    } cases[] = {
        {"GSU^Bay 1^Bed 03", "gsu-bay-1-bed-03"},
        {"HUH AE OMU^OMU B^Bed 03", "huh-ae-omu-omu-b-bed-03"},
        {"GSU^GSU^GSU", "gsu-gsu"},
        {"A&E^^C/1", "a-c-1"},
        {"W^R^(2)", "w-r-2"},
        {"^R^2", ""},
        {"W^R", ""},
        {"-^-^-", ""},
        {"A very long ward name^with a long room name^and a bed", ""},
    };
    struct adt_rules rules = {.otherwise = ADT_DEFAULT_SLUG};
    struct adt_site *site = site_with(&rules);
    char place[ADT_PLACE_SIZE];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        adt_site_place(site, cases[i].location, place);
        assert_string_equal(place, cases[i].place);
    }
    adt_site_free(site);
}

static int write_message(int i, char *text, size_t capacity)
{
    static const char *const triggers[] = {"A01", "A02", "A08", "A03"};
    int visit = i / 4, minute = i % 1440, day = 1 + i / 1440 % 28,
        month = 1 + i / 40320 % 12;

    return snprintf(
        text, capacity,
        "MSH|^~\\&|HOMERTON_TIE|HOMERTON|WARDGATE|HOMERTON|2026%02d%02d%02d%02d00||ADT^%"
        "s|Q%d|P|2.3.1\r"
        "EVN|%s|2026%02d%02d%02d%02d00|\"\"\r"
        "PID|1|%d|%d^^^Homerton Case Note Number^CNN~5%d^^^Person ID^Person "
        "ID|\"\"|SMITH^JOHN^\"\"||19500101|Male|\"\"||\"\"|||||||F%d^^^Homerton "
        "FIN^Encounter No.|9434765919\r"
        "PV1|1|Inpatient|W%d^Bay 1^Bed %d^HOMERTON UNIVER^\"\"^Bed(s)^Homerton "
        "UH|||\"\"|||||||||||||%d^0^\"\"^^Attendance No.\r"
        "ZVI|\"\"|\"\"\r",
        month, day, minute / 60, minute % 60, triggers[i % 4], i, triggers[i % 4], month,
        day, minute / 60, minute % 60, visit, visit, visit, visit, visit % 40, visit % 25,
        visit);
}

/* From bytes to the census, as the start reads its log. Printed, not asserted: a figure
 * of this machine. */
static void test_rate(void **state)
{
    enum { BATCH = 1000, BATCHES = 100 };
    static char texts[BATCH][1024];
    static int sizes[BATCH];
    struct adt_rules rules = {.otherwise = ADT_DEFAULT_SLUG};
    struct adt_site *site = site_with(&rules);
    struct census *census = census_new();
    clock_t spent = 0, begun;
    int i, j;

    (void)state;
    for (i = 0; i < BATCHES; i++) {
        for (j = 0; j < BATCH; j++)
            sizes[j] = write_message(i * BATCH + j, texts[j], sizeof(texts[j]));
        begun = clock();
        for (j = 0; j < BATCH; j++) {
            assert_int_equal(hl7_parse(texts[j], (size_t)sizes[j], &message, NULL),
                             HL7_OK);
            adt_read(site, &message, &result);
            assert_int_equal(result.outcome, ADT_APPLY);
            assert_int_equal(census_apply(census, result.events, result.count, 0, NULL,
                                          NULL),
                             CENSUS_OK);
        }
        spent += clock() - begun;
    }
    print_message("%d messages read and applied: %.0f/s of one core\n", BATCH * BATCHES,
                  BATCH * BATCHES / ((double)spent / CLOCKS_PER_SEC));
    census_free(census);
    adt_site_free(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_homerton),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_several_patients),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_nhs),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_summer_time),
        cmocka_unit_test(test_transfer_in_the_changed_hour),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_slug),
        cmocka_unit_test(test_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
