/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate emulate: devices for the demo, for tests, and for whoever has none at hand.
 */
#include "tool/emulate.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "ports/profile.h"
#include "tool/emulate_device.h"
#include "tool/emulate_line.h"

#define FAULTS_MAX 256
#define EXIT_USAGE 2
#define LINGER_US  2000000

static const char help[] =
    "Usage: wardgate emulate modbus LINE --profile NAME [DEVICE]...\n"
    "       wardgate emulate nonin  LINE --format df2|df7|df8|df13 [ROWS]\n"
    "\n"
    "Acts as bedside devices on a line until SIGTERM or SIGINT. Nothing that is sent to\n"
    "it changes it: a Modbus request that would write is refused and counted.\n"
    "\n"
    "Where (LINE, one of):\n"
    "  --pty LINK          a pseudo-terminal, linked at LINK; several units share it\n"
    "  --rtu PATH          an existing serial line, as its slave\n"
    "  --tcp ADDRESS:PORT  Modbus TCP; port 0 takes a free one and prints it\n"
    "  --baud N            RTU: 9600 if not given; a pty keeps the time of a real wire "
    "at\n"
    "                      that rate, 11 bits a character. 0: a pty as fast as it goes\n"
    "\n"
    "Which device (Modbus; those before the first --unit are for every unit):\n"
    "  --unit N            another unit with this address, 1-247 (1 if none is named)\n"
    "  --profile NAME      a built-in profile, or a path to one in YAML\n"
    "  --turnaround MS     from request to reply, 5 if not given\n"
    "  --dead              never answers\n"
    "\n"
    "What it shows (ROWS; also for each unit):\n"
    "  --replay FILE.csv   a header of field names, then one row after the other; an "
    "empty\n"
    "                      value is one that the device does not have. Columns that the\n"
    "                      device has no field for are left out\n"
    "  --seed N            without --replay: a made-up patient, the same for the same "
    "seed\n"
    "  --every TIME        time of one row: 250ms, 1s (if not given), 1min\n"
    "  --each-row-once-read  a row stays until it was read, however long that takes\n"
    "  --loop              after the last row begin again; without it the last row "
    "stays\n"
    "  --exit-at-end       end once all rows were shown (and read, with the option "
    "above)\n"
    "  --served FILE       append one JSON object for each row that was read, or that "
    "was\n"
    "                      replaced before anyone read it (\"unread\": true)\n"
    "\n"
    "Faults (Modbus): --fault KIND[@REQUEST][=VALUE][/UNIT], as often as needed\n"
    "  REQUEST counts good requests from 1; without it every one. KIND and VALUE:\n"
    "  late=MS  twice=MS  short=BYTES  foreign=UNIT  flip=BIT  silent  exception=CODE\n"
    "  echo  garbage=BYTES\n"
    "\n"
    "The last line it prints is one JSON object with what it counted. Exit: 0, 1 if the\n"
    "line or a file failed, 2 if the command is wrong, 3 if a write was ever asked for.\n"
    "\n"
    "Example: a ward's bus with two monitors and a dead one, and a look at it\n"
    "  wardgate emulate modbus --pty /tmp/bay1 --profile wardgate-monitor \\\n"
    "      --unit 7 --seed 1 --unit 8 --replay icu.csv --unit 9 --dead &\n"
    "  wardgate check --config wardgate.yaml\n";

struct emulate { /* one run */
    struct emulate_line line;
    struct emulate_ward ward;
    struct modbus_slave slave;
    struct modbus_fault faults[FAULTS_MAX];
    size_t fault_count;
    struct profile *profiles[DEVICES_MAX + 1]; /* loaded from files, to be freed */
    size_t profile_count;
    const char *pty, *rtu, *tcp, *served;
    uint32_t baud;
    unsigned format;
    bool nonin, exit_at_end;
    uint64_t end_us; /* when all rows were shown and the line is to end; 0: not yet */
    int stop_fd;
    char error[512];
};

/* What is set for one unit, or before the first for all. */
struct unit_options {
    uint8_t address;
    const struct regmap *map;
    const char *replay;
    uint64_t seed, every_us;
    uint32_t turnaround_us;
    bool dead, each_row_read, loop;
};

