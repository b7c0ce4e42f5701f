/* SPDX-License-Identifier: Apache-2.0
 *
 * The serial NOR flash: its commands, and the node's state in its last but one units. The
 * first part of it is U-Boot's on this SOM, and stays so.
 *
 * There are no program slots: nothing runs from a serial flash in place, and the part's
 * own eNVM is not modelled by the emulator, so that an update could not be shown to hold.
 */
#include "boards/emcraft_sf2/spi_flash.h"
#include "firmware/hal.h"

#define REG(address) (*(volatile uint32_t *)(address))

#define SPI         0x40001000u
#define SPI_CONTROL (SPI + 0x00)
#define SPI_DFSIZE  (SPI + 0x04)
#define SPI_STATUS  (SPI + 0x08)
#define SPI_RX      (SPI + 0x10)
#define SPI_TX      (SPI + 0x14)
#define SPI_CLKGEN  (SPI + 0x18)
#define SPI_SELECT  (SPI + 0x1C)

#define CONTROL_RESET  (1u << 31)
#define CONTROL_HOLD   (1u << 26) /* the select stays on for all of a transaction */
#define CONTROL_FRAMES 8u         /* shift of their number */
#define CONTROL_MASTER 2u
#define CONTROL_ON     1u
#define STATUS_EMPTY   (1u << 6) /* nothing received */

#define WRITE_ENABLE 0x06
#define READ_STATUS  0x05
#define READ         0x03
#define PROGRAM      0x02
#define ERASE        0xD8
#define BUSY         0x01
#define COMMAND      4u    /* bytes: the command and a 24-bit address */
#define READ_MAX     1024u /* of one transaction; the controller counts to 65,535 */

void spi_flash_start(void)
{
    REG(SPI_CONTROL) = CONTROL_RESET;
    REG(SPI_CONTROL) = CONTROL_MASTER;
    REG(SPI_DFSIZE) = 8;
    REG(SPI_CLKGEN) = 3; /* 71 MHz / 8 */
    REG(SPI_SELECT) = 1;
}

static void begin(uint32_t frames)
{
    REG(SPI_CONTROL) =
        CONTROL_HOLD | frames << CONTROL_FRAMES | CONTROL_MASTER | CONTROL_ON;
}

/* A byte out, and the one that came meanwhile. */
static uint8_t exchange(uint32_t byte)
{
    REG(SPI_TX) = byte;
    while (REG(SPI_STATUS) & STATUS_EMPTY) {
    }
    return (uint8_t)REG(SPI_RX);
}

static void command(uint32_t code, uint32_t at, size_t more)
{
    begin(COMMAND + (uint32_t)more);
    (void)exchange(code);
    (void)exchange(at >> 16 & 0xFF);
    (void)exchange(at >> 8 & 0xFF);
    (void)exchange(at & 0xFF);
}

static void allow(void)
{
    begin(1);
    (void)exchange(WRITE_ENABLE);
}

/* An erase takes half a second (S25FL128S data sheet): the watchdog is kicked. */
static void finish(void)
{
    uint8_t status;

    do {
        hal_watchdog_kick();
        begin(2);
        (void)exchange(READ_STATUS);
        status = exchange(0);
    } while (status & BUSY);
}

void spi_flash_read(uint32_t at, void *bytes, size_t size)
{
    uint8_t *to = bytes;

    while (size > 0) {
        size_t n = size < READ_MAX ? size : READ_MAX;

        command(READ, at, n);
        for (size_t i = 0; i < n; i++)
            to[i] = exchange(0);
        at += (uint32_t)n;
        to += n;
        size -= n;
    }
}

void spi_flash_write(uint32_t at, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;

    allow();
    command(PROGRAM, at, size);
    for (size_t i = 0; i < size; i++)
        (void)exchange(from[i]);
    finish();
}

void spi_flash_erase(uint32_t at)
{
    allow();
    command(ERASE, at, 0);
    finish();
}

static int read_bytes(const struct flash_area *area, uint32_t offset, void *bytes,
                      size_t size)
{
    if (offset > area->size || size > area->size - offset)
        return FLASH_RANGE;
    spi_flash_read(area->base + offset, bytes, size);
    return FLASH_OK;
}

/* A page at a time; what must have been written is read back by whoever relies on it
 * (boot_count.c), as flash.h leaves open. */
static int write_bytes(const struct flash_area *area, uint32_t offset, const void *bytes,
                       size_t size)
{
    const uint8_t *from = bytes;

    if (offset > area->size || size > area->size - offset ||
        offset % area->write_size != 0 || size % area->write_size != 0)
        return FLASH_RANGE;
    while (size > 0) {
        size_t n = SPI_FLASH_PAGE - offset % SPI_FLASH_PAGE;

        n = n < size ? n : size;
        spi_flash_write(area->base + offset, from, n);
        offset += (uint32_t)n;
        from += n;
        size -= n;
    }
    return FLASH_OK;
}

static int erase_unit(const struct flash_area *area, uint32_t offset)
{
    if (offset >= area->size || offset % area->erase_size != 0)
        return FLASH_RANGE;
    spi_flash_erase(area->base + offset);
    return FLASH_OK;
}

const struct flash_area *hal_flash(enum hal_flash which)
{
    static const struct flash_ops ops = {read_bytes, write_bytes, erase_unit};
    static const struct flash_area state = {
        &ops,           NULL, SPI_FLASH_SIZE - 2 * SPI_FLASH_UNIT, 2 * SPI_FLASH_UNIT,
        SPI_FLASH_UNIT, 4};

    return which == HAL_FLASH_STATE ? &state : NULL;
}
