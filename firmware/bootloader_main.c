/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootloader's program: decide, start the image; or, if none is good, be a node that
 * knows nothing but who it is and how it is updated.
 */
#include <string.h>

#include "firmware/bootloader.h"
#include "firmware/hal.h"
#include "firmware/modbus_server.h"
#include "firmware/update.h"

#define SERVER_ID   0x57 /* 'W', as the node's */
#define NOT_RUNNING 0x00

static char serial[HAL_TEXT_MAX];

static int verify(void *context, const struct flash_area *area, const struct image *image)
{
    (void)context;
    hal_watchdog_kick(); /* each image has the whole period */
    return image_verify(area, image, bootloader_key);
}

static int signature(void *context, const struct image *image)
{
    (void)context;
    hal_watchdog_kick();
    return image_verify_signature(image, bootloader_key);
}

/* Function 17. */
static void report(void *context, unsigned unit, struct modbus_reply *reply)
{
    const char *const words[] = {"wardgate ", hal_board(), " ", serial, " bootloader"};

    (void)context;
    (void)unit;
    modbus_reply_u8(reply, SERVER_ID);
    modbus_reply_u8(reply, NOT_RUNNING);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        modbus_reply_bytes(reply, words[i], strlen(words[i]));
}

/* Function 43/14: the node's objects, as far as a bootloader knows them. */
static const char *object(void *context, unsigned unit, uint8_t id)
{
    (void)context;
    (void)unit;
    switch (id) {
    case 0x00:
        return "wardgate";
    case 0x01:
        return hal_board();
    case 0x02:
        return WARDGATE_VERSION;
    case 0x04:
        return "wardgate bootloader: no valid image";
    case 0x80:
        return serial;
    default:
        return NULL;
    }
}

/* The bus by polling. Ends by a restart only. The UART is started here and not before: a
 * byte that lay in it would be one whose interrupt the image never sees. */
static void recover(const struct update_config *config)
{
    static struct modbus_server server;
    static struct update_server update;
    struct modbus_source source = {.report = report, .object = object};
    struct modbus_setting setting = {.address = hal_bus_address(), .units = 1};
    struct hal_line line;
    uint64_t heard_us = 0;
    uint32_t late_us;

    boot_board_start();
    update_server_init(&update, config);
    update_attach(&source, &update);
    hal_bus_line(&line, &late_us);
    modbus_server_times(&line, late_us, &setting);
    modbus_server_init(&server, &setting, &source);
    for (;;) {
        static uint8_t out[MODBUS_FRAME_MAX];
        uint64_t now_us = boot_now_us();
        int byte = boot_board_receive();
        size_t n;

        hal_watchdog_kick();
        if (byte != BOOT_NOTHING) {
            uint64_t gap = (now_us - heard_us) / SERIAL_GAP_US;
            struct serial_byte got = {(uint8_t)byte, (uint8_t)(gap > 255 ? 255 : gap)};
            heard_us = now_us;
            modbus_server_feed(&server, &got, 1, now_us);
        } else if ((n = modbus_server_poll(&server, now_us, out)) > 0) {
            boot_board_send(out, n);
            while (boot_board_receive() != BOOT_NOTHING) { /* our own echo */
            }
        }
    }
}

int main(void)
{
    static struct update_config config;
    static struct slots slots;
    const struct slots_verify verifier = {verify, NULL};
    int slot;

    hal_watchdog_start(BOOTLOADER_WATCHDOG_MS);
    config =
        (struct update_config){{hal_flash(HAL_FLASH_SLOT_A), hal_flash(HAL_FLASH_SLOT_B)},
                               hal_board(),
                               SLOT_NONE,
                               signature,
                               NULL};
    slot = bootloader_decide(&slots, config.areas, config.board, &verifier);
    if (slot != SLOT_NONE)
        boot_run(config.areas[slot]->base + slots.images[slot].payload_at);
    hal_serial_number(serial);
    recover(&config);
}
