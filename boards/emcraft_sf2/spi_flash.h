/* SPDX-License-Identifier: Apache-2.0
 *
 * The SOM's serial NOR flash (Spansion S25FL128S, 16 MiB: erase 64 KiB, program a page of
 * 256 bytes) on the part's SPI_0 (UG0331 chapter 12).
 */
#ifndef BOARDS_EMCRAFT_SF2_SPI_FLASH_H
#define BOARDS_EMCRAFT_SF2_SPI_FLASH_H

#include <stddef.h>
#include <stdint.h>

#define SPI_FLASH_SIZE 0x1000000u
#define SPI_FLASH_UNIT 0x10000u
#define SPI_FLASH_PAGE 256u

/* Once, before anything else: resets the controller. */
void spi_flash_start(void);

/* `at` and at + size are within the flash; a write also within one page. Both of the
 * latter return when the flash has finished. */
void spi_flash_read(uint32_t at, void *bytes, size_t size);
void spi_flash_write(uint32_t at, const void *bytes, size_t size);
void spi_flash_erase(uint32_t at);

#endif
