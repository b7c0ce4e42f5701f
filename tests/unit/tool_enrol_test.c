/* SPDX-License-Identifier: Apache-2.0
 *
 * A board's life by `wardgate enrol`, `replace` and `wipe`: with a real PKI, a real
 * mosquitto with TLS, and the real wardgated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "tool_run.h"

#define KEY_SIZE 32

static unsigned port;
static char broker[40], broker_pid[16], state[300],
    profiles[] = CHECKOUT "/drivers/profiles";
static pid_t mosquitto = -1;

#define EXPECT(code, ...)                                                                \
    do {                                                                                 \
        int got_ = run(__VA_ARGS__, NULL);                                               \
        if (got_ != (code))                                                              \
            fail_msg("%s:%d: exit %d, expected %d: %s", __FILE__, __LINE__, got_, code,  \
                     run_output);                                                        \
    } while (0)
#define SAYS(text)                                                                       \
    do {                                                                                 \
        if (strstr(run_output, text) == NULL)                                            \
            fail_msg("%s:%d: no '%s' in: %s", __FILE__, __LINE__, text, run_output);     \
    } while (0)

/* The beds and options that most boards here get. */
#define BOARD                                                                            \
    "bed-1=/dev/wg-none:wardgate-node@1", "bed-2=/dev/wg-none2:nonin-df2", "--broker",   \
        broker, "--state", state, "--profiles", profiles, "--clock", "wall", "--size",   \
        "16MiB"

static const char *path_of(const char *name)
{
    static char path[600];

    (void)snprintf(path, sizeof(path), "%s/%s", run_folder, name);
    return path;
}

