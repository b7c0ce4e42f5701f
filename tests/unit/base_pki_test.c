/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and revocation lists, judged by a second library: the openssl command
 * verifies what we make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/pki.h"
#include "temporary.h"

#define DAY_US (86400 * US_PER_S)

static char folder[256];
static char ca_key[PKI_PEM_SIZE], ca[PKI_PEM_SIZE], other_key[PKI_PEM_SIZE],
    other[PKI_PEM_SIZE];
static char output[65536]; /* of the last openssl command */

static const char *in_folder(const char *name)
{
    static char paths[8][300];
    static unsigned next;
    char *path = paths[next++ % 8];

    (void)snprintf(path, 300, "%s/%s", folder, name);
    return path;
}

static const char *put(const char *name, const char *text)
{
    const char *path = in_folder(name);

    assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
    return path;
}

/* execvp wants char * and writes to none of it. */
static char *mutable_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } view = {.in = text};

    return view.out;
}

/* Runs openssl with up to 12 arguments (ends with NULL); returns its exit code and keeps
 * what it says. */
static int openssl(const char *first, ...)
{
    char *argv[16] = {(char[]){"openssl"}, mutable_text(first)};
    size_t got = 0;
    va_list arguments;
    int ends[2], n = 2, status;
    pid_t pid;

    va_start(arguments, first);
    while (n < 15 && (argv[n] = va_arg(arguments, char *)) != NULL)
        n++;
    va_end(arguments);
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)execvp("openssl", argv);
        _exit(127);
    }
    (void)close(ends[1]);
    for (ssize_t r; got < sizeof(output) - 1 &&
                    (r = read(ends[0], output + got, sizeof(output) - 1 - got)) > 0;)
        got += (size_t)r;
    output[got] = '\0';
    (void)close(ends[0]);
    assert_true(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void subject_of(struct pki_subject *subject, enum pki_role role, const char *name)
{
    memset(subject, 0, sizeof(*subject));
    subject->role = role;
    subject->common_name = name;
    subject->organisation = "homerton";
    subject->unit = role == PKI_AUTHORITY ? "authority" : "board";
    assert_int_equal(pki_serial(subject->serial), PKI_OK);
    subject->not_before_us = clock_utc_us() - DAY_US;
    subject->not_after_us = clock_utc_us() + 700 * DAY_US;
}

static int setup(void **state)
{
    struct pki_subject subject;

    (void)state;
    if (temporary_folder(folder) != 0 || pki_key(ca_key) != PKI_OK ||
        pki_key(other_key) != PKI_OK)
        return -1;
    subject_of(&subject, PKI_AUTHORITY, "devices");
    if (pki_sign(&subject, ca_key, NULL, NULL, ca) != PKI_OK ||
        pki_sign(&subject, other_key, NULL, NULL, other) != PKI_OK)
        return -1;
    (void)put("ca.pem", ca);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static void test_authority(void **state)
{
    struct pki_info info;

    (void)state;
    assert_int_equal(pki_read(ca, &info), PKI_OK);
    assert_true(info.authority);
    assert_string_equal(info.common_name, "devices");
    assert_string_equal(info.organisation, "homerton");
    assert_int_equal(pki_matches(ca, ca_key), PKI_OK);
    assert_int_equal(pki_matches(ca, other_key), PKI_MISMATCH);
    assert_int_equal(openssl("x509", "-in", in_folder("ca.pem"), "-noout", "-text", NULL),
                     0);
    assert_non_null(strstr(output, "CA:TRUE, pathlen:0"));
    assert_non_null(strstr(output, "Certificate Sign, CRL Sign"));
    assert_non_null(strstr(output, "ecdsa-with-SHA256"));
    assert_non_null(strstr(output, "prime256v1"));
}

static void test_board_by_request(void **state)
{
    char key[PKI_PEM_SIZE], request[PKI_PEM_SIZE], crt[PKI_PEM_SIZE], again[PKI_PEM_SIZE],
        name[PKI_NAME_SIZE];
    struct pki_subject subject;
    struct pki_info info;

    (void)state;
    assert_int_equal(pki_key(key), PKI_OK);
    assert_int_equal(pki_request(key, "bay-1", "homerton", "board", request), PKI_OK);
    assert_int_equal(openssl("req", "-in", put("r.pem", request), "-noout", "-verify",
                             NULL),
                     0);
    assert_int_equal(pki_request_read(request, name), PKI_OK);
    assert_string_equal(name, "bay-1");
    subject_of(&subject, PKI_CLIENT, name);
    assert_int_equal(pki_sign(&subject, request, ca, ca_key, crt), PKI_OK);
    assert_int_equal(pki_matches(crt, key), PKI_OK);
    assert_int_equal(pki_read(crt, &info), PKI_OK);
    assert_false(info.authority);
    assert_memory_equal(info.serial, subject.serial, PKI_SERIAL_SIZE);
    assert_true(info.not_after_us / US_PER_S == subject.not_after_us / US_PER_S);
    assert_int_equal(openssl("verify", "-x509_strict", "-CAfile", in_folder("ca.pem"),
                             "-purpose", "sslclient", put("c.pem", crt), NULL),
                     0);
    assert_int_not_equal(openssl("verify", "-CAfile", in_folder("ca.pem"), "-purpose",
                                 "sslserver", in_folder("c.pem"), NULL),
                         0);
    assert_int_not_equal(openssl("verify", "-CAfile", put("other.pem", other),
                                 in_folder("c.pem"), NULL),
                         0);

    /* Renewed from the old certificate: the same key, another serial. */
    subject_of(&subject, PKI_CLIENT, name);
    assert_int_equal(pki_sign(&subject, crt, ca, ca_key, again), PKI_OK);
    assert_int_equal(pki_matches(again, key), PKI_OK);
    assert_string_not_equal(crt, again);
}

static void test_server_hosts(void **state)
{
    static const char *const hosts[] = {
        "broker.homerton.local", "127.0.0.1", "localhost", "::1", "abcd", "10.20.30.40"};
    char key[PKI_PEM_SIZE], crt[PKI_PEM_SIZE];
    struct pki_subject subject;

    (void)state;
    assert_int_equal(pki_key(key), PKI_OK);
    subject_of(&subject, PKI_SERVER, "broker");
    subject.hosts = hosts;
    subject.hosts_count = 6;
    assert_int_equal(pki_sign(&subject, key, ca, ca_key, crt), PKI_OK);
    assert_int_equal(openssl("verify", "-x509_strict", "-CAfile", in_folder("ca.pem"),
                             "-purpose", "sslserver", "-verify_hostname",
                             "broker.homerton.local", put("s.pem", crt), NULL),
                     0);
    assert_int_equal(openssl("verify", "-CAfile", in_folder("ca.pem"), "-verify_ip",
                             "127.0.0.1", in_folder("s.pem"), NULL),
                     0);
    assert_int_equal(openssl("verify", "-CAfile", in_folder("ca.pem"), "-verify_ip",
                             "::1", in_folder("s.pem"), NULL),
                     0);
    assert_int_not_equal(openssl("verify", "-CAfile", in_folder("ca.pem"),
                                 "-verify_hostname", "other.homerton.local",
                                 in_folder("s.pem"), NULL),
                         0);
    assert_int_equal(openssl("x509", "-in", in_folder("s.pem"), "-noout", "-ext",
                             "subjectAltName", NULL),
                     0);
    assert_non_null(
        strstr(output, "DNS:broker.homerton.local, IP Address:127.0.0.1, DNS:localhost, "
                       "IP Address:0:0:0:0:0:0:0:1, DNS:abcd, IP Address:10.20.30.40"));
}

static void test_what_may_not_stand_in_a_certificate(void **state)
{
    static const char *const names[] = {"",     "a,CN=b",   "a b", "A",   "*",   "a=b",
                                        "a\nb", "\xc3\xa9", "a/b", "a+b", "a\"b"};
    static const char *const hosts[] = {"",    "*.homerton.local",
                                        "a b", "a:b",
                                        "1:2", "a,b",
                                        "-\n"};
    char key[PKI_PEM_SIZE], out[PKI_PEM_SIZE], longest[PKI_NAME_SIZE + 1];
    struct pki_subject subject;

    (void)state;
    assert_int_equal(pki_key(key), PKI_OK);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        subject_of(&subject, PKI_CLIENT, names[i]);
        assert_int_equal(pki_sign(&subject, key, ca, ca_key, out), PKI_INVALID);
        assert_int_equal(pki_request(key, names[i], "a", "b", out), PKI_INVALID);
    }
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        subject_of(&subject, PKI_SERVER, "broker");
        subject.hosts = &hosts[i];
        subject.hosts_count = 1;
        assert_int_equal(pki_sign(&subject, key, ca, ca_key, out), PKI_INVALID);
    }
    subject.hosts_count = 0;
    assert_int_equal(pki_sign(&subject, key, ca, ca_key, out), PKI_INVALID);
    memset(longest, 'a', PKI_NAME_SIZE);
    longest[PKI_NAME_SIZE] = '\0';
    subject_of(&subject, PKI_CLIENT, longest);
    assert_int_equal(pki_sign(&subject, key, ca, ca_key, out), PKI_INVALID);
    printf("%zu names and %zu hosts refused\n", sizeof(names) / sizeof(names[0]) + 1,
           sizeof(hosts) / sizeof(hosts[0]) + 1);
}

