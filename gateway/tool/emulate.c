/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate emulate: devices for the demo, for tests, and for whoever has none at hand.
 */
#include "tool/emulate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "drivers/driver.h"
#include "tool/emulate_kinds.h"
#include "tool/emulate_options.h"

#define LINGER_US 2000000
#define BAUD      9600 /* Modbus, if nothing else was said */

/* A plain name that is not here may be a recording's. */
static const char *find_recording(const char *name, char *path, size_t size)
{
    static const char *const folders[] = {"", "/vitals"};
    const char *root = getenv("WARDGATE_RECORDINGS");

    if (root == NULL)
        root = "../shared/data";
    for (size_t i = 0; strchr(name, '/') == NULL && access(name, R_OK) != 0 && i < 2;
         i++) {
        (void)snprintf(path, size, "%s%s/%s", root, folders[i], name);
        if (access(path, R_OK) == 0)
            return path;
    }
    return name;
}

/* Makes one device with its rows. */
static int make_device(struct emulate *run, const struct unit_options *unit)
{
    struct emulate_ward *ward = &run->ward;
    size_t i = ward->count;
    struct emulate_device *device = &ward->devices[i];
    char path[512];

    device->address = ward->kind != NULL ? 0 : unit->address;
    device->map = unit->map;
    device->every_us = unit->every_us;
    device->each_row_read = unit->each_row_read;
    device->loop = unit->loop;
    device->fit = unit->fit || unit->replay == NULL;
    if (ward->kind == NULL) {
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
        if (emulate_source_csv(find_recording(unit->replay, path, sizeof path),
                               &device->source, run->error, sizeof run->error) != 0)
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

/* Modbus TCP; the address and port were checked for a colon only. */
static int open_tcp(struct emulate *run)
{
    const char *colon = strrchr(run->tcp, ':');
    char address[64] = "";
    uint64_t port;

    if (!emulate_number(colon + 1, 65535, &port) ||
        (size_t)(colon - run->tcp) >= sizeof address)
        return -EINVAL;
    memcpy(address, run->tcp, (size_t)(colon - run->tcp));
    modbus_slave_init(&run->slave,
                      run->ascii         ? MODBUS_ASCII
                      : run->rtu_framing ? MODBUS_RTU
                                         : MODBUS_TCP,
                      run->ward.units, run->ward.count);
    return emulate_line_tcp(&run->line, address, (uint16_t)port, &run->slave);
}

/* A pty or a tty. A driver knows how its line is set; Modbus has 11 bits a character. */
static int open_serial(struct emulate *run)
{
    const struct emulate_kind *kind = run->ward.kind;
    const struct driver *driver = kind != NULL ? driver_by_name(kind->name) : NULL;
    const struct emulator *emulator = kind != NULL ? &emulate_spoil_emulator
                                      : run->ascii ? &modbus_ascii_emulator
                                                   : &modbus_rtu_emulator;
    void *state = kind != NULL ? (void *)&run->spoil : (void *)&run->slave;
    int error;
    uint32_t bits = 11, baud = driver != NULL ? driver->line.baud : BAUD;

    if (driver != NULL)
        bits = 1u + driver->line.data_bits + driver->line.stop_bits +
               (driver->line.parity != DRIVER_PARITY_NONE);
    if (run->baud != EMULATE_BAUD_UNSET)
        baud = run->baud;
    if (kind == NULL)
        modbus_slave_init(&run->slave, run->ascii ? MODBUS_ASCII : MODBUS_RTU,
                          run->ward.units, run->ward.count);
    if (run->pty == NULL)
        return emulate_line_tty(&run->line, run->rtu, baud, emulator, state);
    error = emulate_line_pty(&run->line, run->pty, baud, bits, emulator, state);
    if (run->strict) {
        run->line.strict_baud = baud;
        run->line.strict_parity = run->parity;
    }
    return error;
}

/* The slave knows its framing from the line it is on. */
static int open_line(struct emulate *run)
{
    int error = -EINVAL;

    if (run->tcp != NULL && run->ward.kind == NULL)
        error = open_tcp(run);
    else if (run->pty != NULL || run->rtu != NULL)
        error = open_serial(run);
    run->slave.faults = run->faults;
    run->slave.fault_count = run->fault_count;
    if (error != 0)
        (void)snprintf(run->error, sizeof run->error, "the line cannot be opened: %s",
                       strerror(-error));
    return error;
}

/* A serial device: its state, and its faults and clock in front of it. */
static int make_serial(struct emulate *run)
{
    const struct emulate_kind *kind = run->ward.kind;
    uint64_t now = clock_monotonic_us();

    run->ward.state = calloc(1, kind->state_size);
    if (run->ward.state == NULL)
        return -1;
    kind->start(run->ward.state, now);
    run->spoil = (struct emulate_spoil){.inner = kind->emulator,
                                        .state = run->ward.state,
                                        .speed = run->speed,
                                        .origin_us = now,
                                        .faults = run->spoils,
                                        .fault_count = run->fault_count};
    run->ward.bursts = &run->spoil.bursts;
    return 0;
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
    bool wrote = run->slave.writes > 0;

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
                 (unsigned long long)run->spoil.bursts,
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
    free(run->ward.state);
    free(run);
}

/* Everything that can be wrong with the command is found before the line is opened: a
 * gateway never sees a device that then goes away. */
int verb_emulate(int argc, char **argv)
{
    struct unit_options units[DEVICES_MAX];
    struct emulate *run;
    int count, code = EMULATE_USAGE;

    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        emulate_help(argc >= 2 ? stdout : stderr);
        return argc >= 2 ? 0 : EMULATE_USAGE;
    }
    run = calloc(1, sizeof *run);
    if (run == NULL)
        return 1;
    run->baud = EMULATE_BAUD_UNSET;
    run->speed = 1;
    count = emulate_options(run, argc - 1, argv + 1, units);
    if (count == 0) {
        emulate_help(stdout);
        code = 0;
    }
    if (count <= 0 || (run->ward.kind != NULL && make_serial(run) != 0))
        goto err0;
    for (int i = 0; i < (run->ward.kind != NULL ? 1 : count); i++) {
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