/* Digits only: no sign, no blanks, no second base. */
static bool number(const char *text, uint64_t maximum, uint64_t *out)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *out <= maximum;
}

/* As in the gateway's configuration: a number and ms, s or min. */
static bool duration_us(const char *text, uint64_t *out)
{
    static const struct {
        const char *unit;
        uint64_t us;
    } units[] = {{"ms", 1000}, {"s", 1000000}, {"min", 60000000}};
    char *end;
    uint64_t n;

    if (text[0] < '0' || text[0] > '9')
        return false;
    n = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) == 0 && n > 0 && n <= 86400000) {
            *out = n * units[i].us;
            return true;
        }
    }
    return false;
}

/* KIND[@REQUEST][=VALUE][/UNIT] */
static bool fault_option(struct emulate *run, const char *text)
{
    static const struct {
        const char *name;
        uint8_t kind;
        uint32_t factor;
    } kinds[] = {
        {"late", MODBUS_FAULT_LATE, 1000},        {"twice", MODBUS_FAULT_TWICE, 1000},
        {"short", MODBUS_FAULT_SHORT, 1},         {"foreign", MODBUS_FAULT_FOREIGN, 1},
        {"flip", MODBUS_FAULT_FLIP, 1},           {"silent", MODBUS_FAULT_SILENT, 1},
        {"exception", MODBUS_FAULT_EXCEPTION, 1}, {"echo", MODBUS_FAULT_ECHO, 1},
        {"garbage", MODBUS_FAULT_GARBAGE, 1},
    };
    struct modbus_fault fault = {0};
    size_t n = strcspn(text, "@=/");
    size_t k = 0;

    while (k < sizeof kinds / sizeof kinds[0] &&
           (strlen(kinds[k].name) != n || strncmp(kinds[k].name, text, n) != 0))
        k++;
    if (k == sizeof kinds / sizeof kinds[0] || run->fault_count == FAULTS_MAX)
        return false;
    fault.kind = kinds[k].kind;
    for (text += n; *text != '\0';) {
        char mark = *text++;
        char digits[16] = "";
        uint64_t value;

        n = strcspn(text, "@=/");
        if (n == 0 || n >= sizeof digits)
            return false;
        memcpy(digits, text, n);
        text += n;
        if (!number(digits, UINT32_MAX / 1000, &value))
            return false;
        if (mark == '@')
            fault.request = value;
        else if (mark == '=')
            fault.value = (uint32_t)value * kinds[k].factor;
        else
            fault.unit = (uint8_t)value;
    }
    run->faults[run->fault_count++] = fault;
    return true;
}

/* A profile by name, or from a file. NULL with run->error. */
static const struct regmap *find_map(struct emulate *run, const char *name)
{
    const struct regmap *map = regmap_by_name(name);

    if (map != NULL)
        return map;
    if (strchr(name, '/') == NULL && strchr(name, '.') == NULL) {
        (void)snprintf(run->error, sizeof run->error, "no profile is called %s", name);
        return NULL;
    }
    if (run->profile_count > DEVICES_MAX ||
        profile_load(name, &run->profiles[run->profile_count], run->error,
                     sizeof run->error) != PROFILE_OK)
        return NULL;
    return profile_regmap(run->profiles[run->profile_count++]);
}

enum emulate_option {
    OPTION_PTY = 256,
    OPTION_RTU,
    OPTION_TCP,
    OPTION_BAUD,
    OPTION_UNIT,
    OPTION_PROFILE,
    OPTION_TURNAROUND,
    OPTION_DEAD,
    OPTION_REPLAY,
    OPTION_SEED,
    OPTION_EVERY,
    OPTION_EACH,
    OPTION_LOOP,
    OPTION_EXIT,
    OPTION_SERVED,
    OPTION_FAULT,
    OPTION_FORMAT,
    OPTION_HELP,
};

