/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bootloader needs of ARM's MPS2 board with AN385 (CMSDK parts, DDI 0479).
 */
#include <string.h>

#include "firmware/hal.h"

#define REG(address) (*(volatile uint32_t *)(address))

#define CORE_HZ       25000000u
#define UART          0x40004000u
#define UART_DATA     (UART + 0x00)
#define UART_STATE    (UART + 0x04)
#define UART_CTRL     (UART + 0x08)
#define UART_BAUDDIV  (UART + 0x10)
#define STATE_TX_FULL 0x1u
#define STATE_RX_FULL 0x2u
#define CTRL_ON       0x3u /* transmit and receive, no interrupt */
#define WDOG          0x40008000u
#define WDOG_LOAD     (WDOG + 0x00)
#define WDOG_CTRL     (WDOG + 0x08)
#define WDOG_CLEAR    (WDOG + 0x0C)
#define WDOG_LOCK     (WDOG + 0xC00)
#define WDOG_UNLOCK   0x1ACCE551u
#define SET_ADDRESS   0x21FFFFF0u /* as in board.c */

void boot_board_start(void)
{
    REG(UART_BAUDDIV) = CORE_HZ / 19200u;
    REG(UART_CTRL) = CTRL_ON;
}

uint32_t boot_board_core_hz(void)
{
    return CORE_HZ;
}

int boot_board_receive(void)
{
    return REG(UART_STATE) & STATE_RX_FULL ? (uint8_t)REG(UART_DATA) : BOOT_NOTHING;
}

void boot_board_send(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        while (REG(UART_STATE) & STATE_TX_FULL) {
        }
        REG(UART_DATA) = bytes[i];
    }
    while (REG(UART_STATE) & STATE_TX_FULL) {
    }
}

const char *hal_board(void)
{
    return "qemu_mps2_an385";
}

void hal_serial_number(char text[HAL_TEXT_MAX])
{
    memcpy(text, "emulated", 9);
}

uint8_t hal_bus_address(void)
{
    uint32_t set = REG(SET_ADDRESS);

    return set >= 1 && set <= 245 ? (uint8_t)set : 1;
}

void hal_bus_line(struct hal_line *line, uint32_t *late_us)
{
    *line = (struct hal_line){.baud = 19200,
                              .data_bits = 8,
                              .parity = HAL_PARITY_EVEN,
                              .stop_bits = 1};
    *late_us = 3000;
}

/* Half of it to the NMI, the other half to the reset. */
void hal_watchdog_start(uint32_t period_ms)
{
    REG(WDOG_LOCK) = WDOG_UNLOCK;
    REG(WDOG_LOAD) = CORE_HZ / 1000u * (period_ms / 2);
    REG(WDOG_CTRL) = 3;
    REG(WDOG_LOCK) = 0;
}

void hal_watchdog_kick(void)
{
    REG(WDOG_LOCK) = WDOG_UNLOCK;
    REG(WDOG_CLEAR) = 1;
    REG(WDOG_LOCK) = 0;
}
