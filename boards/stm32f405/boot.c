/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bootloader needs of an STM32F405: the same clock and pins as the node, and the
 * bus by polling.
 */
#include "firmware/hal.h"

#include "boards/stm32f405/part.c" /* one translation unit more would be one more list */

/* Asked for only after boot_board_start(): deciding needs no time and runs at 16 MHz. */
uint32_t boot_board_core_hz(void)
{
    return CORE_HZ;
}

void boot_board_start(void)
{
    struct hal_line line;
    uint32_t late_us;

    part_clock_start();
    part_pins_start();
    hal_bus_line(&line, &late_us);
    (void)part_uart_open(USART1, &line, 0);
}

int boot_board_receive(void)
{
    uint32_t status = REG(USART1 + USART_SR);

    if (!(status & SR_RXNE))
        return BOOT_NOTHING;
    return (uint8_t)REG(USART1 + USART_DR);
}

void boot_board_send(const uint8_t *bytes, size_t n)
{
    part_bus_drive(true);
    for (size_t i = 0; i < n; i++) {
        while (!(REG(USART1 + USART_SR) & SR_TXE)) {
        }
        REG(USART1 + USART_DR) = bytes[i];
    }
    while (!(REG(USART1 + USART_SR) & SR_TC)) {
    }
    part_bus_drive(false);
}
