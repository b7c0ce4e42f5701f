/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate flash`: the steps by which a board gets its program, as its board.yaml has
 * them, with the files that were made for it; printed, or run one after the other. No
 * shell: a step is a program and its words.
 */
#include <errno.h>
#include <glob.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tool/board_file.h"
#include "tool/tool.h"
#include "tool/update_file.h"
#include "tool/verbs.h"

#define STEP_SIZE    4096
#define WORDS_MAX    128
#define KEY_FILE_MAX 8192
#define VALUE_MAX    256

static const char help[] =
    "usage: wardgate flash BOARD [FILES] [--emulate] [--run] [--boards FOLDER] [--json]\n"
    "\n"
    "Prints the steps that put the program onto BOARD ('wardgate boards' lists them), as "
    "its board.yaml has\n"
    "them, with your files in their places. With --run the steps are run, one after the "
    "other, until one fails.\n"
    "\n"
    "FILES for a node:\n"
    "  --image FILE       what goes onto it: for a board with a bootloader the factory "
    "image that 'wardgate sign'\n"
    "                     makes, which is checked; an unsigned one is refused\n"
    "  --bootloader FILE  from firmware/bootloader_build.sh, with your key in it\n"
    "  --key FILE         firmware.pub of 'wardgate keygen': what --image is checked "
    "with\n"
    "\n"
    "FILES for a gateway (Linux):\n"
    "  --packages FOLDER  with wardgated_*.deb for the board\n"
    "  --config FOLDER    from 'wardgate enrol': goes into the image\n"
    "  --card DEVICE      the card that is written, e.g. /dev/sdb: all on it is lost\n"
    "\n"
    "  --emulate          the QEMU command of the board instead; the preset where there "
    "is nothing to flash\n"
    "  --run              run it, instead of printing it\n"
    "\n"
    "  wardgate flash stm32f405 --bootloader bootloader.bin --image node.factory --key "
    "keys/firmware.pub --run\n"
    "  wardgate flash raspberrypi3 --packages build/packages --card /dev/sdb\n"
    "\n"
    "Exit codes: 0 printed, or done; 1 a step failed; 64 called wrongly; 69 a step's "
    "program is not installed;\n"
    "74 a file can't be read; 78 the image is not for this board, or not signed with "
    "this "
    "key.\n";

struct call {
    const char *image, *bootloader, *key, *packages, *config, *card, *boards;
    bool emulate, run, json;
};

/* What stands in a step for something of the caller's. */
struct place {
    const char *text, *option, *value;
};

enum { PLACES = 9 };

static void places_of(const struct call *call, const char *name, char bus[VALUE_MAX],
                      char device[VALUE_MAX], struct place places[PLACES])
{
    (void)snprintf(bus, VALUE_MAX, "%.100s-bus.sock", name);
    (void)snprintf(device, VALUE_MAX, "%.100s-device.sock", name);
    places[0] = (struct place){"bootloader.bin", "--bootloader", call->bootloader};
    places[1] = (struct place){"node.factory", "--image", call->image};
    places[2] = (struct place){"node.bin", "--image", call->image};
    places[3] = (struct place){"{image}", "--image", call->image};
    places[4] = (struct place){"PACKAGES-FOLDER", "--packages", call->packages};
    places[5] = (struct place){"/dev/sdX", "--card", call->card};
    places[6] = (struct place){"{bus}", NULL, bus};
    places[7] = (struct place){"{device}", NULL, device};
    places[8] = (struct place){NULL, NULL, NULL};
}

/* Fits into a step as it is: one word, with nothing that quotes. */
static bool plain(const char *value)
{
    return value[0] != '\0' && value[0] != '-' && strlen(value) < VALUE_MAX &&
           value[strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                               "0123456789_./:+,=@%~-")] == '\0';
}

/* Writes the step with the values in their places. NULL as option of a missing one. */
static bool fill(const char *step, const struct place *places, char out[STEP_SIZE],
                 const char **missing)
{
    size_t n = 0;

    while (*step != '\0') {
        const struct place *place = places;
        const char *put = NULL;
        size_t length;
        while (place->text != NULL &&
               strncmp(step, place->text, strlen(place->text)) != 0)
            place++;
        if (place->text != NULL && place->value == NULL)
            *missing = place->option;
        put = place->text != NULL && place->value != NULL ? place->value : NULL;
        length = put != NULL ? strlen(put) : 1;
        if (n + length + 1 > STEP_SIZE)
            return false;
        memcpy(out + n, put != NULL ? put : step, length);
        n += length;
        step += put != NULL ? strlen(place->text) : 1;
    }
    out[n] = '\0';
    return true;
}

/* A step that is a sentence is for a person: it begins as one. */
static bool is_note(const char *step)
{
    return step[0] >= 'A' && step[0] <= 'Z';
}

/* --- what is checked before anything is printed or run --- */

static uint32_t number(const json_t *board, const char *key)
{
    return (uint32_t)strtoul(board_text(board, key), NULL, 0);
}

/* What a factory puts into slot A: a signed image of this board, and its trailer. */
static int check_factory(const struct call *call, const json_t *board,
                         const uint8_t *bytes, size_t n, const char *key)
{
    uint32_t slot = number(board, "slot_size");
    struct update_image it;
    int error = update_image_read(bytes, n, key, &it);

    if (error == IMAGE_NO_IMAGE || error == IMAGE_SHORT)
        return tool_fail(TOOL_CONFIG,
                         "%s is not signed: this board's bootloader would never start it "
                         "(wardgate sign --factory makes the image)",
                         call->image);
    if (error == IMAGE_OK)
        error = image_fits(&it.image, board_text(board, "name"), number(board, "slot_a"));
    if (error != IMAGE_OK)
        return tool_fail(TOOL_CONFIG, "%s: %s", call->image, image_error_text(error));
    if (n != slot || memcmp(bytes + n - IMAGE_TRAILER_MAGIC, image_trailer_magic,
                            IMAGE_TRAILER_MAGIC) != 0)
        return tool_fail(
            TOOL_CONFIG,
            "%s is an update and no factory image of %u bytes: wardgate sign "
            "--factory FILE --slot-size %u",
            call->image, (unsigned)slot, (unsigned)slot);
    return TOOL_OK;
}

/* A board without a bootloader: at least a Cortex-M program of this part. */
static int check_plain(const struct call *call, const json_t *board, const uint8_t *bytes,
                       size_t n)
{
    uint32_t flash = number(board, "flash_base"), ram = number(board, "ram_base"),
             words[2];

    if (n < 8 || n > number(board, "flash_size"))
        return tool_fail(TOOL_CONFIG, "%s: %zu bytes, the board's flash has %u",
                         call->image, n, (unsigned)number(board, "flash_size"));
    for (size_t i = 0; i < 2; i++)
        words[i] = (uint32_t)bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 |
                   (uint32_t)bytes[4 * i + 2] << 16 | (uint32_t)bytes[4 * i + 3] << 24;
    if (words[0] - ram > number(board, "ram_size") ||
        (words[1] & ~1u) - flash >= number(board, "flash_size"))
        return tool_fail(TOOL_CONFIG,
                         "%s is no program for this board: its stack or its start lie "
                         "outside the part (is it the .bin of another board?)",
                         call->image);
    return TOOL_OK;
}

static int check_image(const struct call *call, const json_t *board)
{
    bool slots = board_text(board, "slot_a")[0] != '\0';
    uint8_t *bytes = NULL, *key = NULL;
    ssize_t n, key_size;
    int code;

    if (call->image == NULL)
        return TOOL_OK;
    if (call->emulate)
        return access(call->image, R_OK) == 0
                   ? TOOL_OK
                   : tool_fail(TOOL_IO, "%s: %s", call->image, strerror(errno));
    if (slots && call->key == NULL)
        return tool_usage("flash", "--key firmware.pub is needed: this board has a "
                                   "bootloader, and the image is checked first");
    if ((n = file_read(call->image, UPDATE_FILE_MAX, &bytes)) < 0)
        return tool_fail(TOOL_IO, "%s: %s", call->image, strerror((int)-n));
    if (!slots) {
        code = check_plain(call, board, bytes, (size_t)n);
    } else if ((key_size = file_read(call->key, KEY_FILE_MAX, &key)) < 0) {
        code = tool_fail(TOOL_IO, "%s: %s", call->key, strerror((int)-key_size));
    } else {
        code = check_factory(call, board, bytes, (size_t)n, (const char *)key);
        free(key);
    }
    free(bytes);
    return code;
}

/* A card that is in use is somebody's disk. */
static int check_card(const char *card)
{
    uint8_t *mounts;
    struct stat status;
    ssize_t n;
    bool used;

    if (card == NULL)
        return TOOL_OK;
    if (stat(card, &status) != 0)
        return tool_fail(TOOL_IO, "%s: %s (lsblk lists what is there)", card,
                         strerror(errno));
    if (!S_ISBLK(status.st_mode))
        return tool_fail(TOOL_USAGE, "%s is no disk or card: lsblk lists what is there",
                         card);
    if ((n = file_read("/proc/self/mounts", 1 << 20, &mounts)) < 0)
        return tool_fail(TOOL_IO, "/proc/self/mounts: %s", strerror((int)-n));
    used = strstr((const char *)mounts, card) != NULL;
    free(mounts);
    return used ? tool_fail(TOOL_USAGE,
                            "%s is mounted: is it the right one? umount it first", card)
                : TOOL_OK;
}

static int check_packages(const char *folder)
{
    char pattern[VALUE_MAX + 32];
    glob_t found;
    int none;

    if (folder == NULL)
        return TOOL_OK;
    (void)snprintf(pattern, sizeof(pattern), "%s/wardgated_*.deb", folder);
    none = glob(pattern, GLOB_NOSORT, NULL, &found);
    if (none == 0)
        globfree(&found);
    return none == 0 ? TOOL_OK
                     : tool_fail(TOOL_IO,
                                 "%s: no wardgated_*.deb in it (gateway/package/build.sh "
                                 "makes it)",
                                 folder);
}

static int check_all(const struct call *call, const json_t *board)
{
    const char *const values[] = {call->image, call->bootloader, call->packages,
                                  call->config, call->card};
    int code;

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        if (values[i] != NULL && !plain(values[i]))
            return tool_usage("flash",
                              "'%.60s': a name with blanks or quotes can't be "
                              "put into a step",
                              values[i]);
    if (call->bootloader != NULL && access(call->bootloader, R_OK) != 0)
        return tool_fail(TOOL_IO, "%s: %s", call->bootloader, strerror(errno));
    if (call->config != NULL && access(call->config, R_OK) != 0)
        return tool_fail(TOOL_IO, "%s: %s", call->config, strerror(errno));
    if ((code = check_image(call, board)) != TOOL_OK ||
        (code = check_packages(call->packages)) != TOOL_OK)
        return code;
    return check_card(call->card);
}

/* --- running --- */

/* Splits at blanks; "..." keeps them. False if it needs a shell. */
static bool split(char *step, char *words[WORDS_MAX])
{
    size_t n = 0;

    while (*(step += strspn(step, " ")) != '\0') {
        char *out = step;
        bool quoted = false;
        if (n + 1 == WORDS_MAX)
            return false;
        words[n++] = out;
        for (; *step != '\0' && (quoted || *step != ' '); step++) {
            if (*step == '"')
                quoted = !quoted;
            else if (strchr("$`|;&<>*'\\", *step) != NULL)
                return false;
            else
                *out++ = *step;
        }
        if (quoted)
            return false;
        if (*step != '\0')
            step++;
        *out = '\0';
    }
    words[n] = NULL;
    return n > 0;
}

