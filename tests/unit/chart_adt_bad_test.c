/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a message is said in its answer, exactly: code, segment, field,
 * words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chart/adt.h"

#define MSH(event) "MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT^" event "|C1|P|2.5.1\r"
#define EVN        "EVN||20260722101500\r"
#define PID        "PID|1||77^^^X^MR||DOE^JO\r"
#define PV1        "PV1|1|I|GSU^B^3||||||||||||||||V9\r"
#define MRG        "MRG|88^^^X^MR\r"

/* The answer's ERR from version 2.5 on. */
#define ERR(where, code, words) "ERR||" where "|" code "^HL70357|E||||" words "\r"
#define MISSING                 "101^Required field missing"
#define SEQUENCE                "100^Segment sequence error"
#define TYPE                    "102^Data type error"
#define LONG80                                                                           \
    "12345678901234567890123456789012345678901234567890123456789012345678901234567890"

struct bad {
    const char *message, *answer;
};

static const struct bad cases[] = {
    {"", "MSA|AE\r" ERR("MSH^1", SEQUENCE, "no MSH segment")},
    {"GET / HTTP/1.1\r\n", "MSA|AE\r" ERR("MSH^1", SEQUENCE, "no MSH segment")},
    {"MSH|^^\\&|SA|HOM|RA|RF|2026||ADT^A01|C1|P|2.5.1\r",
     "MSA|AE|C1\r" ERR("MSH^1", SEQUENCE,
                       "delimiters in MSH-1 and MSH-2 are not usable")},
    {MSH("A01") "a line\r",
     "MSA|AE|C1\r" ERR("MSH^1", SEQUENCE, "a line is not a segment")},
    {MSH("A01") EVN "PID|1||77^^^X^MR||DOE\r^JO\r" PV1,
     "MSA|AE|C1\r" ERR("MSH^1", SEQUENCE, "a line is not a segment")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT^A01||P|2.5.1\r" EVN PID PV1,
     "MSA|AE\r" ERR("MSH^1^10", MISSING, "no control id")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT^A01|" LONG80 LONG80 LONG80 "|P|2.5.1\r",
     "MSA|AE\r" ERR("MSH^1^10", TYPE, "control id too long")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT^A01|C1|P|3.0\r" EVN PID PV1,
     "MSA|AR|C1\r" ERR("MSH^1^12^1^1", "203^Unsupported version id",
                       "version is not 2.1 to 2.9")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT^A01|C1|P\r" EVN PID PV1,
     "MSA|AR|C1\r" ERR("MSH^1^12^1^1", "203^Unsupported version id",
                       "version is not 2.1 to 2.9")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ORU^R01|C1|P|2.5.1\r" PID,
     "MSA|AR|C1\r" ERR("MSH^1^9^1^1", "200^Unsupported message type",
                       "not an ADT message")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500|||C1|P|2.5.1\r" PID,
     "MSA|AR|C1\r" ERR("MSH^1^9^1^1", "200^Unsupported message type",
                       "not an ADT message")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT^A01|C1|T|2.5.1\r" EVN PID PV1,
     "MSA|AR|C1\r" ERR("MSH^1^11^1^1", "202^Unsupported processing id",
                       "not for production")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT^A01|C1|D|2.5.1\r" EVN PID PV1,
     "MSA|AR|C1\r" ERR("MSH^1^11^1^1", "202^Unsupported processing id",
                       "not for production")},
    {MSH("X99") EVN PID PV1,
     "MSA|AR|C1\r" ERR("MSH^1^9^1^2", "201^Unsupported event code", "no ADT event")},
    {MSH("A1") EVN PID PV1,
     "MSA|AR|C1\r" ERR("MSH^1^9^1^2", "201^Unsupported event code", "no ADT event")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT|C1|P|2.5.1\r" EVN PID PV1,
     "MSA|AR|C1\r" ERR("MSH^1^9^1^2", "201^Unsupported event code", "no ADT event")},
    {MSH("A01"), "MSA|AE|C1\r" ERR("PID^1", SEQUENCE, "PID segment missing")},
    {MSH("A01") EVN PV1, "MSA|AE|C1\r" ERR("PID^1", SEQUENCE, "PID segment missing")},
    {MSH("A01") EVN PID, "MSA|AE|C1\r" ERR("PV1^1", SEQUENCE, "PV1 segment missing")},
    {MSH("A01") EVN PID PV1 PID PV1,
     "MSA|AE|C1\r" ERR("PID^2", SEQUENCE, "more than one patient")},
    {MSH("A01") "EVN||yesterday\r" PID PV1,
     "MSA|AE|C1\r" ERR("EVN^1^2", TYPE, "not a time")},
    {MSH("A01") "EVN||20260230101500\r" PID PV1,
     "MSA|AE|C1\r" ERR("EVN^1^2", TYPE, "not a time")},
    {MSH("A01") "EVN||202607\r" PID PV1,
     "MSA|AE|C1\r" ERR("EVN^1^2", TYPE, "not a time")},
    {MSH("A01") "EVN||20260722101500||||20260722256000\r" PID PV1,
     "MSA|AE|C1\r" ERR("EVN^1^6", TYPE, "not a time")},
    {MSH("A01") EVN PID "PV1|1|I|GSU^B^3||||||||||||||||V9|||||||||||||||||||||||||x\r",
     "MSA|AE|C1\r" ERR("PV1^1^44", TYPE, "not a time")},
    {"MSH|^~\\&|SA|HOM|RA|RF|||ADT^A01|C1|P|2.5.1\r" PID PV1,
     "MSA|AE|C1\r" ERR("EVN^1^2", MISSING, "neither EVN-2 nor MSH-7")},
    {"MSH|^~\\&|SA|HOM|RA|RF|x||ADT^A01|C1|P|2.5.1\r" PID PV1,
     "MSA|AE|C1\r" ERR("MSH^1^7", TYPE, "not a time")},
    {MSH("A01") EVN "PID|1||||DOE^JO\r" PV1,
     "MSA|AE|C1\r" ERR("PID^1^3^1^1", MISSING, "no local patient number")},
    {MSH("A01") EVN "PID|1||^^^X^MR||DOE^JO\r" PV1,
     "MSA|AE|C1\r" ERR("PID^1^3^1^1", MISSING, "no local patient number")},
    {MSH("A01") EVN "PID|1||\"\"^^^X^CNN||DOE^JO\r" PV1,
     "MSA|AE|C1\r" ERR("PID^1^3^1^1", MISSING, "no local patient number")},
    {MSH("A01") EVN "PID|1||9434765919^^^NHS^NH||DOE^JO\r" PV1,
     "MSA|AE|C1\r" ERR("PID^1^3^1^1", MISSING, "no local patient number")},
    {MSH("A01") EVN "PID|1||" LONG80 "^^^X^MR||DOE^JO\r" PV1,
     "MSA|AE|C1\r" ERR("PID^1^3", TYPE,
                       "identifier too long or with control characters")},
    {MSH("A01") EVN "PID|1||7\\X00\\7^^^X^MR||DOE^JO\r" PV1,
     "MSA|AE|C1\r" ERR("PID^1^3", TYPE,
                       "identifier too long or with control characters")},
    {MSH("A01") EVN "PID|1||77^^^X^MR||D\x1bOE^JO\r" PV1,
     "MSA|AE|C1\r" ERR("PID^1^5^1^1", TYPE, "control character")},
    {MSH("A01") EVN PID "PV1|1|I|GSU^B^3||||||||||||||||" LONG80 "\r",
     "MSA|AE|C1\r" ERR("PV1^1^19^1^1", TYPE, "too long")},
    {MSH("A01") EVN PID "PV1|1|I|GSU^" LONG80 "^3\r",
     "MSA|AE|C1\r" ERR("PV1^1^3", TYPE, "location too long or with control characters")},
    {MSH("A02") EVN PID "PV1|1|I|GSU^B^3|||GSU^B\x07^2\r",
     "MSA|AE|C1\r" ERR("PV1^1^6", TYPE, "location too long or with control characters")},
    {MSH("A17") EVN PID PV1,
     "MSA|AE|C1\r" ERR("PID^2", SEQUENCE, "a swap has two patients")},
    {MSH("A17") EVN PID PV1 PID PV1 PID PV1,
     "MSA|AE|C1\r" ERR("PID^2", SEQUENCE, "a swap has two patients")},
    {MSH("A17") EVN PID PV1 "PID|2||78^^^X^MR\r",
     "MSA|AE|C1\r" ERR("PV1^2", SEQUENCE, "PV1 segment missing")},
    {MSH("A34") EVN PID, "MSA|AE|C1\r" ERR("MRG^1", SEQUENCE, "MRG segment missing")},
    {MSH("A40") EVN PID "MRG|\r",
     "MSA|AE|C1\r" ERR("MRG^1^1^1^1", MISSING, "no local patient number")},
    {MSH("A40") EVN PID "MRG|77^^^X^MR\r",
     "MSA|AE|C1\r" ERR("MRG^1^1^1^1", "204^Unknown key identifier",
                       "names the surviving patient itself")},
    {MSH("A40") EVN PID "MRG|77\r",
     "MSA|AE|C1\r" ERR("MRG^1^1^1^1", "204^Unknown key identifier",
                       "names the surviving patient itself")},
    {MSH("A40")
         EVN PID MRG PID MRG PID MRG PID MRG PID MRG PID MRG PID MRG PID MRG PID MRG,
     "MSA|AE|C1\r" ERR("PID^9", SEQUENCE, "too many patients in one message")},
    {MSH("A44") EVN PID MRG,
     "MSA|AE|C1\r" ERR("MRG^1^5^1^1", MISSING, "no visit to move")},
    {MSH("A44") EVN PID PV1, "MSA|AE|C1\r" ERR("MRG^1", SEQUENCE, "MRG segment missing")},
    {MSH("A44") EVN PID "MRG|||||V9\r",
     "MSA|AE|C1\r" ERR("MRG^1^1^1^1", MISSING, "no local patient number")},
    {"MSH|^~\\&|SA|NEWHAM GENERAL|RA|RF|20260722101500||ADT^A01|C1|P|2.5.1\r" EVN PID PV1,
     "MSA|AR|C1\r" ERR("MSH^1^4^1^1", "103^Table value not found",
                       "another hospital's message")},
    {MSH("A01") EVN PID "PV1|1|I|W^1^2^NEWHAM GENERAL\r",
     "MSA|AR|C1\r" ERR("PV1^1^3^1^4", "103^Table value not found",
                       "another hospital's location")},
    /* In the shape of 2.3.1, and in enhanced mode. */
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT^A01|C1|P|2.3.1\r" EVN "PID|1\r" PV1,
     "MSA|AE|C1|no local patient number\rERR|PID^1^3^101&Required field "
     "missing&HL70357\r"},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ADT^A01|C1|P|2.6|||AL|NE\r" EVN
     "PID|1\r" PV1,
     "MSA|CE|C1\r" ERR("PID^1^3^1^1", MISSING, "no local patient number")},
    {"MSH|^~\\&|SA|HOM|RA|RF|20260722101500||ORM^O01|C1|P|2.6|||AL|NE\r" PID,
     "MSA|CR|C1\r" ERR("MSH^1^9^1^1", "200^Unsupported message type",
                       "not an ADT message")},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static struct adt_site *make_site(void)
{
    static const char *const facilities[] = {"HOM", "RF", NULL}, *const places[] = {
                                                                     "HOMERTON UNIVER",
                                                                     NULL};
    struct adt_rules rules = {.facilities = facilities,
                              .place_facilities = places,
                              .otherwise = ADT_DEFAULT_SLUG,
                              .foreign = HL7_REJECT};
    struct adt_site *site;
    char error[256];

    assert_int_equal(adt_site_new(&rules, &site, error), 0);
    return site;
}

