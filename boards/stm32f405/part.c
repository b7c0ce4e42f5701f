/* SPDX-License-Identifier: Apache-2.0
 *
 * See part.h. Node and bootloader share this file (boot.c includes it: a bootloader is
 * one board's boot.c and flash.c).
 */
#include "boards/stm32f405/part.h"

#include "firmware/hal.h"

#define CRYSTAL_TURNS 400000u /* some 100 ms at 16 MHz */

bool part_is_real(void)
{
    return (REG(RCC_CR) & CR_HSI_RDY) != 0;
}

static bool wait_for(uint32_t address, uint32_t bits, uint32_t value)
{
    for (uint32_t turns = 0; turns < CRYSTAL_TURNS; turns++)
        if ((REG(address) & bits) == value)
            return true;
    return false;
}

/* VCO 336 MHz / 2; APB1 / 4, APB2 / 2; 5 wait states (RM0090 3.5.1 at 2.7-3.6 V). The
 * switch to the PLL is last. A PLL that runs already was the bootloader's. */
void part_clock_start(void)
{
    uint32_t source = 1u << 22, divide = 8; /* the crystal, to 1 MHz */

    if (!part_is_real() || (REG(RCC_CFGR) & 0xCu) == 0x8u)
        return;
    REG(RCC_CR) |= CR_HSE_ON;
    if (!wait_for(RCC_CR, CR_HSE_RDY, CR_HSE_RDY)) {
        source = 0;
        divide = 16;
    }
    REG(FLASH_ACR) = 0x705; /* caches, prefetch, 5 wait states */
    REG(RCC_PLLCFGR) = divide | 336u << 6 | 0u << 16 | source | 7u << 24;
    REG(RCC_CR) |= CR_PLL_ON;
    (void)wait_for(RCC_CR, CR_PLL_RDY, CR_PLL_RDY);
    REG(RCC_CFGR) = 5u << 10 | 4u << 13;
    REG(RCC_CFGR) |= 2;
    (void)wait_for(RCC_CFGR, 0xCu, 0x8u);
}

static void pin_mode(uint32_t port, unsigned pin, uint32_t mode)
{
    uint32_t moder = REG(port + GPIO_MODER) & ~(3u << 2 * pin);

    REG(port + GPIO_MODER) = moder | mode << 2 * pin;
}

static void pin_alternate(uint32_t port, unsigned pin, uint32_t function)
{
    uint32_t at = port + GPIO_AFR + pin / 8 * 4, shift = pin % 8 * 4;

    REG(at) = (REG(at) & ~(15u << shift)) | function << shift;
    pin_mode(port, pin, 2);
}

/* A receiver's pin is pulled up: a line that nobody drives is then idle. */
void part_pins_start(void)
{
    REG(RCC_AHB1ENR) |= 7;                   /* ports A to C */
    REG(RCC_APB2ENR) |= 1u << 4;             /* USART1 */
    REG(RCC_APB1ENR) |= 7u << 17;            /* USART2, USART3, UART4 */
    (void)*(volatile uint32_t *)RCC_APB1ENR; /* on two clocks after the write (7.2.12) */
    part_bus_drive(false);
    pin_mode(GPIOA, DE_PIN, 1);
    REG(GPIOA + GPIO_PUPDR) |= 1u << 2 * 10 | 1u << 2 * 3 | 1u << 2 * 1;
    REG(GPIOB + GPIO_PUPDR) |= 1u << 2 * 11;
    pin_alternate(GPIOA, 9, 7);
    pin_alternate(GPIOA, 10, 7);
    pin_alternate(GPIOA, 2, 7);
    pin_alternate(GPIOA, 3, 7);
    pin_alternate(GPIOB, 10, 7);
    pin_alternate(GPIOB, 11, 7);
    pin_alternate(GPIOA, 0, 8);
    pin_alternate(GPIOA, 1, 8);
    for (unsigned pin = 0; pin < SWITCH_PINS; pin++)
        REG(GPIOC + GPIO_PUPDR) |= 1u << 2 * pin;
}

void part_bus_drive(bool on)
{
    REG(GPIOA + GPIO_BSRR) = 1u << (on ? DE_PIN : DE_PIN + 16);
}

/* The part counts the parity bit among 8 or 9; there is no frame of 7 bits in all. */
bool part_uart_open(uint32_t base, const struct hal_line *line, uint32_t more)
{
    uint32_t clock = base == USART1 ? APB2_HZ : APB1_HZ;
    uint32_t bits = line->data_bits + (line->parity != HAL_PARITY_NONE ? 1u : 0u);
    uint32_t cr1 = CR1_UE | CR1_RE | CR1_TE | more;

    if (bits != 8 && bits != 9)
        return false;
    if (line->parity != HAL_PARITY_NONE)
        cr1 |= CR1_PARITY;
    if (line->parity == HAL_PARITY_ODD)
        cr1 |= CR1_ODD;
    if (bits == 9)
        cr1 |= CR1_9_BITS;
    REG(base + USART_CR1) = 0;
    REG(base + USART_CR2) = line->stop_bits == 2 ? CR2_TWO_STOP : 0;
    REG(base + USART_BRR) = (clock + line->baud / 2) / line->baud;
    REG(base + USART_CR1) = cr1;
    return true;
}

const char *hal_board(void)
{
    return "stm32f405";
}

/* The 96 bits of the part's own number, folded to 60, which is what the text has room
 * for. */
void hal_serial_number(char text[HAL_TEXT_MAX])
{
    uint32_t low, high;

    if (!part_is_real()) {
        static const char emulated[] = "emulated-f405";
        for (unsigned i = 0; i < sizeof emulated; i++)
            text[i] = emulated[i];
        return;
    }
    low = REG(UNIQUE_ID) ^ REG(UNIQUE_ID + 8) << 16;
    high = REG(UNIQUE_ID + 4) ^ REG(UNIQUE_ID + 8) >> 16;
    text[0] = 's';
    for (unsigned i = 0; i < 15; i++) {
        uint32_t word = i < 7 ? high : low;
        text[1 + i] = "0123456789abcdef"[word >> (i < 7 ? 24 - 4 * i : 56 - 4 * i) & 15];
    }
    text[16] = '\0';
}

/* Four switches to ground add 1, 2, 4 and 8 units of 4, so that neighbours, with a unit a
 * device port, do not overlap: 1, 5, .. 61. */
uint8_t hal_bus_address(void)
{
    uint32_t closed =
        part_is_real() ? ~REG(GPIOC + GPIO_IDR) & ((1u << SWITCH_PINS) - 1) : 0;

    return (uint8_t)(1 + 4 * closed);
}

/* The part's interrupt comes with the byte; an emulated byte comes when the host lets
 * it. */
void hal_bus_line(struct hal_line *line, uint32_t *late_us)
{
    *line = (struct hal_line){.baud = 19200,
                              .data_bits = 8,
                              .parity = HAL_PARITY_EVEN,
                              .stop_bits = 1};
    *late_us = part_is_real() ? 0 : 3000;
}

/* The 32 kHz counter behind a divider of 256, with half as much again: the oscillator may
 * be that fast. */
void hal_watchdog_start(uint32_t period_ms)
{
    uint32_t reload = period_ms * 3 / 16;

    REG(IWDG_KR) = 0x5555;
    REG(IWDG_PR) = 6;
    REG(IWDG_RLR) = reload > 0xFFF ? 0xFFF : reload;
    REG(IWDG_KR) = 0xCCCC;
    REG(IWDG_KR) = 0xAAAA;
}

void hal_watchdog_kick(void)
{
    REG(IWDG_KR) = 0xAAAA;
}
