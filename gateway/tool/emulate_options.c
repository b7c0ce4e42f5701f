/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of `wardgate emulate`. Options stand for the unit they follow, so that
 * a bus full of devices is one command.
 */
#include "tool/emulate_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/driver.h"
#include "tool/emulate_kinds.h"

static const char help[] =
    "Usage: wardgate emulate modbus LINE --profile NAME [DEVICE]...\n"
    "       wardgate emulate DRIVER LINE [ROWS]\n"
    "       wardgate emulate nonin  LINE --format df2|df7|df8|df13 [ROWS]\n"
    "\n"
    "Acts as bedside devices on a line until SIGTERM or SIGINT. Nothing that is sent to\n"
    "it changes it: a Modbus request that would write is refused and counted.\n"
    "\n"
    "Where (LINE, one of):\n"
    "  --pty LINK          a pseudo-terminal, linked at LINK; several units share it\n"
    "  --rtu PATH          an existing serial line, as its slave\n"
    "  --tcp ADDRESS:PORT  Modbus TCP; port 0 takes a free one and prints it\n"
    "  --baud N            9600 for Modbus if not given, a DRIVER's own for others; a "
    "pty\n"
    "                      keeps the time of a real wire at that rate. 0: a pty as fast\n"
    "                      as it goes\n"
    "  --parity WORD       pty: noise unless whoever opens it sets --baud and this "
    "parity\n"
    "                      (even, odd, none)\n"
    "  --framing NAME      Modbus: ascii, on any line; rtu, over TCP like a device "
    "server\n"
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
    "                      device has no field for are left out. A name without / is\n"
    "                      looked for here, then in $WARDGATE_RECORDINGS "
    "(../shared/data)\n"
    "  --fit               what the device has no room for is rounded to the digits "
    "that\n"
    "                      it has, or missing if it is beyond what it can say; without\n"
    "                      this option it ends the run\n"
    "  --seed N            without --replay: a made-up patient, the same for the same "
    "seed\n"
    "  --every TIME        time of one row: 250ms, 1s (if not given), 1min\n"
    "  --each-row-once-read  a row stays until it was read, however long that takes\n"
    "  --loop              after the last row begin again; without it the last row "
    "stays\n"
    "  --exit-at-end       end once all rows were shown (and read, with the option "
    "above)\n"
    "  --speed N           not Modbus: its clock runs N times as fast (1 if not given)\n"
    "  --served FILE       append one JSON object for each row that was read, or that "
    "was\n"
    "                      replaced before anyone read it (\"unread\": true)\n"
    "\n"
    "Faults: --fault KIND[@REQUEST][=VALUE][/UNIT], as often as needed. REQUEST counts\n"
    "good requests (Modbus) or what the device says (others) from 1; without it every\n"
    "one. KIND and VALUE:\n"
    "  late=MS        so much later\n"
    "  twice=MS       again, so much after the first time\n"
    "  short=BYTES    only its first bytes\n"
    "  flip=BIT       one bit inverted\n"
    "  silent         nothing\n"
    "  garbage=BYTES  noise before it\n"
    "  foreign=UNIT   Modbus: from another unit\n"
    "  exception=CODE  Modbus: a refusal\n"
    "  echo           Modbus: the request before the reply\n"
    "  drop=BYTE      not Modbus: one byte left out\n"
    "\n"
    "The last line it prints is one JSON object with what it counted. Exit: 0, 1 if the\n"
    "line or a file failed, 2 if the command is wrong, 3 if a write was ever asked for.\n"
    "\n"
    "Example: a ward's bus with two monitors and a dead one, and a look at it\n"
    "  wardgate emulate modbus --pty /tmp/bay1 --profile wardgate-monitor \\\n"
    "      --unit 7 --seed 1 --unit 8 --replay icu.csv --unit 9 --dead &\n"
    "  wardgate check --config wardgate.yaml\n"
    "\n"
    "DRIVER is one of these (wardgate devices --catalogue says what they are):\n";