static struct hl7_message scratch;

static void test_answers(void **state)
{
    struct adt_site *site = make_site();
    struct adt_result result;
    char answer[1024];
    size_t i;

    (void)state;
    for (i = 0; i < CASES; i++) {
        int n = adt_receive(site, cases[i].message, strlen(cases[i].message), 0, i,
                            &scratch, &result, answer, sizeof(answer));

        assert_true(n > 0);
        if (strcmp(strstr(answer, "MSA|"), cases[i].answer) != 0)
            fail_msg("case %zu: %s instead of %s", i, strstr(answer, "MSA|"),
                     cases[i].answer);
        assert_true(result.outcome == ADT_REFUSE || result.outcome == ADT_FOREIGN);
        assert_int_equal(result.count, 0);
    }
    print_message("%zu bad messages, each with its exact answer\n", CASES);
    adt_site_free(site);
}

/* The answer names the message it belongs to and nothing that is the patient's. */
static void test_no_patient_in_answer(void **state)
{
    struct adt_site *site = make_site();
    struct adt_result result;
    char answer[1024];
    size_t i;

    (void)state;
    for (i = 0; i < CASES; i++) {
        (void)adt_receive(site, cases[i].message, strlen(cases[i].message), 0, i,
                          &scratch, &result, answer, sizeof(answer));
        assert_null(strstr(answer, "DOE"));
        assert_null(strstr(answer, "77"));
        assert_null(strstr(answer, "9434765919"));
    }
    adt_site_free(site);
}

