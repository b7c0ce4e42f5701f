/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootloader's start, time and leave on a Cortex-M3, M4 or M7 (ARMv7-M Architecture
 * Reference Manual). No interrupt is ever enabled. The RAM where the node keeps what
 * outlives a reset is not the bootloader's (bootloader.ld).
 */
#include "firmware/bootloader.h"
#include "firmware/hal.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define SYST_CSR     0xE000E010u
#define SYST_RVR     0xE000E014u
#define SYST_CVR     0xE000E018u
#define SCB_VTOR     0xE000ED08u
#define SCB_AIRCR    0xE000ED0Cu
#define AIRCR_RESET  0x05FA0004u
#define CSR_ON       5u /* core clock, no interrupt */
#define COUNTER_MASK 0xFFFFFFu
#define PAINT        0xA5A5A5A5u
#define OWN          16 /* words of stack that the start itself may be using */

int main(void);
void boot_reset(void);
void boot_fault(void);

/* From bootloader.ld. */
extern uint32_t link_data_load, link_data, link_data_end, link_bss, link_bss_end;
extern uint32_t link_stack_low, link_stack_top;

static uint64_t ticks;
static uint32_t last;

/* A bootloader that faults has been damaged, or is wrong: start again; the watchdog does
 * no less. */
void boot_fault(void)
{
    hal_reset();
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void)) & link_stack_top,
    boot_reset,
    boot_fault,
    boot_fault,
    boot_fault,
    boot_fault,
    boot_fault,
};

/* The stack is painted, for tests/boards/boot to see how deep it went. */
void boot_reset(void)
{
    uint32_t *here;

    __asm volatile("mov %0, sp" : "=r"(here));
    for (uint32_t *at = &link_stack_low; at + OWN < here; at++)
        *at = PAINT;
    for (uint32_t *from = &link_data_load, *to = &link_data; to < &link_data_end;)
        *to++ = *from++;
    for (uint32_t *to = &link_bss; to < &link_bss_end;)
        *to++ = 0;
    REG(SYST_RVR) = COUNTER_MASK;
    REG(SYST_CVR) = 0;
    REG(SYST_CSR) = CSR_ON;
    (void)main();
    hal_reset();
}

void hal_reset(void)
{
    __asm volatile("dsb" ::: "memory");
    REG(SCB_AIRCR) = AIRCR_RESET;
    for (;;) {
    }
}

/* The counter runs down and has 24 bits. */
uint64_t boot_now_us(void)
{
    uint32_t now = REG(SYST_CVR);

    ticks += (last - now) & COUNTER_MASK;
    last = now;
    return ticks / (boot_board_core_hz() / 1000000u);
}

/* SysTick is left as a reset leaves it; the watchdog runs on: the image takes it over or
 * is reset. */
void boot_run(uint32_t vectors_at)
{
    uint32_t stack = REG(vectors_at), entry = REG(vectors_at + 4);

    REG(SYST_CSR) = 0;
    REG(SYST_CVR) = 0;
    REG(SCB_VTOR) = vectors_at;
    __asm volatile("dsb\n"
                   "isb\n"
                   "msr msp, %0\n"
                   "bx %1\n" ::"r"(stack),
                   "r"(entry)
                   : "memory");
    __builtin_unreachable();
}
