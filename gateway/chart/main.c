/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate-chart: options, signals, and the loop.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "chart/backup.h"
#include "chart/main_service.h"

#define CONFIG_DEFAULT "/etc/wardgate/wardgate-chart.yaml"

enum { EXIT_USE = 64, EXIT_UNAVAILABLE = 69, EXIT_CONFIG = 78 }; /* sysexits(3) */

static void print_help(void)
{
    printf("wardgate-chart: charts readings on the admitted patient\n"
           "\n"
           "  wardgate-chart [-c FILE]       run, until SIGTERM\n"
           "  wardgate-chart [-c FILE] -t    test the configuration and exit\n"
           "  wardgate-chart [-c FILE] -T    print the configuration in force, with help "
           "for every key\n"
           "  wardgate-chart [-c FILE] -B FOLDER   copy the ledger; the service may run\n"
           "\n"
           "  -c, --config FILE   default " CONFIG_DEFAULT "\n"
           "  -t, --test\n"
           "  -T, --print\n"
           "  -B, --backup FOLDER   makes FOLDER, with a copy that was read back row by "
           "row; keep the key apart\n"
           "      --version\n"
           "      --help\n"
           "\n"
           "SIGHUP reads the table of beds, the feed's rules, the log level and the "
           "certificates again.\n"
           "Exit: 0 ended when asked, 64 wrong use, 69 a line, file or disk could not be "
           "opened, 78 bad configuration.\n");
}

enum verb { VERB_RUN, VERB_TEST, VERB_PRINT, VERB_BACKUP, VERB_DONE, VERB_USE };

static enum verb read_options(int argc, char **argv, const char **path, const char **to)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"test", no_argument, NULL, 't'},
                                            {"print", no_argument, NULL, 'T'},
                                            {"backup", required_argument, NULL, 'B'},
                                            {"version", no_argument, NULL, 'V'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    enum verb verb = VERB_RUN;
    int option;
    while ((option = getopt_long(argc, argv, "c:tTB:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            *path = optarg;
            break;
        case 't':
            verb = VERB_TEST;
            break;
        case 'T':
            verb = VERB_PRINT;
            break;
        case 'B':
            *to = optarg;
            verb = VERB_BACKUP;
            break;
        case 'V':
            printf("wardgate-chart " WARDGATE_VERSION "\n");
            return VERB_DONE;
        case 'h':
            print_help();
            return VERB_DONE;
        default:
            return VERB_USE;
        }
    }
    return optind == argc ? verb : VERB_USE;
}

/* The loop ends after the turn under way, so no batch is cut in two. */
static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info,
                     void *context)
{
    struct service *service = context;
    if (info->ssi_signo == SIGHUP)
        service_reload(service);
    else
        sd_event_exit(sd_event_source_get_event(source), 0);
    return 0;
}

/* Signals are blocked before anything starts, so that none is lost or kills between two
 * lines. */
static int run(struct service *service)
{
    static const int signals[] = {SIGHUP, SIGTERM, SIGINT};
    sigset_t blocked;
    int result = EXIT_UNAVAILABLE;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&blocked, signals[i]);
    if (sigprocmask(SIG_BLOCK, &blocked, NULL) < 0 ||
        sd_event_default(&service->loop) < 0)
        return EXIT_UNAVAILABLE;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sd_event_add_signal(service->loop, NULL, signals[i], on_signal, service) < 0)
            goto err0;
    if (service_start(service) == 0)
        result = sd_event_loop(service->loop) < 0 ? EXIT_UNAVAILABLE : 0;
    service_stop(service);

err0:
    sd_event_unref(service->loop);
    return result;
}

static int make_backup(const struct service *service, const char *to)
{
    const struct ledger_options options = service_ledger(service);
    struct backup_report report;
    char error[LEDGER_ERROR_SIZE];
    if (backup_make(&options, to, clock_utc_us(), &report, error) != LEDGER_OK) {
        fprintf(stderr, "wardgate-chart: %s\n", error);
        return EXIT_UNAVAILABLE;
    }
    printf("%s: %" PRIu64 " readings, %" PRIu64 " ADT messages, %" PRIu64
           " bytes, read back row by row\n",
           to, report.readings, report.adt, report.bytes);
    return 0;
}

int main(int argc, char **argv)
{
    const char *path = CONFIG_DEFAULT, *to = NULL;
    char error[CONFIG_ERROR_SIZE];
    enum verb verb = read_options(argc, argv, &path, &to);
    if (verb == VERB_DONE)
        return 0;
    if (verb == VERB_USE) {
        fprintf(stderr, "wardgate-chart: see --help\n");
        return EXIT_USE;
    }
    umask(0077);
    struct service *service = calloc(1, sizeof *service);
    int result = 0;
    if (!service) {
        fprintf(stderr, "out of memory\n");
        return EXIT_UNAVAILABLE;
    }
    if (service_load(service, path, error) != 0) {
        fprintf(stderr, "%s\n", error);
        free(service);
        return EXIT_CONFIG;
    }
    if (verb == VERB_PRINT)
        config_print(chart_schema, &service->config, stdout);
    else if (verb == VERB_BACKUP)
        result = make_backup(service, to);
    else if (verb == VERB_TEST)
        printf("%s: good\n", path);
    else
        service->floor_us = CHART_BUILD_UTC_S * US_PER_S, result = run(service);
    if (verb != VERB_RUN) {
        adt_site_free(service->site);
        config_free(service->places_parsed);
        config_free(service->parsed);
    }
    free(service);
    return result;
}
