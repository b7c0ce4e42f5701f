/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgated: reads the devices of a bay and sends what they say to the chart, so that
 * nothing is lost on the way.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "bedside/check_store.h"
#include "bedside/daemon.h"

#define LAST_US      US_PER_S /* for the last envelopes and their receipts at the end */
#define LAST_LOOK_US 5000
#define TRIM_BYTES   (128 * 1024)

static const char usage[] =
    "usage: wardgated [-c FILE] [-t | -T | -w] [-v]\n"
    "  -c FILE    configuration (default /etc/wardgate/wardgated.yaml)\n"
    "  -t         check the configuration and the files it names, print ok or the first "
    "error, end\n"
    "  -T         print the configuration in force, with presets, units and help, end\n"
    "  -w         print how many stored records wait for the chart's receipt, end; only "
    "while no wardgated runs\n"
    "  -v         say more\n"
    "  --version  versions of wardgated and of the libraries it was built with\n"
    "SIGHUP reads the configuration again; a bad one changes nothing. SIGTERM commits "
    "and ends.\n"
    "Exit: 0 ended as asked; 1 could not run; 64 wrong usage; 78 bad configuration.\n";

enum { EXIT_USAGE = 64, EXIT_CONFIG = 78 };

struct options {
    const char *path;
    bool check, print, waiting, verbose;
};

static void print_version(void)
{
    printf("wardgated %s\nlmdb %s\nlibmosquitto %s\nlibmodbus %s\nlibsystemd %s\n",
           WARDGATE_VERSION, BEDSIDE_LMDB_VERSION, BEDSIDE_MOSQUITTO_VERSION,
           BEDSIDE_MODBUS_VERSION, BEDSIDE_SYSTEMD_VERSION);
}

/* Returns -1 to go on, or an exit code. */
static int parse_options(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"version", no_argument, NULL, 'V'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "c:tTwvh", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            options->path = optarg;
            break;
        case 't':
            options->check = true;
            break;
        case 'T':
            options->print = true;
            break;
        case 'w':
            options->waiting = true;
            break;
        case 'v':
            options->verbose = true;
            break;
        case 'V':
            print_version();
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return -1;
    fputs(usage, stderr);
    return EXIT_USAGE;
}

/* What is true of this board alone: a store that was copied to another board must not go
 * on as the old one. */
static void find_home(struct daemon *daemon)
{
    static const char *const sources[] = {"/etc/machine-id",
                                          "/sys/firmware/devicetree/base/serial-number"};
    size_t used = (size_t)snprintf(daemon->home, sizeof(daemon->home), "%s/%s",
                                   daemon->config.site, daemon->config.gateway);

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        uint8_t *text;
        ssize_t n = file_read(sources[i], 128, &text);
        if (n < 0)
            continue;
        if ((size_t)n < sizeof(daemon->home) - used - 1) {
            daemon->home[used++] = '\n';
            memcpy(daemon->home + used, text, (size_t)n);
            used += (size_t)n;
        }
        free(text);
    }
    daemon->home[used] = '\0';
}

static int make_folder(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    log_error("%s: %s", path, strerror(errno));
    return -1;
}