/* The names come from the table: a new emulator is in the manual page by itself. */
void emulate_help(FILE *to)
{
    const struct emulate_kind *kind;

    (void)fputs(help, to);
    for (size_t i = 0; (kind = emulate_kind_at(i)) != NULL; i++) {
        const char *before = i % 4 == 0 ? "  " : " ";

        (void)fprintf(to, "%s%s%s", before, kind->name,
                      i % 4 == 3 || emulate_kind_at(i + 1) == NULL ? "\n" : "");
    }
}

/* Digits only: no sign, no blanks, no second base. */
bool emulate_number(const char *text, uint64_t maximum, uint64_t *out)
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

/* What a fault is called. modbus or spoil is -1 where that kind of device has none. */
static const struct fault_name {
    const char *name;
    int modbus, spoil;
    uint32_t factor;
} fault_names[] = {
    {"late", MODBUS_FAULT_LATE, SPOIL_LATE, 1000},
    {"twice", MODBUS_FAULT_TWICE, SPOIL_TWICE, 1000},
    {"short", MODBUS_FAULT_SHORT, SPOIL_SHORT, 1},
    {"foreign", MODBUS_FAULT_FOREIGN, -1, 1},
    {"flip", MODBUS_FAULT_FLIP, SPOIL_FLIP, 1},
    {"silent", MODBUS_FAULT_SILENT, SPOIL_SILENT, 1},
    {"exception", MODBUS_FAULT_EXCEPTION, -1, 1},
    {"echo", MODBUS_FAULT_ECHO, -1, 1},
    {"garbage", MODBUS_FAULT_GARBAGE, SPOIL_GARBAGE, 1},
    {"drop", -1, SPOIL_DROP, 1},
};

/* What follows the kind: [@REQUEST][=VALUE][/UNIT], in any order. */
static bool fault_numbers(const char *text, uint64_t *request, uint64_t *value,
                          uint64_t *unit)
{
    while (*text != '\0') {
        char mark = *text++;
        char digits[16] = "";
        size_t n = strcspn(text, "@=/");

        if (n == 0 || n >= sizeof digits)
            return false;
        memcpy(digits, text, n);
        text += n;
        if (!emulate_number(digits, UINT32_MAX / 1000,
                            mark == '@'   ? request
                            : mark == '=' ? value
                                          : unit))
            return false;
    }
    return *unit <= UINT8_MAX;
}

/* KIND[@REQUEST][=VALUE][/UNIT] */
static bool fault_option(struct emulate *run, const char *text)
{
    const size_t kinds = sizeof fault_names / sizeof fault_names[0];
    bool modbus = run->ward.kind == NULL;
    uint64_t request = 0, value = 0, unit = 0;
    size_t n = strcspn(text, "@=/"), k = 0;

    while (k < kinds && (strlen(fault_names[k].name) != n ||
                         strncmp(fault_names[k].name, text, n) != 0))
        k++;
    if (k == kinds || run->fault_count == EMULATE_FAULTS_MAX ||
        (modbus ? fault_names[k].modbus : fault_names[k].spoil) < 0 ||
        !fault_numbers(text + n, &request, &value, &unit) || (!modbus && unit != 0))
        return false;
    value *= fault_names[k].factor;
    if (modbus)
        run->faults[run->fault_count] =
            (struct modbus_fault){.request = request,
                                  .unit = (uint8_t)unit,
                                  .kind = (uint8_t)fault_names[k].modbus,
                                  .value = (uint32_t)value};
    else
        run->spoils[run->fault_count] = (struct emulate_spoil_fault){
            .burst = request,
            .kind = (enum emulate_spoil_kind)fault_names[k].spoil,
            .value = (uint32_t)value};
    run->fault_count++;
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
    OPTION_FIT,
    OPTION_LOOP,
    OPTION_EXIT,
    OPTION_SPEED,
    OPTION_SERVED,
    OPTION_FAULT,
    OPTION_FORMAT,
    OPTION_FRAMING,
    OPTION_PARITY,
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
    {"fit", no_argument, NULL, OPTION_FIT},
    {"loop", no_argument, NULL, OPTION_LOOP},
    {"exit-at-end", no_argument, NULL, OPTION_EXIT},
    {"speed", required_argument, NULL, OPTION_SPEED},
    {"served", required_argument, NULL, OPTION_SERVED},
    {"fault", required_argument, NULL, OPTION_FAULT},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"parity", required_argument, NULL, OPTION_PARITY},
    {"framing", required_argument, NULL, OPTION_FRAMING},
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
        if (!emulate_number(value, 60000, &n))
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
        return emulate_number(value, UINT64_MAX, &unit->seed);
    case OPTION_EVERY:
        return duration_us(value, &unit->every_us);
    case OPTION_EACH:
        unit->each_row_read = true;
        return true;
    case OPTION_FIT:
        unit->fit = true;
        return true;
    default:
        unit->loop = true;
        return true;
    }
}

