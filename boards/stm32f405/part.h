/* SPDX-License-Identifier: Apache-2.0
 *
 * The registers of an STM32F405 that node and bootloader use (ST RM0090, chapters named
 * below), and the board's clock.
 */
#ifndef BOARDS_STM32F405_PART_H
#define BOARDS_STM32F405_PART_H

#include <stdbool.h>
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

#define CORE_HZ 168000000u /* as clock_start() leaves it, and as QEMU has it */
#define APB1_HZ 42000000u  /* USART2, USART3, UART4 */
#define APB2_HZ 84000000u  /* USART1 */

/* Reset and clock control (7.3) */
#define RCC_CR      0x40023800u
#define RCC_PLLCFGR 0x40023804u
#define RCC_CFGR    0x40023808u
#define RCC_AHB1ENR 0x40023830u
#define RCC_APB1ENR 0x40023840u
#define RCC_APB2ENR 0x40023844u
#define RCC_CSR     0x40023874u
#define CR_HSI_RDY  (1u << 1)
#define CR_HSE_ON   (1u << 16)
#define CR_HSE_RDY  (1u << 17)
#define CR_PLL_ON   (1u << 24)
#define CR_PLL_RDY  (1u << 25)

/* General-purpose pins (8.4): A, B and C are 0x400 apart */
#define GPIOA       0x40020000u
#define GPIOB       0x40020400u
#define GPIOC       0x40020800u
#define GPIO_MODER  0x00 /* 2 bits a pin: 1 output, 2 alternate function */
#define GPIO_PUPDR  0x0C /* 2 bits a pin: 1 pull-up */
#define GPIO_IDR    0x10
#define GPIO_BSRR   0x18 /* low half sets, high half clears */
#define GPIO_AFR    0x20 /* 4 bits a pin, 8 pins a word */
#define DE_PIN      8u   /* of port A: the RS-485 transmitter's enable */
#define SWITCH_PINS 4u   /* PC0 to PC3 */

/* USART (30.6) */
#define USART1       0x40011000u
#define USART2       0x40004400u
#define USART3       0x40004800u
#define UART4        0x40004C00u
#define USART_SR     0x00
#define USART_DR     0x04
#define USART_BRR    0x08
#define USART_CR1    0x0C
#define USART_CR2    0x10
#define SR_ERRORS    0xFu /* parity, framing, noise, overrun: cleared by SR, then DR */
#define SR_RXNE      (1u << 5)
#define SR_TC        (1u << 6)
#define SR_TXE       (1u << 7)
#define CR1_RE       (1u << 2)
#define CR1_TE       (1u << 3)
#define CR1_RXNEIE   (1u << 5)
#define CR1_TCIE     (1u << 6)
#define CR1_TXEIE    (1u << 7)
#define CR1_ODD      (1u << 9)
#define CR1_PARITY   (1u << 10)
#define CR1_9_BITS   (1u << 12) /* the parity bit among them */
#define CR1_UE       (1u << 13)
#define CR2_TWO_STOP (2u << 12)

/* Independent watchdog (21.4): 32 kHz, +-47 % over parts and heat */
#define IWDG_KR  0x40003000u
#define IWDG_PR  0x40003004u
#define IWDG_RLR 0x40003008u

/* Flash interface (3.9) */
#define FLASH_ACR  0x40023C00u
#define FLASH_KEYR 0x40023C04u
#define FLASH_SR   0x40023C0Cu
#define FLASH_CR   0x40023C10u

/* Unique device id (39.1), 96 bits */
#define UNIQUE_ID 0x1FFF7A10u

/* True on the part. QEMU (7.2 to 10.0) models no RCC: it reads 0, where the part always
 * has its internal oscillator ready here. */
bool part_is_real(void);

/* 168 MHz from an 8 MHz crystal, or from the internal oscillator if that does not start
 * (1 % off: enough for a UART). Does nothing under QEMU, whose core always runs so. */
void part_clock_start(void);

/* The bus's pins and those of the switches; the transmitter's enable is off. */
void part_pins_start(void);

/* The bus transmitter on or off (DE and, inverted on the board, RE). */
void part_bus_drive(bool on);

/* Sets baud and frame, and begins to receive; `more` goes into CR1. False: the part has
 * no such frame. */
struct hal_line;
bool part_uart_open(uint32_t base, const struct hal_line *line, uint32_t more);

#endif
