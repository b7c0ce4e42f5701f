/* SPDX-License-Identifier: Apache-2.0
 *
 * The part's own flash (ST RM0090 3.6 to 3.9): sectors of 16, 64 and 128 KiB, of which
 * the bootloader has 0 and 1, the state 2 and 3, slot A 5 to 7 and slot B 8 to 10.
 *
 * Compiled, and not run: QEMU's flash is a ROM. There every write fails here, because
 * nothing is believed that does not read back.
 *
 * The core stands still while a sector is erased (1 to 2 s for 128 KiB, DS8626 table 41),
 * with the bus unanswered: whoever updates waits for that (gateway/tool). The watchdog is
 * kicked before each erase and has to hold out for one.
 */
#include "firmware/hal.h"

#include "boards/stm32f405/part.h"

#define KEY_1   0x45670123u
#define KEY_2   0xCDEF89ABu
#define SR_BUSY (1u << 16)
#define SR_FAILED                                                                        \
    0xF2u /* operation, write protection, alignment, parallelism, sequence */
#define CR_PG   (1u << 0)
#define CR_SER  (1u << 1)
#define CR_SNB  3u /* shift */
#define CR_WORD (2u << 8)
#define CR_STRT (1u << 16)
#define CR_LOCK (1u << 31)
#define KIB     1024u

static bool wait(void)
{
    while (REG(FLASH_SR) & SR_BUSY) {
    }
    return (REG(FLASH_SR) & SR_FAILED) == 0;
}

static void unlock(void)
{
    if (REG(FLASH_CR) & CR_LOCK) {
        REG(FLASH_KEYR) = KEY_1;
        REG(FLASH_KEYR) = KEY_2;
    }
    REG(FLASH_SR) = SR_FAILED;
}

static int read_bytes(const struct flash_area *area, uint32_t offset, void *bytes,
                      size_t size)
{
    const volatile uint8_t *from =
        (const volatile uint8_t *)(uintptr_t)(area->base + offset);

    if (offset > area->size || size > area->size - offset)
        return FLASH_RANGE;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = from[i];
    return FLASH_OK;
}

/* A word at a time, which needs 2.7 V or more. */
static int write_bytes(const struct flash_area *area, uint32_t offset, const void *bytes,
                       size_t size)
{
    const uint8_t *from = bytes;
    int result = FLASH_OK;

    if (offset > area->size || size > area->size - offset || offset % 4 != 0 ||
        size % 4 != 0)
        return FLASH_RANGE;
    unlock();
    REG(FLASH_CR) = CR_PG | CR_WORD;
    for (size_t i = 0; i < size && result == FLASH_OK; i += 4) {
        uint32_t at = area->base + offset + (uint32_t)i;
        uint32_t word = (uint32_t)from[i] | (uint32_t)from[i + 1] << 8 |
                        (uint32_t)from[i + 2] << 16 | (uint32_t)from[i + 3] << 24;
        REG(at) = word;
        if (!wait() || REG(at) != word)
            result = FLASH_FAILED;
    }
    REG(FLASH_CR) = CR_LOCK;
    return result;
}

/* 16 KiB each up to 0x10000, one of 64, then 128 each. */
static uint32_t sector_of(uint32_t address)
{
    uint32_t at = address - 0x08000000u;

    if (at < 64 * KIB)
        return at / (16 * KIB);
    return at < 128 * KIB ? 4 : 4 + at / (128 * KIB);
}

static int erase_unit(const struct flash_area *area, uint32_t offset)
{
    bool good;

    if (offset >= area->size || offset % area->erase_size != 0)
        return FLASH_RANGE;
    hal_watchdog_kick();
    unlock();
    REG(FLASH_CR) = CR_SER | CR_WORD | sector_of(area->base + offset) << CR_SNB;
    REG(FLASH_CR) |= CR_STRT;
    good = wait();
    REG(FLASH_CR) = CR_LOCK;
    hal_watchdog_kick();
    return good ? FLASH_OK : FLASH_FAILED;
}

static const struct flash_ops ops = {read_bytes, write_bytes, erase_unit};

const struct flash_area *hal_flash(enum hal_flash which)
{
    static const struct flash_area areas[] = {
        [HAL_FLASH_SLOT_A] = {&ops, NULL, 0x08020000u, 384 * KIB, 128 * KIB, 4},
        [HAL_FLASH_SLOT_B] = {&ops, NULL, 0x08080000u, 384 * KIB, 128 * KIB, 4},
        [HAL_FLASH_STATE] = {&ops, NULL, 0x08008000u, 32 * KIB, 16 * KIB, 4},
    };

    return &areas[which];
}