/* Another implementation reads every answer of ours: python3-hl7 prints MSA-1, MSA-2 and
 * the last field of ERR. */
static void test_python_reads_answers(void **state)
{
    static const char script[] = "import sys, hl7\n"
                                 "data = sys.stdin.buffer.read().decode('utf-8')\n"
                                 "for text in data.split('\\x1c')[:-1]:\n"
                                 "    m = hl7.parse(text)\n"
                                 "    msa, err = m.segment('MSA'), m.segment('ERR')\n"
                                 "    print(str(msa[1]), str(msa[2]) if len(msa) > 2 "
                                 "else '', str(err[len(err) - 1]), sep='|')\n";
    struct adt_site *site = make_site();
    struct adt_result result;
    int in[2], out[2], status, n;
    char answer[1024], lines[16384] = "", *line;
    size_t i, used = 0;
    ssize_t got;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execl("/usr/bin/python3", "python3", "-c", script, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    for (i = 0; i < CASES; i++) {
        n = adt_receive(site, cases[i].message, strlen(cases[i].message), 0, i, &scratch,
                        &result, answer, sizeof(answer));
        assert_int_equal(write(in[1], answer, (size_t)n), n);
        assert_int_equal(write(in[1], "\x1c", 1), 1);
    }
    close(in[1]);
    while ((got = read(out[0], lines + used, sizeof(lines) - 1 - used)) > 0)
        used += (size_t)got;
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (used == 0 && WEXITSTATUS(status) != 0) {
        print_message("skipped: no python3-hl7\n");
        adt_site_free(site);
        skip();
    }
    assert_int_equal(status, 0);
    for (i = 0, line = strtok(lines, "\n"); line != NULL;
         line = strtok(NULL, "\n"), i++) {
        char code[3] = {cases[i].answer[4], cases[i].answer[5], '\0'};

        assert_memory_equal(line, code, 2);
        (void)adt_receive(site, cases[i].message, strlen(cases[i].message), 0, i,
                          &scratch, &result, answer, sizeof(answer));
        assert_true(strstr(line, result.fault.text) != NULL ||
                    strstr(line, "HL70357") != NULL);
    }
    assert_int_equal(i, CASES);
    print_message("python3-hl7 read %zu answers\n", i);
    adt_site_free(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_no_patient_in_answer),
        cmocka_unit_test(test_python_reads_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
