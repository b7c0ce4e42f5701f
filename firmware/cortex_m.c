/* SPDX-License-Identifier: Apache-2.0
 *
 * The start of a Cortex-M board, its faults, and the little that all of them share. The
 * addresses are ARM's own (ARMv7-M and ARMv6-M Architecture Reference Manuals).
 */
#include <string.h>

#include "firmware/hal.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define NVIC_ISER    0xE000E100u
#define NVIC_ISPR    0xE000E200u
#define SCB_VTOR     0xE000ED08u
#define SCB_AIRCR    0xE000ED0Cu
#define SCB_CFSR     0xE000ED28u
#define AIRCR_RESET  0x05FA0004u
#define PAINT        0xA5A5A5A5u
#define LEFT_MAGIC   0x4C656674u /* "Left" */
#define NMI          2
#define OWN          32 /* words of stack that the start itself may be using */
#define LOOK         16 /* words of stack looked at in one call */

int main(void);
void cortex_reset(void);
void cortex_fault(void);
void cortex_tick(void);
void cortex_note_fault(const uint32_t *frame, uint32_t kind);

/* From the linker script (cortex_m.ld). */
extern uint32_t link_data_load, link_data, link_data_end, link_bss, link_bss_end;
extern uint32_t link_spare, link_stack_low, link_stack_top;

/* What this file leaves for the next start. */
static struct {
    uint32_t magic, cause;
    struct hal_fault fault;
} left __attribute__((section(".noinit")));

static uint64_t retained[HAL_RETAINED_SIZE / 8] __attribute__((section(".noinit")));
static uint32_t cause;

/* SysTick's handler where systick.c is not linked. */
__attribute__((weak)) void cortex_tick(void)
{
}

/* Keeps what the core stacked and starts again: a node that is wrong is of no use, one
 * that starts again is, and the record tells what to mend. */
void cortex_note_fault(const uint32_t *frame, uint32_t kind)
{
    left.magic = LEFT_MAGIC;
    left.cause = kind == NMI ? HAL_RESET_WATCHDOG : HAL_RESET_SOFTWARE;
    left.fault = (struct hal_fault){.kind = kind, .pc = frame[6], .lr = frame[5]};
#ifndef __ARM_ARCH_6M__
    left.fault.status = REG(SCB_CFSR);
#endif
    if (kind == NMI) /* the watchdog warns: it will reset the part itself */
        for (;;) {
        }
    REG(SCB_AIRCR) = AIRCR_RESET;
    for (;;) {
    }
}

/* The stacked frame is where the main stack pointer is: there is no other stack here. */
__attribute__((naked)) void cortex_fault(void)
{
    __asm volatile("mrs r0, msp\n"
                   "mrs r1, ipsr\n"
                   "ldr r2, =cortex_note_fault\n"
                   "bx r2\n");
}

/* An interrupt that nobody has asked for is a fault too: its number is its kind. */
__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void)) & link_stack_top,
    cortex_reset,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_fault,
    cortex_tick,
};

/* The stack is painted up to where we stand, so that hal_stack() can see how deep it ever
 * went. */
void cortex_reset(void)
{
    uint32_t *here;

    __asm volatile("mov %0, sp" : "=r"(here));
#ifndef __ARM_ARCH_6M__
    REG(SCB_VTOR) = (uint32_t)(uintptr_t)vectors; /* a bootloader had its own */
#endif
    for (uint32_t *at = &link_stack_low; at + OWN < here; at++)
        *at = PAINT;
    for (uint32_t *from = &link_data_load, *to = &link_data; to < &link_data_end;)
        *to++ = *from++;
    for (uint32_t *to = &link_bss; to < &link_bss_end;)
        *to++ = 0;
    cause = HAL_RESET_POWER;
    if (left.magic == LEFT_MAGIC)
        cause = left.cause;
    else
        memset(&left, 0, sizeof left);
    left.magic = LEFT_MAGIC;
    left.cause = HAL_RESET_PIN; /* unless something else is noted before the end */
    (void)main();
    hal_reset();
}

enum hal_reset cortex_reset_cause(void)
{
    return (enum hal_reset)cause;
}

void hal_fault_take(struct hal_fault *fault)
{
    *fault = left.fault;
    memset(&left.fault, 0, sizeof left.fault);
}

void *hal_retained(void)
{
    return retained;
}

void hal_reset(void)
{
    left.cause = HAL_RESET_SOFTWARE;
    __asm volatile("dsb" ::: "memory");
    REG(SCB_AIRCR) = AIRCR_RESET;
    for (;;) {
    }
}

void hal_lock(void)
{
    __asm volatile("cpsid i" ::: "memory");
}

void hal_unlock(void)
{
    __asm volatile("cpsie i" ::: "memory");
}

void cortex_irq_enable(unsigned irq)
{
    REG(NVIC_ISER + irq / 32 * 4) = 1u << irq % 32;
}

void cortex_irq_pend(unsigned irq)
{
    REG(NVIC_ISPR + irq / 32 * 4) = 1u << irq % 32;
}

/* Between the last variable and the stack. */
void *hal_spare_memory(size_t *size)
{
    *size = (size_t)((uint8_t *)&link_stack_low - (uint8_t *)&link_spare);
    return &link_spare;
}

/* A few words a call, from the low end up and then again: it is called each turn of the
 * loop, and thousands of words would make a reply late. */
void hal_stack(uint32_t *used, uint32_t *size)
{
    static uint32_t *untouched, *at; /* untouched never comes back up */

    if (untouched == NULL)
        untouched = &link_stack_top;
    if (at == NULL || at >= untouched)
        at = &link_stack_low;
    for (unsigned i = 0; i < LOOK && at < untouched; i++, at++)
        if (*at != PAINT)
            untouched = at;
    *used = (uint32_t)((uint8_t *)&link_stack_top - (uint8_t *)untouched);
    *size = (uint32_t)((uint8_t *)&link_stack_top - (uint8_t *)&link_stack_low);
}
