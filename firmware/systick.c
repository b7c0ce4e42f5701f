/* SPDX-License-Identifier: Apache-2.0
 *
 * SysTick as the clock: a tick each millisecond, and the counter between two ticks for
 * the microseconds.
 */
#include "firmware/hal.h"

#define REG(address)   (*(volatile uint32_t *)(address))
#define SYST_CSR       0xE000E010u
#define SYST_RVR       0xE000E014u
#define SYST_CVR       0xE000E018u
#define SCB_ICSR       0xE000ED04u
#define ICSR_PENDSTSET (1u << 26)
#define CSR_ON         7u /* core clock, interrupt, enabled */
#define TICK_US        1000u

void cortex_tick(void);

static volatile uint32_t ticks; /* with `wraps` 64 bits: 49 days are not enough */
static volatile uint32_t wraps;
static uint32_t per_us, reload;

void cortex_tick(void)
{
    if (++ticks == 0)
        wraps++;
}

void systick_start(uint32_t hz)
{
    per_us = hz / 1000000u;
    reload = hz / 1000u - 1u;
    REG(SYST_RVR) = reload;
    REG(SYST_CVR) = 0;
    REG(SYST_CSR) = CSR_ON;
}

/* A tick may be due and not yet counted (in an interrupt, or locked): the pending bit
 * tells, read after the counter, which is then read again so that both belong together.
 */
uint64_t hal_now_us(void)
{
    uint32_t high, low, count, pending;

    do {
        high = wraps;
        low = ticks;
        count = REG(SYST_CVR);
        pending = REG(SCB_ICSR) & ICSR_PENDSTSET;
        if (pending)
            count = REG(SYST_CVR);
    } while (high != wraps || low != ticks);
    return ((uint64_t)high << 32 | low) * TICK_US + (pending ? TICK_US : 0) +
           (reload - count) / per_us;
}

/* The tick ends every sleep soon enough. */
void hal_sleep(uint64_t until_us)
{
    if (hal_now_us() < until_us)
        __asm volatile("dsb\n\twfi" ::: "memory");
}