static const struct option options[] = {
    {"pty", required_argument, NULL, OPTION_PTY},
    {"rtu", required_argument, NULL, OPTION_RTU},
    {"tcp", required_argument, NULL, OPTION_TCP},
    {"baud", required_argument, NULL, OPTION_BAUD},
    {"unit", required_argument, NULL, OPTION_UNIT},
    {"profile", required_argument, NULL, OPTION_PROFILE},
    {"turnaround", required_argument, NULL, OPTION_TURNAROUND},
    {"dead", no_argument, NULL, OPTION_DEAD},
    {"replay", required_argument, NULL, OPTION_REPLAY},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"every", required_argument, NULL, OPTION_EVERY},
    {"each-row-once-read", no_argument, NULL, OPTION_EACH},
    {"loop", no_argument, NULL, OPTION_LOOP},
    {"exit-at-end", no_argument, NULL, OPTION_EXIT},
    {"served", required_argument, NULL, OPTION_SERVED},
    {"fault", required_argument, NULL, OPTION_FAULT},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* An option of one unit. False: its value is wrong. */
static bool unit_option(struct emulate *run, int option, const char *value,
                        struct unit_options *unit)
{
    uint64_t n;

    switch (option) {
    case OPTION_PROFILE:
        unit->map = find_map(run, value);
        return unit->map != NULL;
    case OPTION_TURNAROUND:
        if (!number(value, 60000, &n))
            return false;
        unit->turnaround_us = (uint32_t)n * 1000;
        return true;
    case OPTION_DEAD:
        unit->dead = true;
        return true;
    case OPTION_REPLAY:
        unit->replay = value;
        return true;
    case OPTION_SEED:
        return number(value, UINT64_MAX, &unit->seed);
    case OPTION_EVERY:
        return duration_us(value, &unit->every_us);
    case OPTION_EACH:
        unit->each_row_read = true;
        return true;
    default:
        unit->loop = true;
        return true;
    }
}

/* An option of the whole run. */
static bool run_option(struct emulate *run, int option, const char *value)
{
    uint64_t n;

    switch (option) {
    case OPTION_PTY:
        run->pty = value;
        return true;
    case OPTION_RTU:
        run->rtu = value;
        return true;
    case OPTION_TCP:
        run->tcp = value;
        return strrchr(value, ':') != NULL;
    case OPTION_BAUD:
        if (!number(value, 921600, &n))
            return false;
        run->baud = (uint32_t)n;
        return true;
    case OPTION_EXIT:
        run->exit_at_end = true;
        return true;
    case OPTION_SERVED:
        run->served = value;
        return true;
    case OPTION_FAULT:
        return fault_option(run, value);
    case OPTION_FORMAT:
        if (strncmp(value, "df", 2) != 0 || !number(value + 2, 13, &n) ||
            (n != 2 && n != 7 && n != 8 && n != 13))
            return false;
        run->format = (unsigned)n;
        return true;
    default:
        return false;
    }
}

/* Reads the command into units[0..count-1]. Returns the count, 0 for --help, -1 on an
 * error. */
static int read_options(struct emulate *run, int argc, char **argv,
                        struct unit_options *units)
{
    struct unit_options common = {.address = 1,
                                  .seed = 1,
                                  .every_us = 1000000,
                                  .turnaround_us = 5000};
    int count = 0, option, index = 0;
    uint64_t address;

    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
        bool good;

        if (option == OPTION_HELP)
            return 0;
        if (option == '?')
            return -1; /* getopt has said why */
        if (option == OPTION_UNIT) {
            good = count < DEVICES_MAX && number(optarg, 247, &address) && address > 0;
            if (good) {
                units[count] = common;
                units[count].seed += (uint64_t)count;
                units[count++].address = (uint8_t)address;
            }
        } else if ((option >= OPTION_PROFILE && option <= OPTION_LOOP)) {
            good =
                unit_option(run, option, optarg, count > 0 ? &units[count - 1] : &common);
        } else {
            good = run_option(run, option, optarg);
        }
        if (!good) {
            (void)fprintf(stderr, "wardgate emulate: --%s %s: %s\n", options[index].name,
                          optarg != NULL ? optarg : "",
                          run->error[0] != '\0' ? run->error
                                                : "not a value for this option");
            return -1;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "wardgate emulate: %s is no option\n", argv[optind]);
        return -1;
    }
    if (count == 0)
        units[count++] = common;
    return count;
}