static int on_last(sd_event_source *source, uint64_t at_us, void *context)
{
    struct daemon *daemon = context;

    if (!uplink_waiting(daemon) || at_us >= daemon->stop_until_us)
        return sd_event_exit(daemon->loop, 0);
    (void)sd_event_source_set_time(source, at_us + LAST_LOOK_US);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* The lines end and what they gave is committed. Then the last envelopes and their
 * receipts get a moment; what does not make it is sent after the next start. */
static int on_end(sd_event_source *source, const struct signalfd_siginfo *info,
                  void *context)
{
    struct daemon *daemon = context;
    uint64_t now_us = clock_monotonic_us();

    (void)source;
    (void)info;
    if (daemon->stopping)
        return sd_event_exit(daemon->loop, 0); /* asked twice */
    health_stopping(daemon);
    collect_stop(daemon);
    daemon->stop_until_us = now_us + LAST_US;
    if (sd_event_add_time(daemon->loop, NULL, CLOCK_BOOTTIME, now_us + LAST_LOOK_US, 1000,
                          on_last, daemon) < 0)
        return sd_event_exit(daemon->loop, 0);
    return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info,
                     void *context)
{
    struct daemon *daemon = context;

    (void)source;
    (void)info;
    health_reloading(daemon);
    (void)reload(daemon);
    health_ready(daemon);
    return 0;
}

static int catch_signals(struct daemon *daemon)
{
    sigset_t set;
    int error;

    /* Blocked before any thread starts, so that the loop alone gets them. A reader of a
     * full disk or a closed socket gets its error from the call. */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -errno;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    if ((error = sd_event_add_signal(daemon->loop, NULL, SIGTERM, on_end, daemon)) < 0 ||
        (error = sd_event_add_signal(daemon->loop, NULL, SIGINT, on_end, daemon)) < 0 ||
        (error = sd_event_add_signal(daemon->loop, NULL, SIGHUP, on_hangup, daemon)) < 0)
        return error;
    return 0;
}

/* Opens everything, in this order: the store before the lines, for the first reading may
 * come at once; the lines before the broker, for readings matter more than their sending;
 * READY when readings can be kept. */
static int run(struct daemon *daemon)
{
    int error;

    if ((error = sd_event_new(&daemon->loop)) < 0) {
        log_error("event loop: %s", strerror(-error));
        return 1;
    }
    if ((error = catch_signals(daemon)) < 0 || (error = collect_open(daemon)) < 0)
        goto err1;
    if ((error = bedside_control_open(daemon)) < 0)
        goto err2;
    if ((error = uplink_open(daemon)) < 0)
        goto err3;
    if ((error = health_open(daemon)) < 0)
        goto err4;
    log_info("wardgated %s: %s/%s, %zu buses", WARDGATE_VERSION, daemon->config.site,
             daemon->config.gateway, daemon->bus_count);
    health_ready(daemon);
    error = sd_event_loop(daemon->loop);
    health_close(daemon);
err4:
    collect_stop(daemon); /* a loop that failed commits too */
    uplink_close(daemon);
err3:
    bedside_control_close(daemon);
err2:
    collect_stop(daemon);
err1:
    collect_close(daemon);
    if (error < 0)
        log_error("%s", strerror(-error));
    sd_event_unref(daemon->loop);
    return error < 0 ? 1 : 0;
}

static void describe_store(struct daemon *daemon)
{
    find_home(daemon);
    daemon->store_config = (struct store_config){
        .folder = daemon->config.store.folder,
        .home = daemon->home,
        .map_bytes = (uint64_t)daemon->config.store.size,
        .high_water = (uint32_t)daemon->config.store.high_water,
        .pending_max = (size_t)daemon->config.store.batch,
    };
}

/* For whoever is about to remove the package or the board: what would be lost with it. */
static int print_waiting(struct daemon *daemon)
{
    char data[BEDSIDE_PATH_SIZE + 16], error[STORE_ERROR_SIZE];
    struct store *store;
    struct store_status status;

    (void)snprintf(data, sizeof(data), "%s/data.mdb", daemon->config.store.folder);
    if (access(data, F_OK) != 0 && errno == ENOENT) {
        puts("0"); /* opening would make a store where there is none */
        return 0;
    }
    describe_store(daemon);
    if (access(daemon->config.store.key, F_OK) != 0) {
        fprintf(stderr, "key %s: %s\n", daemon->config.store.key, strerror(errno));
        return 1; /* a new key would open nothing */
    }
    if (collect_key(daemon, error) != 0 ||
        store_open(&daemon->store_config, &store, error) != STORE_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    store_status(store, &status);
    store_close(store);
    printf("%llu\n", (unsigned long long)status.unreceipted);
    return 0;
}

static int prepare(struct daemon *daemon)
{
    (void)umask(077);
    /* One arena: threads of lines hold little, and memory that they freed must not stay
     * theirs. */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    if (make_folder(daemon->config.run) != 0)
        return -1;
    (void)make_folder(
        daemon->config.store.folder); /* a disk that is not there may come */
    describe_store(daemon);
    daemon->started_us = clock_monotonic_us();
    stamp_init(&daemon->stamp, BEDSIDE_BUILD_UTC_S * US_PER_S);
    if (daemon->config.clock.trust == BEDSIDE_TRUST_WALL)
        stamp_trust_wall(&daemon->stamp, (uint32_t)daemon->config.clock.uncertainty_ms);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {.path = "/etc/wardgate/wardgated.yaml"};
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    char error[CONFIG_ERROR_SIZE];
    int result;

    if (daemon == NULL)
        return 1;
    if ((result = parse_options(argc, argv, &options)) >= 0)
        goto out;
    log_set_level(options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    result = EXIT_CONFIG;
    if (bedside_config_load(options.path, NULL, options.check, &daemon->config, error) !=
        0) {
        fprintf(stderr, "%s\n", error);
        goto out;
    }
    daemon->path = options.path;
    if (options.check || options.print) {
        if (options.print)
            bedside_config_print(&daemon->config, stdout);
        else
            puts("ok");
        result = 0;
    } else if (options.waiting) {
        result = print_waiting(daemon);
    } else {
        result = 1;
        if (prepare(daemon) == 0) {
            check_store(daemon); /* in children, before there are threads */
            result = run(daemon);
        }
    }
    bedside_config_free(&daemon->config);
    if (daemon->again) {
        log_notice("starting again to salvage the store");
        execv("/proc/self/exe", argv);
        log_error("%s", strerror(errno));
        result = 1;
    }
out:
    crypto_wipe(&daemon->store_config.key, sizeof(daemon->store_config.key));
    free(daemon);
    return result;
}