extern char **environ;

static int run_step(const char *step)
{
    char copy[STEP_SIZE], *words[WORDS_MAX];
    pid_t child;
    int status, error;

    (void)snprintf(copy, sizeof(copy), "%s", step);
    if (!split(copy, words))
        return tool_fail(TOOL_CONFIG,
                         "this step can't be run from here, run it yourself: %s", step);
    (void)fflush(stdout);
    error = posix_spawnp(&child, words[0], NULL, NULL, words, environ);
    if (error != 0)
        return tool_fail(TOOL_UNAVAILABLE, "%s: %s", words[0], strerror(error));
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return tool_fail(TOOL_IO, "%s: %s", words[0], strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return tool_fail(TOOL_UNAVAILABLE, "%s is not installed", words[0]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return tool_fail(TOOL_FINDINGS, "this step failed: %s", step);
    return TOOL_OK;
}

/* The steps as they are in the file; of a board with nothing to flash, how it is run. */
static json_t *steps_of(struct call *call, const json_t *board)
{
    json_t *steps = json_object_get(board, "flash_steps"), *step;
    const char *emulate = board_text(board, "emulate");
    bool notes = true;
    size_t i;

    json_array_foreach(steps, i, step) if (json_is_string(step)) notes =
        notes && is_note(json_string_value(step));
    if (notes && emulate[0] != '\0')
        call->emulate = true;
    if (call->emulate)
        return emulate[0] == '\0' ? NULL : json_pack("[s]", emulate);
    return json_incref(steps);
}

static void show_step(const struct call *call, const char *step)
{
    if (!call->json)
        (void)printf("%s%s\n", is_note(step) ? "# " : "", step);
    else
        tool_print(json_pack("{s:s}", is_note(step) ? "note" : "run", step));
}

/* All are filled in before the first is run: half a flashed board helps nobody. */
static int go(const struct call *call, const char *name, json_t *steps)
{
    char bus[VALUE_MAX], device[VALUE_MAX], filled[STEP_SIZE];
    struct place places[PLACES];
    const char *missing = NULL;
    json_t *step;
    size_t i;
    int code = TOOL_OK;

    places_of(call, name, bus, device, places);
    for (int pass = 0; pass < 2 && code == TOOL_OK; pass++)
        json_array_foreach(steps, i, step)
        {
            const char *text = json_string_value(step);
            bool own = text != NULL && strstr(text, "PACKAGES-FOLDER") != NULL;
            if (text == NULL || !fill(text, places, filled, &missing) ||
                strlen(filled) + VALUE_MAX + 2 > STEP_SIZE)
                return tool_fail(TOOL_CONFIG, "%s: flash_steps: step %zu is too long",
                                 name, i + 1);
            if (own && call->config != NULL) /* image.sh BOARD PACKAGES IMAGE CONFIG */
                (void)snprintf(filled + strlen(filled), VALUE_MAX + 1, " %s",
                               call->config);
            if (pass == 0) {
                if (call->run && missing != NULL)
                    return tool_usage("flash", "%s is needed to run: %s", missing, text);
                if (call->run && !is_note(text) && strchr(filled, '{') != NULL)
                    return tool_usage("flash",
                                      "this needs files that the board's README "
                                      "says how to make: %s",
                                      filled);
                continue;
            }
            show_step(call, filled);
            if (call->run && !is_note(text) && (code = run_step(filled)) != TOOL_OK)
                return code;
        }
    return code;
}

int verb_flash(int argc, char **argv)
{
    struct call call = {.image = NULL};
    const struct tool_option options[] = {
        {"image", &call.image, NULL},   {"bootloader", &call.bootloader, NULL},
        {"key", &call.key, NULL},       {"packages", &call.packages, NULL},
        {"config", &call.config, NULL}, {"card", &call.card, NULL},
        {"boards", &call.boards, NULL}, {"emulate", NULL, &call.emulate},
        {"run", NULL, &call.run},       {NULL, NULL, NULL},
    };
    json_t *board, *steps;
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &call.json, &code);

    if (operands < 0)
        return code;
    if (operands != 1)
        return tool_usage("flash", "expected a board; 'wardgate boards' lists them");
    if ((code = board_read(boards_folder(call.boards), argv[1], &board)) != TOOL_OK)
        return code;
    steps = steps_of(&call, board);
    if (steps == NULL)
        code = tool_fail(TOOL_CONFIG, "%s has no %s", argv[1],
                         call.emulate ? "emulation" : "flash_steps");
    else if ((code = check_all(&call, board)) == TOOL_OK)
        code = go(&call, argv[1], steps);
    json_decref(steps);
    json_decref(board);
    return code;
}
