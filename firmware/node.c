/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop. Each part does what is there and returns; nothing waits but node_rest(). The
 * watchdog is kicked only when every part has done its turn since the last kick.
 */
#include "firmware/node.h"

#include <string.h>

#include "firmware/boot_count.h"

#define TAKE       64   /* bytes of a port in one go */
#define REST_US    1000 /* a sleep may end this much late (hal.h) */
#define FOREVER_MS (UINT64_MAX / 1000)

enum part { PART_BUS, PART_DEVICES, PART_KEEP = PART_DEVICES + HAL_DEVICES_MAX, PARTS };

static void done(struct node *node, unsigned part)
{
    node->progress |= 1u << part;
}

/* The spare memory is shared out among the ports that have a driver. */
static void start_samples(struct node *node)
{
    unsigned ports = hal_device_ports(), used = 0, turn = 0;
    size_t size, share;
    uint8_t *memory = hal_spare_memory(&size);

    for (unsigned i = 0; i < ports; i++)
        used += hal_driver(i + 1)[0] != '\0';
    share = used > 0 ? size / used / 8 * 8 : 0;
    for (unsigned i = 0; i < HAL_DEVICES_MAX; i++) {
        bool has = i < ports && hal_driver(i + 1)[0] != '\0';

        samples_init(&node->samples[i], memory + share * turn, has ? share : 0,
                     NODE_ENTRIES, node->memory.series, (uint16_t)node->memory.boot,
                     node->memory.next[i]);
        node->boot_first[i] = node->memory.next[i];
        turn += has;
    }
}

/* A line that the board can't set so leaves its port refused. */
static void start_devices(struct node *node)
{
    unsigned ports = hal_device_ports();

    for (unsigned i = 0; i < HAL_DEVICES_MAX; i++) {
        struct adapter *a = &node->adapters[i];
        struct hal_line line;

        (void)adapter_init(a, i < ports ? hal_driver(i + 1) : "", &node->samples[i], 0);
        if (a->driver == NULL)
            continue;
        line = (struct hal_line){.baud = a->driver->line.baud,
                                 .data_bits = a->driver->line.data_bits,
                                 .parity = a->driver->line.parity,
                                 .stop_bits = a->driver->line.stop_bits};
        if (!hal_serial_open(i + 1, &line)) {
            a->driver = NULL;
            a->state = ADAPTER_REFUSED;
        }
    }
}

/* Until there is an update there is no function of our own. */
__attribute__((weak)) void node_attach(struct modbus_source *source)
{
    (void)source;
}

__attribute__((weak)) bool node_on_trial(void)
{
    return false;
}

static void start_bus(struct node *node)
{
    struct modbus_setting setting = {.address = hal_bus_address(),
                                     .units = (uint8_t)node->units};
    struct modbus_source source;
    struct hal_line line;
    uint32_t late_us;

    hal_bus_line(&line, &late_us);
    modbus_server_times(&line, late_us, &setting);
    node_source(node, &source);
    node_attach(&source);
    modbus_server_init(&node->server, &setting, &source);
    (void)hal_serial_open(HAL_BUS, &line);
}

void node_start(struct node *node)
{
    struct hal_fault fault;
    bool known;

    memset(node, 0, sizeof *node);
    node->board = hal_board();
    hal_serial_number(node->serial);
    node->cause = hal_reset_cause();
    node->units = hal_device_ports() > 0 ? hal_device_ports() : 1;
    hal_fault_take(&fault);
    known = node_memory_load(&node->memory, hal_retained());
    node_memory_begin(&node->memory, known, boot_count_next(hal_flash(HAL_FLASH_STATE)),
                      node->serial, node->cause, &fault);
    node_memory_save(&node->memory, hal_retained());
    start_samples(node);
    start_devices(node);
    start_bus(node);
    hal_watchdog_start(NODE_WATCHDOG_MS);
}

/* Takes what came, and answers when the silence is over. What comes while we send is our
 * own echo. */