/* Replaces the character in the middle of the PEM body. */
static void spoil(char *pem, size_t from_end)
{
    char *at = pem + strlen(pem) - from_end;

    *at = *at == 'A' ? 'B' : 'A';
}

static void test_bad_requests(void **state)
{
    char key[PKI_PEM_SIZE], request[PKI_PEM_SIZE], out[PKI_PEM_SIZE], name[PKI_NAME_SIZE],
        *text;
    struct pki_subject subject;
    uint8_t *weak;
    size_t refused = 0;

    (void)state;
    subject_of(&subject, PKI_CLIENT, "bay-1");
    assert_int_equal(pki_key(key), PKI_OK);
    assert_int_equal(pki_request(key, "bay-1", "homerton", "board", request), PKI_OK);
    for (size_t at = 40; at < strlen(request) - 44; at += 3) {
        char flipped[PKI_PEM_SIZE];
        int error;
        memcpy(flipped, request, sizeof(flipped));
        if (flipped[at] == '\n')
            continue;
        flipped[at] = flipped[at] == 'A' ? 'B' : 'A';
        error = pki_request_read(flipped, name);
        assert_int_equal(pki_sign(&subject, flipped, ca, ca_key, out), error);
        if (error == PKI_OK) { /* framing outside of what is signed: name and key are as
                                  they were */
            assert_string_equal(name, "bay-1");
            assert_int_equal(pki_matches(out, key), PKI_OK);
        } else
            refused++;
    }
    assert_int_equal(pki_request_read("", name), PKI_MALFORMED);
    assert_int_equal(pki_request_read("rubbish", name), PKI_MALFORMED);
    assert_int_equal(pki_request_read(ca, name), PKI_MALFORMED);

    /* An RSA key, and a request signed with SHA-1. */
    assert_int_equal(openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj",
                             "/CN=bay-1", "-keyout", in_folder("rsa.key"), "-out",
                             in_folder("rsa.csr"), NULL),
                     0);
    assert_true(file_read(in_folder("rsa.csr"), 65536, &weak) > 0);
    text = (char *)weak;
    assert_int_equal(pki_request_read(text, name), PKI_WEAK);
    free(weak);
    (void)put("ec.key", key);
    if (openssl("req", "-new", "-key", in_folder("ec.key"), "-sha1", "-subj", "/CN=bay-1",
                "-out", in_folder("sha1.csr"), NULL) == 0) {
        assert_true(file_read(in_folder("sha1.csr"), 65536, &weak) > 0);
        text = (char *)weak;
        assert_int_equal(pki_request_read(text, name), PKI_WEAK);
        free(weak);
    }
    printf("%zu altered requests refused\n", refused);
}