/* Makes one device with its rows. */
static int make_device(struct emulate *run, const struct unit_options *unit)
{
    struct emulate_ward *ward = &run->ward;
    size_t i = ward->count;
    struct emulate_device *device = &ward->devices[i];

    device->address = run->nonin ? 0 : unit->address;
    device->map = unit->map;
    device->every_us = unit->every_us;
    device->each_row_read = unit->each_row_read;
    device->loop = unit->loop;
    if (!run->nonin) {
        if (unit->map == NULL) {
            (void)snprintf(run->error, sizeof run->error, "unit %u has no --profile",
                           unit->address);
            return -1;
        }
        if (modbus_unit_init(&ward->units[i], unit->address, unit->map) != 0) {
            (void)snprintf(run->error, sizeof run->error, "%s has too many registers",
                           unit->map->name);
            return -1;
        }
        ward->units[i].turnaround_us = unit->turnaround_us;
        ward->units[i].dead = unit->dead;
    }
    ward->count++;
    if (unit->replay != NULL) {
        if (emulate_source_csv(unit->replay, &device->source, run->error,
                               sizeof run->error) != 0)
            return -1;
    } else {
        device->source = emulate_source_seeded(unit->seed);
    }
    if (device->source == NULL)
        return -1;
    if (emulate_device_bind(ward, i, run->error, sizeof run->error) == 0)
        return 0;
    /* A made-up patient fits monitors only; any other device shows what it shows at rest.
     */
    if (unit->replay != NULL)
        return -1;
    run->error[0] = '\0';
    emulate_source_free(device->source);
    device->source = NULL;
    return 0;
}

/* The slave knows its framing from the line it is on. */
static int open_line(struct emulate *run)
{
    const struct emulator *emulator =
        run->nonin ? &nonin_line_emulator : &modbus_rtu_emulator;
    void *state = run->nonin ? (void *)&run->ward.nonin : (void *)&run->slave;
    char address[64] = "";
    int error = -EINVAL;

    if (run->tcp != NULL && !run->nonin) {
        const char *colon = strrchr(run->tcp, ':');
        uint64_t port;

        if (number(colon + 1, 65535, &port) &&
            (size_t)(colon - run->tcp) < sizeof address) {
            memcpy(address, run->tcp, (size_t)(colon - run->tcp));
            modbus_slave_init(&run->slave, MODBUS_TCP, run->ward.units, run->ward.count);
            error = emulate_line_tcp(&run->line, address, (uint16_t)port, &run->slave);
        }
    } else if (run->pty != NULL || run->rtu != NULL) {
        if (!run->nonin)
            modbus_slave_init(&run->slave, MODBUS_RTU, run->ward.units, run->ward.count);
        error = run->pty != NULL
                    ? emulate_line_pty(&run->line, run->pty, run->baud,
                                       run->nonin ? 10 : 11, emulator, state)
                    : emulate_line_tty(&run->line, run->rtu, run->baud, emulator, state);
    }
    run->slave.faults = run->faults;
    run->slave.fault_count = run->fault_count;
    if (error != 0)
        (void)snprintf(run->error, sizeof run->error, "the line cannot be opened: %s",
                       strerror(-error));
    return error;
}

/* The ward's rows, and the end of the run when they are at theirs. A reader believes a
 * reply only when no second one came after it: the line stays up that long. */
static uint64_t tick(void *context, uint64_t now_us)
{
    struct emulate *run = context;
    uint64_t next = emulate_device_tick(&run->ward, now_us);

    if (run->exit_at_end && run->ward.ended == run->ward.count) {
        if (run->end_us == 0)
            run->end_us = now_us + LINGER_US;
        next = run->end_us;
    }
    if (run->ward.error[0] != '\0' || (run->end_us != 0 && run->end_us <= now_us))
        (void)kill(getpid(), SIGTERM);
    return next;
}

/* From the line's hook to the ward's book. */
static void asked(void *context, uint8_t unit, uint8_t function, uint16_t address,
                  uint16_t count, uint64_t now_us)
{
    struct emulate *run = context;

    emulate_device_asked(&run->ward, unit, function, address, count, now_us);
}