static uint64_t turn_bus(struct node *node)
{
    struct modbus_server *server = &node->server;
    struct serial_byte bytes[TAKE];
    uint8_t out[MODBUS_FRAME_MAX];
    uint64_t heard_us, due_us;
    size_t n;

    while ((n = serial_take(HAL_BUS, bytes, TAKE)) > 0) {
        heard_us = serial_heard_us(HAL_BUS);
        if (serial_sending(HAL_BUS))
            modbus_server_forget(server);
        else
            modbus_server_feed(server, bytes, n, heard_us);
    }
    due_us = modbus_server_due_us(server);
    n = modbus_server_poll(server, node->now_us, out);
    if (n > 0 && serial_put(HAL_BUS, out, n)) {
        uint64_t began_us = serial_began_us(HAL_BUS);

        if (began_us > due_us + server->count.delay_max_us)
            server->count.delay_max_us = (uint32_t)(began_us - due_us);
    }
    done(node, PART_BUS);
    return modbus_server_due_us(server);
}

/* One device's line. */
static uint64_t turn_device(struct node *node, unsigned i)
{
    struct adapter *a = &node->adapters[i];
    struct serial_byte bytes[TAKE];
    uint8_t plain[TAKE > DRIVER_SEND_MAX ? TAKE : DRIVER_SEND_MAX];
    uint64_t due_ms;
    size_t n;

    n = serial_take(i + 1, bytes, TAKE);
    for (size_t k = 0; k < n; k++)
        plain[k] = bytes[k].byte;
    if (n > 0)
        adapter_feed(a, plain, n, node->now_us / 1000);
    n = adapter_poll(a, node->now_us / 1000, plain);
    if (n > 0)
        (void)serial_put(i + 1, plain, n); /* what does not fit is asked again */
    done(node, PART_DEVICES + i);
    due_ms = adapter_due_ms(a);
    return due_ms < FOREVER_MS ? due_ms * 1000 : UINT64_MAX;
}

/* What must outlive a reset is kept as soon as it changes. */
static void turn_keep(struct node *node)
{
    bool changed = false;

    for (unsigned i = 0; i < HAL_DEVICES_MAX; i++) {
        changed |= node->memory.next[i] != node->samples[i].next;
        node->memory.next[i] = node->samples[i].next;
    }
    if (changed)
        node_memory_save(&node->memory, hal_retained());
    for (unsigned i = 0; i <= hal_device_ports(); i++)
        serial_count(i, &node->lines[i]);
    hal_stack(&node->stack_used, &node->stack_size);
    done(node, PART_KEEP);
}

/* The bus is looked at before each device: a reply then waits for one of them at most. */
uint64_t node_turn(struct node *node)
{
    uint64_t due_us = UINT64_MAX, bus_us, device_us, took_us, began_us = hal_now_us();

    for (unsigned i = 0; i < HAL_DEVICES_MAX; i++) {
        node->now_us = hal_now_us();
        (void)turn_bus(node);
        device_us = turn_device(node, i);
        if (device_us < due_us)
            due_us = device_us;
    }
    node->now_us = hal_now_us();
    bus_us = turn_bus(node);
    if (bus_us < due_us)
        due_us = bus_us;
    turn_keep(node);
    if (node->now_us >= NODE_TRIAL_MS * UINT64_C(1000) && node_on_trial())
        hal_reset(); /* the bootloader goes back to the version before */
    if (node->progress == (1u << PARTS) - 1) {
        hal_watchdog_kick();
        node->progress = 0;
    }
    took_us = hal_now_us() - began_us;
    if (took_us > node->turn_max_us)
        node->turn_max_us = (uint32_t)took_us;
    return due_us;
}

/* A time nearer than a sleep is exact is waited for awake, and with nothing else to do
 * but what comes: at 19,200 baud that is at most a millisecond a frame, and the reply
 * then starts on time. */
void node_rest(struct node *node, uint64_t until_us)
{
    uint64_t before_us = hal_now_us();
    bool waiting = false;

    if (until_us != UINT64_MAX && until_us <= before_us + REST_US) {
        while (hal_now_us() < until_us && !waiting)
            for (unsigned i = 0; i <= hal_device_ports(); i++)
                waiting |= serial_waiting(i);
        return;
    }
    if (until_us != UINT64_MAX)
        until_us -= REST_US;
    hal_lock();
    for (unsigned i = 0; i <= hal_device_ports(); i++)
        waiting |= serial_waiting(i);
    if (!waiting)
        hal_sleep(until_us);
    hal_unlock();
    if (!waiting)
        node->slept_us += hal_now_us() - before_us;
}
