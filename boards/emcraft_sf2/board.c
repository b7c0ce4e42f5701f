/* SPDX-License-Identifier: Apache-2.0
 *
 * Emcraft's SmartFusion2 SOM: M2S010 at 142 MHz as the SOM's design sets it (UG0331). The
 * UARTs are 16550s with a register every four bytes.
 */
#include <string.h>

#include "boards/emcraft_sf2/spi_flash.h"
#include "firmware/hal.h"

#define REG(address) (*(volatile uint32_t *)(address))

#define CORE_HZ 142000000u
#define APB_HZ  71000000u

/* System registers */
#define SOFT_RESET  0x40038048u
#define WATCHDOG_CR 0x4003806Cu
#define RESET_UART0 (1u << 7)
#define RESET_UART1 (1u << 8)
#define RESET_SPI0  (1u << 9)

/* 16550 */
#define UART_DATA    0x00
#define UART_IER     0x04
#define UART_IIR     0x08 /* read */
#define UART_FCR     0x08 /* write */
#define UART_LCR     0x0C
#define UART_LSR     0x14
#define IER_BOTH     3u
#define FCR_ON       7u /* FIFO on and empty; an interrupt for every byte */
#define LCR_DIVISOR  0x80u
#define LCR_PARITY   0x08u
#define LCR_EVEN     0x10u
#define LCR_TWO_STOP 0x04u
#define LSR_READY    0x01u
#define LSR_ERRORS   0x0Eu /* overrun, parity, framing */
#define LSR_TX_EMPTY 0x20u
#define UART_FIFO    16

#define WATCHDOG         0x40005000u
#define WATCHDOG_REFRESH (WATCHDOG + 0x0C)
#define REFRESH_KEY      0xAC15DE42u

/* What a board with switches has on them stands in the SPI flash, in the unit below the
 * node's state: "WGN1", the bus address, a serial number. */
#define SETTINGS (SPI_FLASH_SIZE - 3 * SPI_FLASH_UNIT)

static const struct {
    uintptr_t base;
    uint8_t irq;
} uarts[] = {
    {0x40000000u, 10},
    {0x40010000u, 11},
};

#define PORTS (sizeof uarts / sizeof uarts[0])

static struct {
    char magic[4];
    uint8_t address;
    char serial[HAL_TEXT_MAX - 1];
} settings;

/* Reading IIR takes back "the transmitter is empty". */
static void on_port(unsigned port)
{
    uintptr_t base = uarts[port].base;
    uint32_t status;
    int byte;

    (void)REG(base + UART_IIR);
    while ((status = REG(base + UART_LSR)) & LSR_READY)
        serial_received(port, (uint8_t)REG(base + UART_DATA), (status & LSR_ERRORS) != 0);
    if (status & LSR_TX_EMPTY)
        for (unsigned i = 0; i < UART_FIFO && (byte = serial_next(port)) >= 0; i++)
            REG(base + UART_DATA) = (uint32_t)byte;
}

static void uart0(void)
{
    on_port(0);
}

static void uart1(void)
{
    on_port(1);
}

__attribute__((section(".vectors.irq"), used)) static void (*const irqs[82])(void) = {
    [10] = uart0,
    [11] = uart1,
};

void hal_start(void)
{
    REG(SOFT_RESET) &= ~(RESET_UART0 | RESET_UART1 | RESET_SPI0);
    systick_start(CORE_HZ);
    spi_flash_start();
    spi_flash_read(SETTINGS, &settings, sizeof settings);
    if (memcmp(settings.magic, "WGN1", 4) != 0)
        memset(&settings, 0, sizeof settings);
    hal_unlock();
}

const char *hal_board(void)
{
    return "emcraft_sf2";
}

void hal_serial_number(char text[HAL_TEXT_MAX])
{
    memcpy(text, settings.serial, sizeof settings.serial);
    text[HAL_TEXT_MAX - 1] = '\0';
    if (text[0] == '\0')
        memcpy(text, "not-set", 8);
}

uint8_t hal_bus_address(void)
{
    return settings.address >= 1 && settings.address <= 247 ? settings.address : 1;
}

unsigned hal_device_ports(void)
{
    return PORTS - 1;
}

const char *hal_driver(unsigned port)
{
    static const char *const drivers[] = {BOARD_DRIVERS};

    return port <= sizeof drivers / sizeof drivers[0] ? drivers[port - 1] : "";
}

/* The lateness is the emulator's, which this part can't be told from: on the bus it costs
 * 3 ms a request. */
void hal_bus_line(struct hal_line *line, uint32_t *late_us)
{
    *line = (struct hal_line){.baud = 19200,
                              .data_bits = 8,
                              .parity = HAL_PARITY_EVEN,
                              .stop_bits = 1};
    *late_us = 3000;
}

bool hal_serial_open(unsigned port, const struct hal_line *line)
{
    uintptr_t base = uarts[port].base;
    uint32_t divisor = (APB_HZ / 16 + line->baud / 2) / line->baud;
    uint32_t frame = line->data_bits - 5u;

    if (line->stop_bits == 2)
        frame |= LCR_TWO_STOP;
    if (line->parity != HAL_PARITY_NONE)
        frame |= LCR_PARITY | (line->parity == HAL_PARITY_EVEN ? LCR_EVEN : 0);
    REG(base + UART_LCR) = LCR_DIVISOR;
    REG(base + UART_DATA) = divisor & 0xFF;
    REG(base + UART_IER) = divisor >> 8;
    REG(base + UART_LCR) = frame;
    REG(base + UART_FCR) = FCR_ON;
    REG(base + UART_IER) = IER_BOTH;
    cortex_irq_enable(uarts[port].irq);
    return true;
}

void hal_serial_send(unsigned port)
{
    cortex_irq_pend(uarts[port].irq);
}

/* The period stands in the SOM's design and not in a register: it must be 2 s or more. */
void hal_watchdog_start(uint32_t period_ms)
{
    (void)period_ms;
    REG(WATCHDOG_CR) |= 1;
    hal_watchdog_kick();
}

void hal_watchdog_kick(void)
{
    REG(WATCHDOG_REFRESH) = REFRESH_KEY;
}

enum hal_reset hal_reset_cause(void)
{
    return cortex_reset_cause();
}