/* --format df2 is short for the driver's name. */
static bool nonin_format(struct emulate *run, const char *format)
{
    char name[32];
    const struct emulate_kind *kind;

    (void)snprintf(name, sizeof name, "nonin-%.20s", format);
    kind = strncmp(format, "df", 2) == 0 ? emulate_kind_by_name(name) : NULL;
    if (run->ward.kind == NULL || kind == NULL)
        return false;
    run->ward.kind = kind;
    return true;
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
        if (!emulate_number(value, 921600, &n))
            return false;
        run->baud = (uint32_t)n;
        return true;
    case OPTION_EXIT:
        run->exit_at_end = true;
        return true;
    case OPTION_SPEED:
        if (!emulate_number(value, 1000, &n) || n == 0 || run->ward.kind == NULL)
            return false;
        run->speed = (uint32_t)n;
        return true;
    case OPTION_SERVED:
        run->served = value;
        return true;
    case OPTION_FAULT:
        return fault_option(run, value);
    case OPTION_FRAMING:
        run->ascii = strcmp(value, "ascii") == 0;
        run->rtu_framing = strcmp(value, "rtu") == 0;
        return run->ward.kind == NULL && (run->ascii || run->rtu_framing);
    case OPTION_PARITY:
        run->strict = true;
        run->parity = strcmp(value, "even") == 0  ? DRIVER_PARITY_EVEN
                      : strcmp(value, "odd") == 0 ? DRIVER_PARITY_ODD
                                                  : DRIVER_PARITY_NONE;
        return run->parity != DRIVER_PARITY_NONE || strcmp(value, "none") == 0;
    case OPTION_FORMAT:
        return nonin_format(run, value);
    default:
        return false;
    }
}

/* "modbus" has no kind. False: there is no such device. */
static bool device_option(struct emulate *run, const char *name)
{
    run->ward.kind =
        emulate_kind_by_name(strcmp(name, "nonin") == 0 ? "nonin-df2" : name);
    return run->ward.kind != NULL || strcmp(name, "modbus") == 0;
}

int emulate_options(struct emulate *run, int argc, char **argv,
                    struct unit_options *units)
{
    struct unit_options common = {.address = 1,
                                  .seed = 1,
                                  .every_us = 1000000,
                                  .turnaround_us = 5000};
    int count = 0, option, index = 0;
    uint64_t address;

    if (!device_option(run, argv[0])) {
        (void)fprintf(stderr,
                      "wardgate emulate: '%.40s' is no device that can be emulated; "
                      "`wardgate emulate --help` lists them\n",
                      argv[0]);
        return -1;
    }
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
        bool good;

        if (option == OPTION_HELP)
            return 0;
        if (option == '?')
            return -1; /* getopt has said why */
        if (option == OPTION_UNIT) {
            good = count < DEVICES_MAX && emulate_number(optarg, 247, &address) &&
                   address > 0;
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
