/* SPDX-License-Identifier: Apache-2.0
 *
 * ARM's MPS2 board with the AN385 image (Cortex-M3 at 25 MHz), as QEMU models it: the
 * reference. UARTs and watchdog are ARM's CMSDK parts (DDI 0479).
 */
#include <string.h>

#include "firmware/hal.h"

#define REG(address) (*(volatile uint32_t *)(address))

#define CORE_HZ 25000000u

/* CMSDK APB UART */
#define UART_DATA     0x00
#define UART_STATE    0x04
#define UART_CTRL     0x08
#define UART_INT      0x0C /* write 1 to clear */
#define UART_BAUDDIV  0x10
#define STATE_TX_FULL 0x1u
#define STATE_RX_FULL 0x2u
#define STATE_RX_OVER 0x8u
#define CTRL_ON       0xFu /* transmit, receive, both interrupts */
#define INT_TX        0x1u
#define INT_RX        0x2u

/* CMSDK APB watchdog */
#define WDOG        0x40008000u
#define WDOG_LOAD   (WDOG + 0x00)
#define WDOG_CTRL   (WDOG + 0x08)
#define WDOG_CLEAR  (WDOG + 0x0C)
#define WDOG_LOCK   (WDOG + 0xC00)
#define WDOG_UNLOCK 0x1ACCE551u

/* What a real board has on switches stands here at the end of the PSRAM, where QEMU's
 * `-device loader` can put it: 8 bytes each, 0: not set. */
#define SET_ADDRESS 0x21FFFFF0u
#define SET_SERIAL  0x21FFFFF8u

static const struct {
    uintptr_t base;
    uint8_t rx, tx; /* interrupts */
} uarts[HAL_PORTS_MAX] = {
    {0x40004000u, 0, 1},
    {0x40005000u, 2, 3},
    {0x40006000u, 4, 5},
    {0x40007000u, 18, 19},
};

/* Everything that is there, one byte at a time: the part has no FIFO. */
static void on_receive(unsigned port)
{
    uintptr_t base = uarts[port].base;

    REG(base + UART_INT) = INT_RX;
    while (REG(base + UART_STATE) & STATE_RX_FULL) {
        bool lost = (REG(base + UART_STATE) & STATE_RX_OVER) != 0;

        if (lost)
            REG(base + UART_STATE) = STATE_RX_OVER;
        serial_received(port, (uint8_t)REG(base + UART_DATA), lost);
    }
}

static void on_send(unsigned port)
{
    uintptr_t base = uarts[port].base;
    int byte;

    REG(base + UART_INT) = INT_TX;
    while (!(REG(base + UART_STATE) & STATE_TX_FULL) && (byte = serial_next(port)) >= 0)
        REG(base + UART_DATA) = (uint32_t)byte;
}

static void rx0(void)
{
    on_receive(0);
}

static void tx0(void)
{
    on_send(0);
}

static void rx1(void)
{
    on_receive(1);
}

static void tx1(void)
{
    on_send(1);
}

static void rx2(void)
{
    on_receive(2);
}

static void tx2(void)
{
    on_send(2);
}

static void rx3(void)
{
    on_receive(3);
}

static void tx3(void)
{
    on_send(3);
}

__attribute__((section(".vectors.irq"), used)) static void (*const irqs[32])(void) = {
    [0] = rx0, [1] = tx0, [2] = rx1,  [3] = tx1,
    [4] = rx2, [5] = tx2, [18] = rx3, [19] = tx3,
};

void hal_start(void)
{
    systick_start(CORE_HZ);
    hal_unlock();
}

const char *hal_board(void)
{
    return "qemu_mps2_an385";
}

void hal_serial_number(char text[HAL_TEXT_MAX])
{
    uint32_t number = REG(SET_SERIAL);

    memcpy(text, "emulated-", 10);
    for (unsigned i = 0; i < 7; i++)
        text[9 + i] = "0123456789abcdef"[number >> (24 - 4 * i) & 15];
    text[16] = '\0';
}

uint8_t hal_bus_address(void)
{
    uint32_t set = REG(SET_ADDRESS);

    return set >= 1 && set <= 245 ? (uint8_t)set : 1;
}

unsigned hal_device_ports(void)
{
    return 3;
}

const char *hal_driver(unsigned port)
{
    static const char *const drivers[] = {BOARD_DRIVERS};

    return port <= sizeof drivers / sizeof drivers[0] ? drivers[port - 1] : "";
}

/* An emulated UART has no baud rate: bytes come when the host's scheduler lets them, and
 * the silences must bear that. */
void hal_bus_line(struct hal_line *line, uint32_t *late_us)
{
    *line = (struct hal_line){.baud = 19200,
                              .data_bits = 8,
                              .parity = HAL_PARITY_EVEN,
                              .stop_bits = 1};
    *late_us = 3000;
}

/* The part has no parity and the emulator no baud rate: what the line is set to is taken
 * as it is. */
bool hal_serial_open(unsigned port, const struct hal_line *line)
{
    uintptr_t base = uarts[port].base;

    REG(base + UART_BAUDDIV) = CORE_HZ / line->baud;
    REG(base + UART_CTRL) = CTRL_ON;
    cortex_irq_enable(uarts[port].rx);
    cortex_irq_enable(uarts[port].tx);
    return true;
}

void hal_serial_send(unsigned port)
{
    cortex_irq_pend(uarts[port].tx);
}

/* The first expiry is an NMI, in which the place of the hang is noted; the second, as
 * long after it, is the reset. */
void hal_watchdog_start(uint32_t period_ms)
{
    REG(WDOG_LOCK) = WDOG_UNLOCK;
    REG(WDOG_LOAD) = CORE_HZ / 1000u * (period_ms / 2);
    REG(WDOG_CTRL) = 3; /* NMI and reset */
    REG(WDOG_LOCK) = 0;
}

void hal_watchdog_kick(void)
{
    REG(WDOG_LOCK) = WDOG_UNLOCK;
    REG(WDOG_CLEAR) = 1;
    REG(WDOG_LOCK) = 0;
}

enum hal_reset hal_reset_cause(void)
{
    return cortex_reset_cause();
}