static void test_revocations(void **state)
{
    static char list[PKI_CRL_SIZE], again[PKI_CRL_SIZE];
    char key[PKI_PEM_SIZE], crt[PKI_PEM_SIZE], serial[2 * PKI_SERIAL_SIZE + 1];
    struct pki_revoked revoked[600];
    struct pki_subject subject;
    int64_t now = clock_utc_us();
    size_t count;

    (void)state;
    assert_int_equal(pki_key(key), PKI_OK);
    subject_of(&subject, PKI_CLIENT, "bay-1");
    assert_int_equal(pki_sign(&subject, key, ca, ca_key, crt), PKI_OK);
    (void)put("c.pem", crt);

    assert_int_equal(pki_revocations(ca, ca_key, 1, now - DAY_US, now + 7000 * DAY_US,
                                     NULL, 0, list, sizeof(list)),
                     PKI_OK);
    assert_int_equal(pki_revocations_check(list, ca, &count), PKI_OK);
    assert_int_equal(count, 0);
    assert_int_equal(openssl("crl", "-in", put("crl.pem", list), "-CAfile",
                             in_folder("ca.pem"), "-noout", "-text", NULL),
                     0);
    assert_non_null(strstr(output, "verify OK"));
    assert_non_null(strstr(output, "Version 2 (0x1)"));
    assert_non_null(strstr(output, "No Revoked Certificates"));
    assert_int_equal(openssl("verify", "-crl_check", "-CAfile", in_folder("ca.pem"),
                             "-CRLfile", in_folder("crl.pem"), in_folder("c.pem"), NULL),
                     0);

    for (size_t i = 0; i < 600; i++) {
        assert_int_equal(pki_serial(revoked[i].serial), PKI_OK);
        revoked[i].when_us = now - (int64_t)i * DAY_US;
    }
    memcpy(revoked[300].serial, subject.serial, PKI_SERIAL_SIZE);
    assert_int_equal(pki_revocations(ca, ca_key, UINT64_MAX, now, now + 7000 * DAY_US,
                                     revoked, 600, list, sizeof(list)),
                     PKI_OK);
    assert_int_equal(pki_revocations_check(list, ca, &count), PKI_OK);
    assert_int_equal(count, 600);
    assert_int_equal(openssl("crl", "-in", put("crl.pem", list), "-CAfile",
                             in_folder("ca.pem"), "-noout", "-text", NULL),
                     0);
    assert_non_null(strstr(output, "verify OK"));
    assert_non_null(
        strstr(output, "18446744073709551615")); /* the list's number, not -1 */
    (void)hex_text(subject.serial, PKI_SERIAL_SIZE, serial);
    for (char *c = serial; *c != '\0'; c++)
        *c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
    assert_non_null(strstr(output, serial));
    assert_int_not_equal(openssl("verify", "-crl_check", "-CAfile", in_folder("ca.pem"),
                                 "-CRLfile", in_folder("crl.pem"), in_folder("c.pem"),
                                 NULL),
                         0);
    assert_non_null(strstr(output, "certificate revoked"));

    assert_int_equal(pki_revocations_check(list, other, &count),
                     PKI_UNSIGNED); /* same name, other key */
    assert_int_equal(pki_revocations(ca, other_key, 1, now, now, revoked, 1, again,
                                     sizeof(again)),
                     PKI_MISMATCH);
    assert_int_equal(pki_revocations(ca, ca_key, 1, now, now, revoked, 600, again, 2000),
                     PKI_LIMIT);
    spoil(list, 60); /* in the signature */
    assert_int_not_equal(pki_revocations_check(list, ca, &count), PKI_OK);
    assert_int_equal(count, 0);
    assert_int_equal(pki_revocations_check("rubbish", ca, &count), PKI_MALFORMED);
}

