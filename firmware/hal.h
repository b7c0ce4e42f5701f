/* SPDX-License-Identifier: Apache-2.0
 *
 * hal: all that the firmware asks of a board, and all that a board's interrupts may ask
 * of the firmware. boards/<board>/ gives the first part; the same firmware runs on each.
 *
 * Rules for a board:
 *  - Nothing here blocks but hal_sleep() and the flash operations.
 *  - No function is called from an interrupt but serial_received() and serial_next().
 *  - Ports are numbered: 0 is the RS-485 bus to the gateway, 1..hal_device_ports() are
 *    the serial lines of the bedside devices.
 */
#ifndef FIRMWARE_HAL_H
#define FIRMWARE_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/flash.h"

#define HAL_BUS           0
#define HAL_DEVICES_MAX   3
#define HAL_PORTS_MAX     (1 + HAL_DEVICES_MAX)
#define HAL_RETAINED_SIZE 128 /* bytes */
#define HAL_TEXT_MAX      17  /* bytes of a board's name or serial number with its end */

/* Why the part started, as its own registers tell. */
enum hal_reset {
    HAL_RESET_UNKNOWN,
    HAL_RESET_POWER,
    HAL_RESET_PIN,
    HAL_RESET_WATCHDOG,
    HAL_RESET_SOFTWARE,
    HAL_RESET_BROWN_OUT,
};

enum hal_parity { HAL_PARITY_NONE, HAL_PARITY_EVEN, HAL_PARITY_ODD };

struct hal_line { /* how a serial line is set */
    uint32_t baud;
    uint8_t data_bits; /* 7 or 8, the parity bit not among them */
    uint8_t parity;    /* enum hal_parity */
    uint8_t stop_bits; /* 1 or 2 */
};

/* What the handlers of cortex_m.c leave of a fault, for the next start to tell. */
struct hal_fault {
    uint32_t kind; /* exception number: 3 hard fault .. 6 usage fault; 0: none */
    uint32_t pc, lr, status; /* as stacked; CFSR where the core has it */
};

/* --- what a board gives --- */

/* Clocks, pins, interrupts; the watchdog is not started. Called once, first. */
void hal_start(void);

/* The board's name, as its folder is called. */
const char *hal_board(void);

/* The part's own serial number, printable, into text. */
void hal_serial_number(char text[HAL_TEXT_MAX]);

/* Address of the first device's unit on the bus, 1-247, as the board is set. */
uint8_t hal_bus_address(void);

/* Serial lines for devices, 0..HAL_DEVICES_MAX, and the driver on one of them (a name of
 * drivers/driver_table.c; "" for none). */
unsigned hal_device_ports(void);
const char *hal_driver(unsigned port);

/* How the bus is set. *late_us: how late the board may tell of a byte, which is added to
 * the silences that make a frame; 0 where the interrupt comes with the byte. */
void hal_bus_line(struct hal_line *line, uint32_t *late_us);

/* Sets a line and begins to receive. False if the port cannot be set so. */
bool hal_serial_open(unsigned port, const struct hal_line *line);

/* There is something to send: makes the interrupt ask serial_next() until it has no more.
 * An RS-485 transmitter is on from then until the last bit has left. */
void hal_serial_send(unsigned port);

/* Microseconds since the start; never goes back, goes on in hal_sleep(). */
uint64_t hal_now_us(void);

/* Waits (WFI) for the next interrupt, at most until until_us, and at most about a
 * millisecond longer. Called with hal_lock() held, so that nothing can come between the
 * caller's last look and the sleep; an interrupt that is pending ends it all the same. */
void hal_sleep(uint64_t until_us);

/* Nothing of an interrupt is seen between these two. */
void hal_lock(void);
void hal_unlock(void);

/* The watchdog resets the part if it is not kicked for period_ms. It cannot be stopped.
 */
void hal_watchdog_start(uint32_t period_ms);
void hal_watchdog_kick(void);

/* Why the part started. */
enum hal_reset hal_reset_cause(void);

/* Starts the part again. Does not return. */
void hal_reset(void);

/* HAL_RETAINED_SIZE bytes, aligned to 8, that outlive a reset but not a power-off: what
 * stands in them after one is chance, so whoever uses them keeps a check beside. */
void *hal_retained(void);

/* The fault before this start, cleared by the call; kind 0 if there was none. */
void hal_fault_take(struct hal_fault *fault);

/* The memory that nothing else needs, for samples. Aligned to 8. */
void *hal_spare_memory(size_t *size);

/* Bytes of stack ever used (known after some hundred calls) and there are; 0 where the
 * board does not paint it. Cheap. */
void hal_stack(uint32_t *used, uint32_t *size);

/* Flash: the two program slots, and a small area for what outlives power. NULL if the
 * board has none. */
enum hal_flash { HAL_FLASH_SLOT_A, HAL_FLASH_SLOT_B, HAL_FLASH_STATE };
const struct flash_area *hal_flash(enum hal_flash which);

/* --- what boards/<board>/boot.c gives to the bootloader, which runs without interrupts:
 *     these, hal_board(), hal_serial_number(), hal_bus_address(), hal_bus_line(),
 *     hal_watchdog_start() and hal_watchdog_kick(); flash.c gives hal_flash() --- */

#define BOOT_NOTHING (-1)

/* The bus's UART, without interrupts. Only called when no image is good. */
void boot_board_start(void);

/* The core's clock in Hz, by which SysTick counts. */
uint32_t boot_board_core_hz(void);

/* The next byte that came on the bus, or BOOT_NOTHING. */
int boot_board_receive(void);

/* Sends n bytes and returns when the last of them was given to the part. */
void boot_board_send(const uint8_t *bytes, size_t n);

/* --- what the firmware gives to a board's interrupts (serial.c) --- */

/* A byte came on the port, or was lost (overrun, framing, parity: error). */
void serial_received(unsigned port, uint8_t byte, bool error);

/* The next byte to send, or -1: no more. */
int serial_next(unsigned port);

/* True if received bytes wait to be taken: a host board then leaves more where they are.
 */
bool serial_waiting(unsigned port);

/* --- for boards on Cortex-M (cortex_m.c, systick.c) ---
 *
 * cortex_m.c gives hal_lock, hal_unlock, hal_reset, hal_retained, hal_fault_take,
 * hal_spare_memory and hal_stack, and the start and the core's 16 vectors. The board's
 * interrupts stand behind those: a const array in section ".vectors.irq". systick.c gives
 * hal_now_us and hal_sleep to boards that have no better clock. */

/* Interrupt `irq` of the part: on; pending, as if it had come. */
void cortex_irq_enable(unsigned irq);
void cortex_irq_pend(unsigned irq);

/* Begins the clock: SysTick each millisecond, of a core at this many hertz. */
void systick_start(uint32_t hz);

/* The reset's cause where the part has no register for it: what the firmware itself left
 * in retained memory tells a software reset, a watchdog that warned by NMI, and (nothing
 * there) a power-on; any other is a pin. */
enum hal_reset cortex_reset_cause(void);

#endif
