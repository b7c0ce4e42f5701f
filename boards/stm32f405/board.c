/* SPDX-License-Identifier: Apache-2.0
 *
 * STM32F405: the node's interrupts and the cause of its reset. What the bootloader needs
 * too is in part.c.
 */
#include "firmware/hal.h"

#include "boards/stm32f405/part.h"

#define RESET_CLEAR (1u << 24)

static const struct {
    uint32_t base;
    uint8_t irq;
} uarts[HAL_PORTS_MAX] = {
    {USART1, 37},
    {USART2, 38},
    {USART3, 39},
    {UART4, 52},
};

static uint8_t masks[HAL_PORTS_MAX]; /* the parity bit of a 7-bit frame is no data */

/* One handler for both ways. Reading SR and then DR clears what SR says of errors. */
static void on_receive(unsigned port, uint32_t base)
{
    uint32_t status;

    while ((status = REG(base + USART_SR)) & SR_RXNE)
        serial_received(port, (uint8_t)(REG(base + USART_DR) & masks[port]),
                        (status & SR_ERRORS) != 0);
}

/* The transmitter is driven until the last bit has left (TC), which is waited for by
 * interrupt, as is the room for the next byte. */
static void on_send(unsigned port, uint32_t base)
{
    uint32_t cr1 = REG(base + USART_CR1);
    int byte;

    while (REG(base + USART_SR) & SR_TXE) {
        if ((byte = serial_next(port)) < 0) {
            cr1 &= ~CR1_TXEIE;
            break;
        }
        if (port == HAL_BUS)
            part_bus_drive(true);
        REG(base + USART_DR) = (uint32_t)byte;
        cr1 |= CR1_TXEIE;
        if (port == HAL_BUS)
            cr1 |= CR1_TCIE;
    }
    if (!(cr1 & CR1_TXEIE) && (REG(base + USART_SR) & SR_TC)) {
        if (port == HAL_BUS)
            part_bus_drive(false);
        cr1 &= ~CR1_TCIE;
    }
    REG(base + USART_CR1) = cr1;
}

static void on_port(unsigned port)
{
    on_receive(port, uarts[port].base);
    on_send(port, uarts[port].base);
}

static void usart1(void)
{
    on_port(0);
}

static void usart2(void)
{
    on_port(1);
}

static void usart3(void)
{
    on_port(2);
}

static void uart4(void)
{
    on_port(3);
}

__attribute__((section(".vectors.irq"), used)) static void (*const irqs[82])(void) = {
    [37] = usart1,
    [38] = usart2,
    [39] = usart3,
    [52] = uart4,
};

void hal_start(void)
{
    part_clock_start();
    part_pins_start();
    systick_start(CORE_HZ);
    hal_unlock();
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

bool hal_serial_open(unsigned port, const struct hal_line *line)
{
    masks[port] = line->data_bits == 7 ? 0x7F : 0xFF;
    if (!part_uart_open(uarts[port].base, line, CR1_RXNEIE))
        return false;
    cortex_irq_enable(uarts[port].irq);
    return true;
}

void hal_serial_send(unsigned port)
{
    cortex_irq_pend(uarts[port].irq);
}

/* The part's flags outlive its resets: each is told once. POR sets BOR too. */
enum hal_reset hal_reset_cause(void)
{
    static const struct {
        uint32_t flag;
        enum hal_reset cause;
    } causes[] = {
        {1u << 27, HAL_RESET_POWER},    {1u << 25, HAL_RESET_BROWN_OUT},
        {1u << 29, HAL_RESET_WATCHDOG}, {1u << 30, HAL_RESET_WATCHDOG},
        {1u << 28, HAL_RESET_SOFTWARE}, {1u << 26, HAL_RESET_PIN},
    };
    uint32_t flags = REG(RCC_CSR);

    if (!part_is_real())
        return cortex_reset_cause();
    REG(RCC_CSR) = flags | RESET_CLEAR;
    for (unsigned i = 0; i < sizeof causes / sizeof causes[0]; i++)
        if (flags & causes[i].flag)
            return causes[i].cause;
    return HAL_RESET_UNKNOWN;
}