/* The last line: what was counted. Returns the exit code. */
static int report(struct emulate *run)
{
    uint64_t served = 0, unread = 0;
    bool wrote = !run->nonin && run->slave.writes > 0;

    emulate_device_end(&run->ward);
    for (size_t i = 0; i < run->ward.count; i++) {
        served += run->ward.devices[i].served;
        unread += run->ward.devices[i].unread;
    }
    if (run->ward.error[0] != '\0')
        (void)fprintf(stderr, "wardgate emulate: %s\n", run->ward.error);
    (void)printf("{\"served\":%llu,\"unread\":%llu,\"requests\":%llu,\"writes\":%llu,"
                 "\"bad_frames\":%llu,\"bursts\":%llu,\"lost\":%llu}\n",
                 (unsigned long long)served, (unsigned long long)unread,
                 (unsigned long long)run->slave.requests,
                 (unsigned long long)run->slave.writes,
                 (unsigned long long)run->slave.bad_frames,
                 (unsigned long long)run->ward.nonin.bursts,
                 (unsigned long long)run->line.lost);
    if (run->ward.error[0] != '\0')
        return 1;
    return wrote ? 3 : 0;
}

/* Signals come through a descriptor like everything else, so that the line's loop needs
 * no handler and nothing is cut off in the middle of a write to the book. */
static int serve(struct emulate *run)
{
    sigset_t signals;
    int code;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that closes is no reason to end */
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
        return 1;
    run->stop_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (run->stop_fd < 0 || open_line(run) != 0) {
        (void)fprintf(stderr, "wardgate emulate: %s\n", run->error);
        return 1;
    }
    run->line.hooks =
        (struct emulate_hooks){.context = run, .tick = tick, .asked = asked};
    if (run->tcp != NULL)
        (void)printf("listening on port %u\n", (unsigned)run->line.port);
    else
        (void)printf("ready on %s\n", run->pty != NULL ? run->pty : run->rtu);
    (void)fflush(stdout);
    (void)emulate_line_run(&run->line, run->stop_fd);
    emulate_line_close(&run->line);
    code = report(run);
    close(run->stop_fd);
    return code;
}

/* All of it, however far the run came. */
static void dispose(struct emulate *run)
{
    for (size_t i = 0; i < run->ward.count; i++)
        emulate_source_free(run->ward.devices[i].source);
    for (size_t i = 0; i < run->profile_count; i++)
        profile_free(run->profiles[i]);
    if (run->ward.book != NULL)
        (void)fclose(run->ward.book);
    free(run);
}

/* Everything that can be wrong with the command is found before the line is opened: a
 * gateway never sees a device that then goes away. */
int verb_emulate(int argc, char **argv)
{
    struct unit_options units[DEVICES_MAX];
    struct emulate *run;
    int count, code = EXIT_USAGE;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
        (strcmp(argv[1], "modbus") != 0 && strcmp(argv[1], "nonin") != 0)) {
        bool asked_for = argc >= 2 && strcmp(argv[1], "--help") == 0;

        (void)fputs(help, asked_for ? stdout : stderr);
        return asked_for ? 0 : EXIT_USAGE;
    }
    run = calloc(1, sizeof *run);
    if (run == NULL)
        return 1;
    run->nonin = run->ward.is_nonin = strcmp(argv[1], "nonin") == 0;
    run->baud = 9600;
    run->format = 2;
    count = read_options(run, argc - 1, argv + 1, units);
    if (count == 0) {
        (void)fputs(help, stdout);
        code = 0;
        goto err0;
    }
    if (count < 0)
        goto err0;
    if (run->nonin)
        nonin_emulator_init(&run->ward.nonin, (uint8_t)run->format, clock_monotonic_us());
    for (int i = 0; i < (run->nonin ? 1 : count); i++) {
        if (make_device(run, &units[i]) != 0) {
            (void)fprintf(stderr, "wardgate emulate: %s\n", run->error);
            goto err0;
        }
    }
    if (run->served != NULL && (run->ward.book = fopen(run->served, "ae")) == NULL) {
        (void)fprintf(stderr, "wardgate emulate: %s: %s\n", run->served, strerror(errno));
        code = 1;
        goto err0;
    }
    code = serve(run);

err0:
    dispose(run);
    return code;
}