static bool exists(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static unsigned mode_of(const char *name)
{
    struct stat st;

    return stat(path_of(name), &st) == 0 ? st.st_mode & 07777 : 0;
}

static size_t contents(const char *name, void *out, size_t size)
{
    FILE *file = fopen(path_of(name), "rb");
    size_t n = 0;

    if (file != NULL) {
        n = fread(out, 1, size, file);
        (void)fclose(file);
    }
    return n;
}

static void write_file(const char *name, const void *bytes, size_t n, mode_t mode)
{
    FILE *file = fopen(path_of(name), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fchmod(fileno(file), mode), 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **unused)
{
    char text[8];

    (void)unused;
    if (temporary_folder(run_folder) != 0)
        return -1;
    port = free_port();
    (void)snprintf(text, sizeof(text), "%u", port);
    (void)snprintf(broker, sizeof(broker), "localhost:%u", port);
    (void)snprintf(state, sizeof(state), "%s/state", run_folder);
    if (run("wardgate", "pki", "init", "pki", "--site", "homerton", NULL) != 0 ||
        run("wardgate", "pki", "broker", "pki", "localhost", NULL) != 0 ||
        run("wardgate", "pki", "broker-config", "pki", "--port", text, "--listen",
            "127.0.0.1", geteuid() == 0 ? "--user" : NULL, "root", NULL) != 0)
        return -1;
    mosquitto = broker_start("pki/broker/mosquitto.conf", port);
    (void)snprintf(broker_pid, sizeof(broker_pid), "%ld", (long)mosquitto);
    return mosquitto > 0 ? 0 : -1;
}

static int teardown(void **unused)
{
    (void)unused;
    process_end(mosquitto);
    temporary_remove(run_folder);
    return 0;
}

static void in_one_go(void **unused)
{
    (void)unused;
    EXPECT(0, "wardgate", "enrol", "etc", "bay-1", BOARD, "--pki", "pki");
    SAYS("clock: 20");
    SAYS("localhost is 127.0.0.1 and answers on port");
    SAYS("connect: TLSv1.");
    SAYS("acl: another gateway's topic is refused");
    assert_int_equal(mode_of("etc/bay-1.key") & 07137, 0);
    assert_int_equal(mode_of("etc/bay-1.pem"), 0644);
    assert_int_equal(mode_of("state/store"), 0700);
    assert_false(exists("pki/boards/bay-1/key.pem")); /* it never left the board */
    EXPECT(0, "cmp", "etc/wardgated.yaml", "pki/boards/bay-1/wardgated.yaml");
    EXPECT(0, "wardgate", "check", "config", "etc/wardgated.yaml");
    EXPECT(0, "wardgate", "pki", "list", "pki");
    SAYS("bay-1");
    /* Again: the same key, and no board is cut off. */
    EXPECT(0, "wardgate", "enrol", "etc", "bay-1", BOARD, "--pki", "pki", "--json");
    SAYS("bay-1.key, kept");
    EXPECT(64, "wardgate", "enrol", "etc-b", "bay-1", BOARD, "--pki", "pki");
    SAYS("'bay-1' is another board's name");
}

static void by_hand(void **unused)
{
    (void)unused;
    EXPECT(0, "wardgate", "enrol", "hand", "bay-2", BOARD, "--site", "homerton");
    SAYS("wardgate pki sign DIR bay-2");
    assert_false(exists("hand/wardgated.yaml"));
    EXPECT(0, "wardgate", "pki", "sign", "pki", "bay-2", "hand/bay-2.csr");
    EXPECT(0, "wardgate", "enrol", "hand", "bay-2", BOARD, "--site", "homerton", "--from",
           "pki/boards/bay-2");
    SAYS("found good by wardgated");
}

/* Folders that are carried about get mixed up. */
static void mixed_up_certificates_are_refused(void **unused)
{
    (void)unused;
    EXPECT(0, "wardgate", "enrol", "mix", "bay-3", BOARD, "--site", "homerton");
    EXPECT(78, "wardgate", "enrol", "mix", "bay-3", BOARD, "--site", "homerton", "--from",
           "pki/boards/bay-2");
    SAYS("is for 'bay-2', this board is 'bay-3'");
    EXPECT(0, "wardgate", "pki", "board", "pki", "bay-3"); /* another key's */
    EXPECT(78, "wardgate", "enrol", "mix", "bay-3", BOARD, "--site", "homerton", "--from",
           "pki/boards/bay-3");
    SAYS("is not for this board's key");
    EXPECT(78, "wardgate", "enrol", "hand", "bay-2", BOARD, "--site", "elsewhere",
           "--from", "pki/boards/bay-2");
    SAYS("is of site 'homerton', not of 'elsewhere'");
    EXPECT(0, "wardgate", "pki", "chart", "pki", "chart-9");
    EXPECT(0, "cp", "-r", "pki/charts/chart-9", "chart-9");
    EXPECT(0, "wardgate", "enrol", "mix", "chart-9", BOARD, "--site", "homerton");
    EXPECT(78, "wardgate", "enrol", "mix", "chart-9", BOARD, "--site", "homerton",
           "--from", "chart-9");
    SAYS("is of a chart and no board's");
    EXPECT(74, "wardgate", "enrol", "mix", "bay-3", BOARD, "--site", "homerton", "--from",
           "nowhere");
    EXPECT(64, "wardgate", "enrol", "mix", "bay-3", BOARD, "--site", "elsewhere", "--pki",
           "pki");
    SAYS("is the PKI of 'homerton'");
}

static void bad_beds_are_named(void **unused)
{
    static const char *const bad[] = {
        "bed-1",
        "bed-1=/dev/x",
        "bed-1=/dev/x:p@0",
        "bed-1=/dev/x:p@248",
        "bed-1=/dev/x:p@",
        "be d=/dev/x:p@1",
        "=/dev/x:p@1",
        "bed-1=:p@1",
        "bed-1=/dev/x:@1",
        "bed-1=/dev/x:p\n: q@1",
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        EXPECT(64, "wardgate", "enrol", "bad", "bay-4", bad[i], "--broker", broker,
               "--site", "homerton");
    EXPECT(64, "wardgate", "enrol", "bad", "bay-4", "a=/dev/x:p@1", "b=/dev/x:p@1",
           "--broker", broker, "--site", "homerton");
    SAYS("/dev/x: address 1 is there twice: a and b");
    EXPECT(64, "wardgate", "enrol", "bad", "bay-4", "a=/dev/x:p@1", "b=/dev/x:nonin-df2",
           "--broker", broker, "--site", "homerton");
    SAYS("'nonin-df2' needs the line for itself");
    EXPECT(64, "wardgate", "enrol", "bad", "Bay", "--broker", broker, "--site", "h");
    EXPECT(64, "wardgate", "enrol", "bad", "bay-4", "--broker", "h:0", "--site", "h");
    EXPECT(64, "wardgate", "enrol", "bad", "bay-4", "--broker", broker);
    EXPECT(64, "wardgate", "enrol", "bad", "bay-4", "--site", "homerton");
    EXPECT(64, "wardgate", "enrol", "bad", "bay-4", "--site", "h", "--broker", broker,
           "--parity", "mark");
    assert_false(exists("bad"));
    /* What only wardgated knows: file, line and key; what was in force stays. */
    EXPECT(78, "wardgate", "enrol", "etc", "bay-1", "bed-1=/dev/x:no-such-profile@1",
           "--broker", broker, "--state", state, "--profiles", profiles, "--pki", "pki");
    SAYS("wardgated.yaml.new:");
    SAYS("buses[0].devices[0].profile: ");
    EXPECT(0, "cmp", "etc/wardgated.yaml", "pki/boards/bay-1/wardgated.yaml");
}

/* Each way in which there is no way to the broker has its own words. */
static void the_network_is_explained(void **unused)
{
    char closed[40], other[40];

    (void)unused;
    (void)snprintf(closed, sizeof(closed), "localhost:%u", free_port());
    (void)snprintf(other, sizeof(other), "127.0.0.1:%u", port);
    EXPECT(1, "wardgate", "enrol", "etc", "bay-1", "--broker", closed, "--clock", "wall",
           "--pki", "pki");
    SAYS("NOT GOOD: localhost (127.0.0.1) port");
    SAYS("nothing listens on this port");
    EXPECT(1, "wardgate", "enrol", "etc", "bay-1", "--broker", "no-such-host.invalid",
           "--clock", "wall", "--pki", "pki");
    SAYS("name: NOT GOOD: no-such-host.invalid has no address");
    EXPECT(1, "wardgate", "enrol", "etc", "bay-1", "--broker", other, "--clock", "wall",
           "--pki", "pki"); /* the certificate says localhost and nothing else */
    SAYS("connect: NOT GOOD");
    EXPECT(0, "wardgate", "enrol", "etc", "bay-1", "--broker", closed, "--no-checks",
           "--pki", "pki");
}

/* A board without a battery clock starts in 1970; with the library in between this one
 * does too. */
/* `enrol` as on a board whose wall clock says utc_s; its other clocks are true. */
static void enrol_at(int64_t utc_s)
{
    const int64_t clock[3] = {(utc_s - (int64_t)time(NULL)) * INT64_C(1000000), 1, 1000};
    char file[700];
    FILE *control = fopen(path_of("clock"), "wb");

    assert_non_null(control);
    assert_int_equal(fwrite(clock, sizeof(clock), 1, control), 1);
    assert_int_equal(fclose(control), 0);
    (void)snprintf(file, sizeof(file), "WARDGATE_CLOCK=%s", path_of("clock"));
    EXPECT(1, "env", "LD_PRELOAD=" WARDGATE_CLOCK_SHIM, file, WARDGATE_TOOL, "enrol",
           "hand", "bay-2", "--broker", broker, "--site", "homerton", "--clock", "wall",
           "--from", "pki/boards/bay-2");
}

static void a_clock_that_was_never_set_is_told(void **unused)
{
    (void)unused;
    enrol_at(60);
    SAYS("clock: NOT GOOD: says 1970-01-01");
    SAYS("it was never set");
    enrol_at(INT64_C(2524608060)); /* 2050 */
    SAYS("the certificate ended");
}

/* --- with the daemon --- */

static pid_t daemon_start(void)
{
    char *argv[] = {mutable_text(WARDGATED), (char[]){"-c"},
                    (char[]){"etc/wardgated.yaml"}, NULL};
    int log =
        open(path_of("daemon.log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid = run_start(argv, log);

    (void)close(log);
    for (int i = 0; i < 500 && !exists("state/run/control.sock"); i++)
        pause_ms(20);
    return pid;
}

/* The epoch that a running wardgated writes in. */
static void epoch_of(char out[64])
{
    json_t *status;
    char socket[400];

    (void)snprintf(socket, sizeof(socket), "%s/run/control.sock", state);
    (void)run("wardgate", "status", "--json", "--socket", socket, NULL);
    status = json_loads(run_output, JSON_DISABLE_EOF_CHECK, NULL);
    (void)snprintf(out, 64, "%s",
                   json_string_value(
                       json_object_get(json_object_get(status, "store"), "epoch")));
    json_decref(status);
}

static void a_spare_takes_over(void **unused)
{
    char before[64], after[64], host_port[8];
    pid_t daemon;

    (void)unused;
    (void)snprintf(host_port, sizeof(host_port), "%u", port);
    EXPECT(0, "wardgate", "enrol", "etc", "bay-1", BOARD, "--pki", "pki");
    daemon = daemon_start();
    epoch_of(before);
    process_end(daemon);
    /* A board in use is no spare. */
    EXPECT(64, "wardgate", "replace", "etc", "bay-1", "--pki", "pki");
    SAYS("has readings of its own");
    EXPECT(0, "mv", "state", "old-state");
    EXPECT(64, "wardgate", "replace", "etc", "bay-1", "--pki", "pki");
    SAYS("this board is 'bay-1' already");
    EXPECT(0, "mv", "etc", "old-etc");
    EXPECT(0, "mkdir", "-p", "-m", "700", "state/store", "state/run");
    EXPECT(64, "wardgate", "replace", "etc", "bay-7", "--pki", "pki");
    EXPECT(78, "wardgate", "replace", "etc", "bay-2", "--pki", "pki", "--config",
           "old-etc/wardgated.yaml");
    SAYS("gateway: is 'bay-1', not 'bay-2'");
    EXPECT(0, "wardgate", "replace", "etc", "bay-1", "--pki", "pki", "--broker-pid",
           broker_pid);
    SAYS("of the old board");
    EXPECT(0, "cmp", "etc/wardgated.yaml", "old-etc/wardgated.yaml");
    EXPECT(1, "cmp", "-s", "etc/bay-1.key", "old-etc/bay-1.key");
    EXPECT(1, "wardgate", "check", "broker", "--host", "localhost", "--port", host_port,
           "--site", "homerton", "--ca", "old-etc/ca.pem", "--cert", "old-etc/bay-1.pem",
           "--key", "old-etc/bay-1.key");
    SAYS("connect: ");
    EXPECT(0, "wardgate", "check", "broker", "--host", "localhost", "--port", host_port,
           "--site", "homerton", "--ca", "etc/ca.pem", "--cert", "etc/bay-1.pem", "--key",
           "etc/bay-1.key");
    daemon = daemon_start();
    epoch_of(after);
    process_end(daemon);
    assert_int_equal(strlen(before), 32);
    assert_int_equal(strlen(after), 32);
    assert_string_not_equal(before, after);
}

static void a_spare_takes_over_by_hand(void **unused)
{
    (void)unused;
    EXPECT(0, "mv", "hand", "old-hand");
    EXPECT(0, "mv", "state", "bay-1-state");
    EXPECT(0, "mkdir", "-p", "-m", "700", "state/store", "state/run");
    EXPECT(0, "wardgate", "replace", "hand", "bay-2", "--config",
           "old-hand/wardgated.yaml");
    SAYS("wardgate pki revoke DIR bay-2");
    EXPECT(1, "wardgate", "pki", "revoke", "pki", "bay-2"); /* the broker isn't told */
    EXPECT(0, "wardgate", "pki", "sign", "pki", "bay-2", "hand/bay-2.csr");
    EXPECT(0, "wardgate", "replace", "hand", "bay-2", "--config",
           "old-hand/wardgated.yaml", "--from", "pki/boards/bay-2");
    EXPECT(0, "rm", "-r", "state");
    EXPECT(0, "mv", "bay-1-state", "state");
}

/* --- wipe --- */

static uint8_t secret[2][4096]; /* store key, board key */
static size_t secret_size[2];
static int found;

static int search(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    uint8_t *bytes;
    FILE *file;
    size_t n;

    (void)at;
    if (kind != FTW_F || strstr(path, "/stolen/") != NULL || st->st_size > (64 << 20) ||
        (file = fopen(path, "rb")) == NULL)
        return 0;
    bytes = malloc((size_t)st->st_size + 1);
    n = fread(bytes, 1, (size_t)st->st_size, file);
    (void)fclose(file);
    for (size_t k = 0; k < 2; k++)
        if (memmem(bytes, n, secret[k], secret_size[k]) != NULL)
            found++;
    free(bytes);
    return 0;
}

static int count_secrets(const char *name)
{
    char path[600];

    (void)snprintf(path, sizeof(path), "%s", path_of(name));
    found = 0;
    (void)nftw(path, search, 16, FTW_PHYS);
    return found;
}

static void a_wiped_board_knows_nothing(void **unused)
{
    uint8_t other[KEY_SIZE];
    pid_t daemon = daemon_start();
    char count[32], *end;

    (void)unused;
    EXPECT(1, "wardgate", "wipe", "--yes", "--even-unsent", "--config",
           "etc/wardgated.yaml");
    SAYS("wardgated runs");
    process_end(daemon);
    EXPECT(0, WARDGATED, "-w", "-c", "etc/wardgated.yaml");
    (void)snprintf(count, sizeof(count), "%.20s", run_output);
    assert_true(strtol(count, &end, 10) > 0);
    *end = '\0';
    EXPECT(1, "wardgate", "wipe", "--yes", "--config", "etc/wardgated.yaml");
    SAYS("were never sent");
    EXPECT(1, "wardgate", "wipe", "--even-unsent", "--config", "etc/wardgated.yaml");
    SAYS("nothing was done");
    secret_size[0] = contents("state/store.key", secret[0], sizeof(secret[0]));
    secret_size[1] = contents("etc/bay-1.key", secret[1], sizeof(secret[1]));
    assert_int_equal(secret_size[0], KEY_SIZE);
    assert_true(secret_size[1] > 100);
    assert_int_equal(count_secrets("etc") + count_secrets("state"), 2);
    EXPECT(0, "mkdir", "stolen");
    EXPECT(0, "cp", "-a", "state/store", "etc/wardgated.yaml", "etc/bay-1.pem", "stolen");
    EXPECT(0, "wardgate", "wipe", "--yes", "--even-unsent", "--config",
           "etc/wardgated.yaml");
    SAYS("bay-1 of homerton is wiped");
    SAYS(count);
    assert_int_equal(count_secrets("etc") + count_secrets("state"), 0);
    assert_false(exists("state/store.key"));
    assert_false(exists("etc/bay-1.key"));
    assert_false(exists("etc/wardgated.yaml"));
    EXPECT(0, "ls", "-A", "state/store");
    assert_string_equal(run_output, "");

    /* A copy of the store that somebody made, put back: no key of this board opens it. */
    EXPECT(0, "rmdir", "state/store");
    EXPECT(0, "cp", "-a", "stolen/store", "state/store");
    write_file("state/store.key", secret[0], KEY_SIZE, 0600);
    EXPECT(0, WARDGATED, "-w", "-c", "stolen/wardgated.yaml"); /* so the copy is whole */
    SAYS(count);
    memcpy(other, secret[0], KEY_SIZE);
    other[7] ^= 1;
    write_file("state/store.key", other, KEY_SIZE, 0600);
    EXPECT(1, WARDGATED, "-w", "-c", "stolen/wardgated.yaml");
}

static void a_wipe_that_can_not_be_judged_is_refused(void **unused)
{
    (void)unused; /* the store of the last test, which its key does not open */
    EXPECT(1, "wardgate", "wipe", "--yes", "--config", "stolen/wardgated.yaml");
    SAYS("can't be told");
    EXPECT(74, "wardgate", "wipe", "--yes", "--config", "none.yaml");
    write_file("bad.yaml", "- x\n", 4, 0644);
    EXPECT(78, "wardgate", "wipe", "--yes", "--config", "bad.yaml");
    SAYS("bad.yaml:1: ");
    EXPECT(64, "wardgate", "wipe", "now");
    assert_true(exists("stolen/wardgated.yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_one_go),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(mixed_up_certificates_are_refused),
        cmocka_unit_test(bad_beds_are_named),
        cmocka_unit_test(the_network_is_explained),
        cmocka_unit_test(a_clock_that_was_never_set_is_told),
        cmocka_unit_test(a_spare_takes_over),
        cmocka_unit_test(a_spare_takes_over_by_hand),
        cmocka_unit_test(a_wiped_board_knows_nothing),
        cmocka_unit_test(a_wipe_that_can_not_be_judged_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