static void test_serials_are_long_and_differ(void **state)
{
    uint8_t a[PKI_SERIAL_SIZE], b[PKI_SERIAL_SIZE];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(pki_serial(a), PKI_OK);
        assert_int_equal(pki_serial(b), PKI_OK);
        assert_true(a[0] >= 0x40 && a[0] < 0x80);
        assert_memory_not_equal(a, b, PKI_SERIAL_SIZE);
    }
}

static void test_after_2049(void **state)
{
    static char list[65536];
    struct pki_revoked revoked = {.when_us = INT64_C(2600000000) * US_PER_S}; /* 2052 */
    size_t count;

    (void)state;
    assert_int_equal(pki_serial(revoked.serial), PKI_OK);
    assert_int_equal(pki_revocations(ca, ca_key, 3, 0, revoked.when_us, &revoked, 1, list,
                                     sizeof(list)),
                     PKI_OK);
    assert_int_equal(pki_revocations_check(list, ca, &count), PKI_OK);
    assert_int_equal(openssl("crl", "-in", put("far.pem", list), "-noout", "-text", NULL),
                     0);
    assert_non_null(strstr(output, "Next Update: May 22 14:13:20 2052 GMT"));
    assert_non_null(strstr(output, "Last Update: Jan  1 00:00:00 1970 GMT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authority),
        cmocka_unit_test(test_board_by_request),
        cmocka_unit_test(test_server_hosts),
        cmocka_unit_test(test_what_may_not_stand_in_a_certificate),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_revocations),
        cmocka_unit_test(test_serials_are_long_and_differ),
        cmocka_unit_test(test_after_2049),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
